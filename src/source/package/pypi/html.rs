//! The page of a project as HTML, which is what older indexes and many mirrors have (PEP 503, and PEP 592 for
//! what was yanked): one anchor a file.

use html5gum::{Token, Tokenizer};
use url::Url;

use super::super::entries::{LONGEST_NAME, LONGEST_TEXT, MOST, Text, too_many};
use super::{File, Hashes};
use crate::error::Result;

/// The files that a page at `page` names, and what their urls are relative to. Nothing of it is a file if
/// it is no such page. [`Kind::TooLarge`](crate::error::Kind::TooLarge) if `what` meets too many.
pub(super) fn files(what: &str, document: &[u8], page: &Url) -> Result<(Vec<File>, Url)> {
    let (mut base, mut anchors) = (None, Vec::new());
    for token in Tokenizer::new(document).flatten() {
        let Token::StartTag(tag) = token else { continue };
        let attribute = |name: &[u8]| {
            let found = tag.attributes.iter().find(|(own, _)| own.as_slice() == name);
            found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        };
        let Some(href) = attribute(b"href") else { continue };
        match tag.name.as_slice() {
            // The first one counts, for what stands before it too.
            b"base" => base = base.or_else(|| page.join(href.trim()).ok()),
            b"a" if anchors.len() == MOST => return Err(too_many(what)),
            b"a" if href.len() <= LONGEST_TEXT => anchors.push((href, attribute(b"data-yanked"))),
            _ => {}
        }
    }
    let base = base.unwrap_or_else(|| page.clone());
    let files = anchors.into_iter().filter_map(|(href, yanked)| file(href.trim(), yanked, &base));
    Ok((files.collect(), base))
}

/// What one anchor names: the file is the last part of the path, its hash the fragment.
fn file(href: &str, yanked: Option<String>, base: &Url) -> Option<File> {
    let (href, fragment) = href.split_once('#').unwrap_or((href, ""));
    // A hash may stand beside other words: `egg=x&sha256=…`.
    let mut hashes = Hashes::default();
    for (name, hash) in fragment.split('&').filter_map(|word| word.split_once('=')) {
        let place = match name {
            "sha512" => &mut hashes.sha512,
            "sha384" => &mut hashes.sha384,
            "sha256" => &mut hashes.sha256,
            _ => continue,
        };
        *place = Some(Text(hash.to_owned()));
    }
    let url = base.join(href).ok()?;
    let last =
        url.path_segments()?.next_back().filter(|last| !last.is_empty() && last.len() <= 3 * LONGEST_NAME)?;
    Some(File {
        filename: Text(percent_encoding::percent_decode_str(last).decode_utf8_lossy().into_owned()),
        url: Text(href.to_owned()),
        hashes,
        yanked,
        size: None,
        uploaded: None,
    })
}
