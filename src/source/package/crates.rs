//! What a crate index says of a crate: one JSON object a line, a line a version.
//!
//! <https://doc.rust-lang.org/cargo/reference/registry-index.html>

use std::time::Duration;

use serde::Deserialize;
use url::Url;

use super::asker::{self, Asker, Page, When};
use super::entries::{self, LONGEST_NAME, LONGEST_TEXT, MOST};
use super::hash;
use super::metadata;
use super::offer::{self, Algorithm, Offer, Published, Release};
use crate::error::{Error, Kind, Result};
use crate::key::Package;
use crate::source::archive::Rules;
use crate::source::http::Request;
use crate::source::http::credential::Credential;
use crate::source::registry::Cargo;

/// The file of an index that says where its archives are.
const CONFIG: &str = "config.json";

/// The version of a line's own format. It is read first, because those above 2 are for later clients and may
/// be anything else.
#[derive(Deserialize)]
struct Format {
    #[serde(default)]
    v: Option<u32>,
}

#[derive(Deserialize)]
struct Line {
    name: String,
    vers: String,
    cksum: String,
    #[serde(default)]
    yanked: bool,
    /// RFC 3339; only newer indexes have it.
    #[serde(default)]
    pubtime: Option<String>,
}

/// What [`CONFIG`] says.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
struct IndexConfig {
    /// Where archives are: a url, perhaps with markers.
    dl: String,
    /// Whether everything there, the index too, needs a token.
    #[serde(default, rename = "auth-required")]
    auth_required: bool,
}

/// How long what [`CONFIG`] says is good. It changes when a registry moves.
const CONFIG_AGE: Duration = Duration::from_secs(3600);

/// What the index has of `package`.
///
/// A token is sent where the registry wants one, as cargo does: the one for the default registry is for
/// publishing, and nobody is to see it who need not.
pub(super) fn offer(package: &Package, cargo: &Cargo, asker: &Asker<'_>) -> Result<Option<Offer>> {
    let index = match package.registry() {
        Some(url) => cargo.index_at(&asker::registry_at(url)?)?,
        None => cargo.default_index()?,
    };
    let token = cargo.credential_for(&index);
    let token = token.as_ref();
    let Some(known) = config(&index, token, CONFIG_AGE, asker)? else { return Ok(None) };
    match look(package, &index, &known, token, asker) {
        // It may want a token since it was last asked whether it does.
        Err(refused)
            if refused.kind() == Kind::NotFoundOrPrivate && token.is_some() && !known.auth_required =>
        {
            match config(&index, token, Duration::ZERO, asker)? {
                Some(now) if now.auth_required => look(package, &index, &now, token, asker),
                _ => Err(refused),
            }
        }
        answer => answer,
    }
}

/// What the index has of `package`, going by its configuration.
fn look(
    package: &Package,
    index: &Url,
    config: &IndexConfig,
    token: Option<&Credential>,
    asker: &Asker<'_>,
) -> Result<Option<Offer>> {
    let credential = token.filter(|_| config.auth_required);
    for spelled in spellings(package.name()) {
        let url = asker::below(index, &path(&spelled))?;
        let page = Page { url: &url, accept: None, credential, max_age: Duration::ZERO };
        let found = asker.read(&page, |document| read(package.name(), &document.bytes, index))?;
        if let Some((name, releases)) = found {
            let (authorized, download) = (config.auth_required, config.dl.clone());
            return Ok(Some(Offer { releases, authorized, download, ..Offer::of(&name, index) }));
        }
    }
    Ok(None)
}

/// The archive of a version: there is one.
pub(super) fn archive(offer: &Offer, release: &Release) -> Option<(Published, Rules, Option<&'static str>)> {
    let top = format!("{}-{}", offer.name, release.version);
    let archive = release.archives.first()?;
    let checksum = &archive.hash.as_ref()?.hex;
    let url = url(&offer.download, &offer.name, &release.version, checksum);
    Some((Published { url, ..archive.clone() }, Rules::Crate { top }, None))
}

/// The configuration of an index, no older than `max_age`; `None` if it is not at hand. One that wants to know
/// who asks says so by refusing.
fn config(
    index: &Url,
    token: Option<&Credential>,
    max_age: Duration,
    asker: &Asker<'_>,
) -> Result<Option<IndexConfig>> {
    let url = asker::below(index, CONFIG)?;
    let ask = |credential| {
        let page = Page { url: &url, accept: None, credential, max_age };
        asker.read(&page, |document| IndexConfig::read(index.as_str(), &document.bytes))
    };
    let found = match (ask(None), token) {
        (Ok(None), Some(_)) => ask(token)?,
        (Err(error), Some(_)) if error.kind() == Kind::NotFoundOrPrivate => {
            // What it said to anybody before does not hold any more.
            asker.documents.forget(&Request::new(&url));
            ask(token)?
        }
        (answer, _) => answer?,
    };
    match found {
        Some(config) => Ok(Some(config)),
        None if asker.when == When::AtHand => Ok(None),
        None => {
            let what = format!("ask the index {}", crate::source::http::shown(index));
            Err(Error::new(Kind::Config, what, format!("it has no {CONFIG}"))
                .hint("check that the configured registry is a sparse index of crates"))
        }
    }
}

impl IndexConfig {
    /// Reads the file; [`Kind::Corrupt`] if it is not one.
    fn read(index: &str, document: &[u8]) -> Result<IndexConfig> {
        let config = serde_json::from_slice(document).map_err(|error| error.to_string());
        let config = config.and_then(|config: IndexConfig| match config.dl.len() > LONGEST_TEXT {
            true => Err("its url is too long".to_owned()),
            false => Ok(config),
        });
        config.map_err(|why| {
            let what = format!("read {CONFIG} of the index {}", crate::redact::redact(index));
            Error::new(Kind::Corrupt, what, metadata::line(&why).unwrap_or_default())
                .hint("check that the configured registry is a sparse index of crates")
        })
    }
}

/// The url of an archive: `dl` of the index, with what its markers stand for.
fn url(dl: &str, name: &str, version: &str, checksum: &str) -> String {
    let markers = ["{crate}", "{version}", "{prefix}", "{lowerprefix}", "{sha256-checksum}"];
    if !markers.iter().any(|marker| dl.contains(marker)) {
        return format!("{}/{name}/{version}/download", dl.trim_end_matches('/'));
    }
    dl.replace("{crate}", name)
        .replace("{version}", version)
        .replace("{prefix}", &prefix(name))
        .replace("{lowerprefix}", &prefix(&name.to_ascii_lowercase()))
        .replace("{sha256-checksum}", checksum)
}

fn prefix(name: &str) -> String {
    match name.len() {
        0..=2 => name.len().to_string(),
        3 => format!("3/{}", &name[..1]),
        _ => format!("{}/{}", &name[..2], &name[2..4]),
    }
}

/// The path of a crate below its index. A name is ASCII: the grammar of keys has seen to that.
fn path(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    format!("{}/{name}", prefix(&name))
}

/// The spellings under which an index may have a crate: an index file has the name as it was published,
/// in lower case, and a user need not know the sort of its dashes. At most this many are asked for.
fn spellings(name: &str) -> Vec<String> {
    const MOST: usize = 8;
    let name = name.to_ascii_lowercase();
    let dashes: Vec<usize> = name.match_indices(['-', '_']).map(|(at, _)| at).collect();
    let with = |bits: usize| {
        let mut spelled = name.clone().into_bytes();
        for (bit, at) in dashes.iter().enumerate() {
            let other = if spelled[*at] == b'-' { b'_' } else { b'-' };
            if bits >> bit & 1 == 1 {
                spelled[*at] = other;
            }
        }
        String::from_utf8(spelled).unwrap_or_default()
    };
    let all = (1_usize << dashes.len().min(20)) - 1;
    // As it was typed, all the other way, all of one sort, then one by one.
    let mut spellings = vec![name.clone(), with(all), name.replace('_', "-"), name.replace('-', "_")];
    spellings.extend((0..dashes.len()).map(|bit| with(1 << bit)));
    let mut seen = std::collections::BTreeSet::new();
    spellings.retain(|one| seen.insert(one.clone()));
    spellings.truncate(MOST);
    spellings
}

/// Reads the file of a crate: its name as it was published, and its versions. Lines that are for later
/// clients are left out, and so are, as by cargo, those that cannot be read.
fn read(name: &str, document: &[u8], index: &Url) -> Result<(String, Vec<Release>)> {
    let what = format!("read what the index says of crates/{name}");
    let broken = |why: String| {
        Error::new(Kind::Corrupt, what.as_str(), metadata::line(&why).unwrap_or_default())
            .hint("check that the configured registry is a sparse index of crates")
    };
    let page = offer::Page::at(index);
    let (mut own, mut releases) = (String::new(), Vec::new());
    for line in document.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
        let format = serde_json::from_slice(line).ok().and_then(|Format { v }| v.or(Some(1)));
        if format.is_none_or(|version| version > 2) {
            continue;
        }
        let Ok(line) = serde_json::from_slice::<Line>(line) else { continue };
        if !super::same_crate(&line.name, name) {
            return Err(broken(format!("it is about {:?}", line.name)));
        }
        let Some(hash) = hash::hex(Algorithm::Sha256, &line.cksum) else { continue };
        if line.vers.len() > LONGEST_NAME {
            continue;
        }
        if releases.len() == MOST {
            return Err(entries::too_many(&what));
        }
        releases.push(Release {
            archives: vec![Published {
                file: format!("{}-{}.crate", line.name, line.vers),
                url: String::new(),
                page: page.clone(),
                hash: Some(hash),
                alternatives: Vec::new(),
                size: None,
                yanked: None,
            }],
            version: line.vers,
            yanked: line.yanked.then(String::new),
            deprecated: false,
            published: line.pubtime.as_deref().and_then(super::time::parse),
        });
        own = line.name;
    }
    match releases.is_empty() {
        true => Err(broken("it has no line that can be read".to_owned())),
        false => Ok((own, releases)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> Url {
        Url::parse("https://index.test/").unwrap()
    }

    fn line(name: &str, version: &str, more: &str) -> String {
        format!("{{\"name\":\"{name}\",\"vers\":\"{version}\",\"cksum\":\"{}\"{more}}}\n", "a".repeat(64))
    }

    #[test]
    fn an_index_file_is_read_line_by_line() {
        let text = line("serde_json", "1.0.0", "")
            + &line("serde_json", "1.0.1", ",\"yanked\":true,\"pubtime\":\"2025-01-02T03:04:05Z\"")
            + "\n"
            + &line("serde_json", "9.0.0", ",\"v\":3")
            + "{\"name\":\"serde_json\",\"vers\":\"9.0.1\",\"v\":3}\n[]\n{\"v\":3,\"name\":[]}\n"
            + "{\"name\":\"serde_json\",\"vers\":\"1.0.2\"}\nnot JSON\n"
            + "{\"name\":\"serde_json\",\"vers\":\"1.0.3\",\"cksum\":\"none\"}\n"
            + &line("serde_json", "1.0.4", ",\"v\":2");
        let (name, releases) = read("serde-json", text.as_bytes(), &index()).unwrap();
        assert_eq!(name, "serde_json");
        let versions: Vec<_> = releases.iter().map(|release| release.version.as_str()).collect();
        assert_eq!(versions, ["1.0.0", "1.0.1", "1.0.4"]);
        assert!(releases[1].yanked.is_some() && releases[1].published.is_some());
        let download = "https://r.test/api/".to_owned();
        let offer = Offer { releases, download, ..Offer::of(&name, &index()) };
        let (first, ..) = archive(&offer, &offer.releases[0]).unwrap();
        assert_eq!(first.url, "https://r.test/api/serde_json/1.0.0/download");
        for text in [
            "",
            "<html>",
            &line("other", "1.0.0", ""),
            "{\"name\":\"serde_json\",\"vers\":\"1\",\"cksum\":\"x\"}",
        ] {
            let error = read("serde_json", text.as_bytes(), &index()).unwrap_err();
            assert_eq!(error.kind(), Kind::Corrupt, "{text}");
        }
    }

    #[test]
    fn archives_are_where_the_index_says() {
        let at = |dl: &str| url(dl, "Serde_json", "1.0.0", "ab");
        assert_eq!(
            at("https://r.test/{crate}/{crate}-{version}.crate"),
            "https://r.test/Serde_json/Serde_json-1.0.0.crate"
        );
        assert_eq!(
            at("https://r.test/{prefix}/{lowerprefix}/{sha256-checksum}"),
            "https://r.test/Se/rd/se/rd/ab"
        );
        assert_eq!(["a", "ab", "abc", "Abcd"].map(path), ["1/a", "2/ab", "3/a/abc", "ab/cd/abcd"]);
    }

    #[test]
    fn a_name_is_asked_for_with_either_sort_of_dash() {
        assert_eq!(spellings("log"), ["log"]);
        assert_eq!(spellings("serde-json"), ["serde-json", "serde_json"]);
        let spelled = spellings("a_b-c");
        assert_eq!(spelled[..4], ["a_b-c", "a-b_c", "a-b-c", "a_b_c"]);
        assert!(spellings(&"a-b_".repeat(10)).len() <= 8);
    }
}
