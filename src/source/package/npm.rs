//! What npm's registry says of a package: a packument, also in its abbreviated form.
//!
//! <https://github.com/npm/registry/blob/main/docs/responses/package-metadata.md>

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use url::Url;

use super::asker::{self, Asker, Page};
use super::hash;
use super::metadata;
use super::offer::{self, Offer, Published, Release};
use super::said::Said;
use crate::error::{Error, Kind, Result};
use crate::key::Package;
use crate::source::archive::Rules;
use crate::source::registry::Npm;

/// Asks for the form that has what installing needs, a tenth of the whole.
const ACCEPT: &str = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*";

#[derive(Deserialize)]
struct Packument {
    name: String,
    #[serde(default, rename = "dist-tags")]
    tags: BTreeMap<String, String>,
    #[serde(default)]
    versions: BTreeMap<String, Manifest>,
    /// When each was published; in the whole form alone.
    #[serde(default)]
    time: BTreeMap<String, Said>,
}

#[derive(Deserialize)]
struct Manifest {
    dist: Dist,
    /// A sentence, and in old documents also `true` or `false`.
    #[serde(default)]
    deprecated: Said,
}

#[derive(Deserialize)]
struct Dist {
    tarball: String,
    #[serde(default)]
    integrity: Option<String>,
    #[serde(default)]
    shasum: Option<String>,
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
pub(super) fn archive(release: &Release) -> Option<(&Published, Rules, Option<&'static str>)> {
    Some((release.archives.first()?, Rules::Npm, None))
}

/// The path of a package below its registry.
fn path(name: &str) -> String {
    name.replace('/', "%2f")
}

/// Reads a packument. [`Kind::Corrupt`] if it is none, or is about another package.
fn read(name: &str, document: &[u8], registry: &Url) -> Result<Offer> {
    let broken = |why: String| {
        Error::new(
            Kind::Corrupt,
            format!("read what the registry says of npm/{name}"),
            metadata::line(&why).unwrap_or_default(),
        )
        .hint("check that the configured registry is one of npm")
    };
    let packument: Packument = match serde_json::from_slice(document) {
        Ok(packument) => packument,
        Err(error) if serde_json::from_slice::<IgnoredAny>(document).is_err() => {
            return Err(broken(format!("it is not JSON: {error}")));
        }
        Err(error) => return Err(broken(format!("it is no packument: {error}"))),
    };
    if packument.name != name {
        return Err(broken(format!("it is about {:?}", packument.name)));
    }
    let Packument { name, tags, versions, time } = packument;
    let page = offer::Page::at(registry);
    let release = |(version, manifest): (String, Manifest)| {
        let Manifest { dist, deprecated } = manifest;
        // An empty sentence takes it back.
        let deprecated = deprecated == Said::Yes || matches!(&deprecated, Said::Why(why) if !why.is_empty());
        let published = match time.get(&version) {
            Some(Said::Why(time)) => super::time::parse(time),
            _ => None,
        };
        // A query may hold a secret, and is no part of the name.
        let url = registry.join(&dist.tarball).ok();
        let last = url.as_ref().and_then(|url| url.path_segments()?.next_back());
        let file = last.unwrap_or_default().to_owned();
        let hash = hash::strongest_of_integrity(dist.integrity.as_deref().unwrap_or_default());
        let sha1 = || dist.shasum.as_deref().and_then(hash::sha1);
        Release {
            version,
            yanked: None,
            deprecated,
            archives: vec![Published {
                file,
                url: dist.tarball,
                page: page.clone(),
                hash: hash.or_else(sha1),
                size: None,
                yanked: None,
            }],
            published,
        }
    };
    Ok(Offer { releases: versions.into_iter().map(release).collect(), tags, ..Offer::of(&name, registry) })
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
    fn what_is_no_packument_of_that_package_is_refused() {
        for document in ["", "<html>", "[]", "{}", r#"{"name": "other"}"#, r#"{"name": "x", "versions": []}"#]
        {
            assert_eq!(
                read("x", document.as_bytes(), &registry()).unwrap_err().kind(),
                Kind::Corrupt,
                "{document}"
            );
        }
    }
}
