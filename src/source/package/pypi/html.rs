//! The page of a project as HTML, which is what older indexes and many mirrors have (PEP 503, and PEP 592 for
//! what was yanked): one anchor a file.

use std::collections::BTreeMap;

use html5gum::{Token, Tokenizer};
use url::Url;

use super::File;
use super::Said;

/// The files that a page at `page` names. Nothing of it is a file if it is no such page.
pub(super) fn files(document: &[u8], page: &Url) -> Vec<File> {
    let mut base = page.clone();
    let mut files = Vec::new();
    for token in Tokenizer::new(document).flatten() {
        let Token::StartTag(tag) = token else { continue };
        let attribute = |name: &[u8]| {
            let found = tag.attributes.iter().find(|(own, _)| own.as_slice() == name);
            found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        };
        let Some(url) = attribute(b"href").and_then(|href| base.join(href.trim()).ok()) else { continue };
        match tag.name.as_slice() {
            b"base" => base = url,
            b"a" => files.extend(file(url, attribute(b"data-yanked"))),
            _ => {}
        }
    }
    files
}

/// What one anchor names: the file is the last part of the path, its hash the fragment.
fn file(mut url: Url, yanked: Option<String>) -> Option<File> {
    let hashes = match url.fragment().and_then(|fragment| fragment.split_once('=')) {
        Some((algorithm, hash)) => BTreeMap::from([(algorithm.to_owned(), hash.to_owned())]),
        None => BTreeMap::new(),
    };
    url.set_fragment(None);
    let last = url.path_segments()?.next_back().filter(|last| !last.is_empty())?;
    Some(File {
        filename: percent_encoding::percent_decode_str(last).decode_utf8_lossy().into_owned(),
        url: url.to_string(),
        hashes,
        yanked: yanked.map_or(Said::No, Said::Why),
        size: None,
        uploaded: None,
    })
}
