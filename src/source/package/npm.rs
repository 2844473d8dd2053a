//! What npm's registry says of a package: a packument, also in its abbreviated form.
//!
//! <https://github.com/npm/registry/blob/main/docs/responses/package-metadata.md>

use std::time::Duration;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use url::Url;

use super::asker::{self, Asker, Page};
use super::entries::{Named, Text};
use super::hash;
use super::metadata;
use super::offer::{self, Hash, Offer, Published, Release};
use super::said::Said;
use crate::error::{Error, Kind, Result};
use crate::key::Package;
use crate::source::archive::Rules;
use crate::source::registry::Npm;

/// Asks for the form that has what installing needs, a tenth of the whole.
const ACCEPT: &str = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*";

#[derive(Deserialize)]
struct Packument {
    /// Which package it is about. Some registries leave it out, and npm does not miss it.
    #[serde(default)]
    name: Option<String>,
    #[serde(default, rename = "dist-tags")]
    tags: Named<Text>,
    #[serde(default)]
    versions: Option<Named<Manifest>>,
    /// When each was published; in the whole form alone.
    #[serde(default)]
    time: Named<Text>,
}

#[derive(Deserialize)]
struct Manifest {
    dist: Dist,
    #[serde(default, deserialize_with = "is_deprecated")]
    deprecated: bool,
}

#[derive(Deserialize)]
struct Dist {
    tarball: Text,
    #[serde(default)]
    integrity: Option<Text>,
    #[serde(default)]
    shasum: Option<Text>,
}

impl Dist {
    /// The strongest there are.
    fn hashes(&self) -> Vec<Hash> {
        let strong = self.integrity.as_ref().map(|text| hash::strongest_of_integrity(&text.0));
        let weak = || self.shasum.as_ref().and_then(|text| hash::sha1(&text.0));
        strong.filter(|hashes| !hashes.is_empty()).unwrap_or_else(|| weak().into_iter().collect())
    }
}

/// A sentence, and in old documents also `true` or `false`. An empty sentence takes it back.
fn is_deprecated<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(match Said::deserialize(deserializer)? {
        Said::No => false,
        Said::Yes => true,
        Said::Why(why) => !why.is_empty(),
    })
}

/// What the registry of `package` has of it.
pub(super) fn offer(package: &Package, npm: &Npm, asker: &Asker<'_>) -> Result<Option<Offer>> {
    let registry = match package.registry() {
        Some(url) => asker::registry_at(url)?,
        None => npm.registry_of(package.name())?,
    };
    let url = asker::below(&registry, &path(package.name()))?;
    let credential = npm.credential_for(&url);
    let page =
        Page { url: &url, accept: Some(ACCEPT), credential: credential.as_ref(), max_age: Duration::ZERO };
    asker.read(&page, |document| read(package.name(), &document.bytes, &registry))
}

/// The archive of a version: there is one.
pub(super) fn archive(release: &Release) -> Option<(Published, Rules, Option<&'static str>)> {
    Some((release.archives.first()?.clone(), Rules::Npm, None))
}

/// The path of a package below its registry.
fn path(name: &str) -> String {
    name.replace('/', "%2f")
}

/// Reads a packument. [`Kind::Corrupt`] if it is none, or is about another package.
fn read(name: &str, document: &[u8], registry: &Url) -> Result<Offer> {
    let what = format!("read what the registry says of npm/{name}");
    let broken = |why: String| {
        Error::new(Kind::Corrupt, what.as_str(), metadata::line(&why).unwrap_or_default())
            .hint("check that the configured registry is one of npm")
    };
    // A byte that is no text is in a description, which nobody reads here.
    let document = String::from_utf8_lossy(document);
    let packument: Packument = match serde_json::from_str(&document) {
        Ok(packument) => packument,
        Err(error) if serde_json::from_str::<IgnoredAny>(&document).is_err() => {
            return Err(broken(format!("it is not JSON: {error}")));
        }
        Err(error) => return Err(broken(format!("it is no packument: {error}"))),
    };
    let Packument { name: own, tags, versions, time } = packument;
    match &own {
        Some(own) if own != name => return Err(broken(format!("it is about {own:?}"))),
        // It may be anything, and must not tell that there is no version.
        None if versions.is_none() => {
            return Err(broken("it is no packument: it has neither a name nor versions".to_owned()));
        }
        _ => {}
    }
    let versions = versions.unwrap_or_default();
    if versions.is_unreadable() {
        return Err(broken("none of its versions can be read".to_owned()));
    }
    let (tags, time) = (tags.read(&what)?, time.read(&what)?);
    let page = offer::Page::at(registry);
    let release = |(version, manifest): (String, Manifest)| {
        let Manifest { dist, deprecated } = manifest;
        // A query may hold a secret, and is no part of the name.
        let url = registry.join(&dist.tarball.0).ok();
        let last = url.as_ref().and_then(|url| url.path_segments()?.next_back());
        let mut hashes = dist.hashes().into_iter();
        let archive = Published {
            file: last.unwrap_or_default().to_owned(),
            hash: hashes.next(),
            alternatives: hashes.collect(),
            url: dist.tarball.0,
            page: page.clone(),
            size: None,
            yanked: None,
        };
        let published = time.get(&version).and_then(|time| super::time::parse(&time.0));
        Release { version, yanked: None, deprecated, archives: vec![archive], published }
    };
    Ok(Offer {
        releases: versions.read(&what)?.into_iter().map(release).collect(),
        tags: tags.into_iter().map(|(tag, Text(version))| (tag, version)).collect(),
        ..Offer::of(name, registry)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::package::offer::Algorithm;

    const REACT: &str = r#"{
        "name": "@scope/lib", "modified": "2024-01-01T00:00:00.000Z",
        "dist-tags": {"latest": "1.1.0", "next": "2.0.0-rc.1"},
        "time": {"created": "2020-01-01T00:00:00.000Z", "1.1.0": "2021-02-03T04:05:06.789Z"},
        "versions": {
            "1.0.0": {"name": "@scope/lib", "version": "1.0.0", "deprecated": "use 1.1",
                "dist": {"tarball": "http://registry.test/@scope/lib/-/lib-1.0.0.tgz",
                    "shasum": "da39a3ee5e6b4b0d3255bfef95601890afd80709"}},
            "1.1.0": {"name": "@scope/lib", "version": "1.1.0", "deprecated": "",
                "dist": {"tarball": "http://registry.test/@scope/lib/-/lib-1.1.0.tgz",
                    "shasum": "da39a3ee5e6b4b0d3255bfef95601890afd80709",
                    "integrity": "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk= sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg=="}},
            "2.0.0-rc.1": {"dist": {"tarball": "http://registry.test/x.tgz"}}
        }}"#;

    fn registry() -> Url {
        Url::parse("https://registry.test/").unwrap()
    }

    #[test]
    fn a_packument_is_read_with_its_tags_and_strongest_hashes() {
        let offer = read("@scope/lib", REACT.as_bytes(), &registry()).unwrap();
        assert_eq!(offer.tags["next"], "2.0.0-rc.1");
        let by = |version: &str| offer.releases.iter().find(|release| release.version == version).unwrap();
        let hash = |version: &str| by(version).archives[0].hash.as_ref().map(|hash| hash.algorithm);
        assert_eq!(hash("1.0.0"), Some(Algorithm::Sha1));
        assert_eq!(hash("1.1.0"), Some(Algorithm::Sha512));
        assert_eq!(hash("2.0.0-rc.1"), None);
        assert!(by("1.0.0").deprecated && !by("1.1.0").deprecated);
        assert_eq!(by("1.1.0").archives[0].file, "lib-1.1.0.tgz");
        assert!(by("1.1.0").published.is_some() && by("1.0.0").published.is_none());
        assert_eq!(path("@scope/lib"), "@scope%2flib");
    }

    #[test]
    fn an_odd_part_hides_nothing_of_the_others() {
        let dist = r#""dist": {"tarball": "https://registry.test/x.tgz", "integrity": null}"#;
        let read = |more: &str| {
            let document = format!(
                "{{\"name\": \"x\", {more} \"versions\": {{\"1.0.0\": {{{dist}}}, \"1.0.1\": {{}}, \"1.0.2\": null,
                \"1.0.3\": {{\"dist\": {{}}}}, \"1.0.4\": {{\"dist\": {{\"tarball\": []}}}}, \"1.0.5\": {{{dist},
                \"deprecated\": {{}}, \"readme\": [[[]]]}}, \"1.0.6\": {{{dist}, {dist}}}}}}}"
            );
            let mut document = document.into_bytes();
            let at = document.windows(6).position(|word| word == b"readme").unwrap();
            document[at] = 0xff;
            super::read("x", &document, &registry())
        };
        for more in
            ["", "\"time\": null,", "\"dist-tags\": null,", "\"time\": {\"1.0.0\": {}, \"unpublished\": {}},"]
        {
            let versions: Vec<_> =
                read(more).unwrap().releases.into_iter().map(|release| release.version).collect();
            assert_eq!(versions, ["1.0.0", "1.0.5"], "{more}");
        }
        let tags = read("\"dist-tags\": {\"latest\": \"1.0.0\", \"odd\": 5},").unwrap().tags;
        assert_eq!(tags.into_keys().collect::<Vec<_>>(), ["latest"]);
    }

    #[test]
    fn a_packument_need_not_say_whose_it_is() {
        let document = r#"{"versions": {"1.0.0": {"dist": {"tarball": "http://registry.test/x.tgz"}}}}"#;
        let offer = read("x", document.as_bytes(), &registry()).unwrap();
        assert_eq!((offer.name.as_str(), offer.releases[0].version.as_str()), ("x", "1.0.0"));
    }

    #[test]
    fn what_is_no_packument_of_that_package_is_refused() {
        for document in [
            r#"{"error": "come back later"}"#,
            r#"{"name": null, "versions": null}"#,
            "",
            "<html>",
            "[]",
            "{}",
            r#"{"name": "other"}"#,
            r#"{"name": "x", "versions": []}"#,
            r#"{"name": "x", "versions": {"1": {}}}"#,
        ] {
            assert_eq!(
                read("x", document.as_bytes(), &registry()).unwrap_err().kind(),
                Kind::Corrupt,
                "{document}"
            );
        }
    }
}
