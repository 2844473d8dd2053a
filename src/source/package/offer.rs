//! What a registry has of a package, in the words that all ecosystems share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use url::Url;

use crate::error::{Error, Kind};

/// Everything that a registry has of one package.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    /// The name as the registry writes it.
    pub(super) name: String,
    /// Its versions, in the registry's order.
    pub(super) releases: Vec<Release>,
    /// What dist-tags name (npm).
    pub(super) tags: BTreeMap<String, String>,
    /// The registry that says so.
    pub(super) registry: Url,
    /// Whether that registry wants to know who asks, for its archives too (crates).
    pub(super) authorized: bool,
    /// What the urls of its archives are made of, if all are made alike (crates).
    pub(super) download: String,
    /// An index that would not say what it has, if others were asked, too (pypi).
    pub(super) refused: Option<Error>,
}

impl Offer {
    /// Of a package with that name, nothing yet.
    pub(super) fn of(name: &str, registry: &Url) -> Self {
        Offer {
            name: name.to_owned(),
            releases: Vec::new(),
            tags: BTreeMap::new(),
            registry: registry.clone(),
            authorized: false,
            download: String::new(),
            refused: None,
        }
    }

    /// What it means that something is not in it, which `absent` says: one that refused may have it.
    pub(super) fn lacks(&self, what: &str, absent: Error) -> Error {
        match &self.refused {
            Some(refused) if absent.kind() == Kind::NotFound => refused.clone().during(what),
            _ => absent,
        }
    }
}

/// One version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Release {
    /// As the registry writes it.
    pub(super) version: String,
    /// Taken back by its authors: had by its exact version alone. Why, if they said so, as one line.
    pub(super) yanked: Option<String>,
    /// Discouraged by its authors (npm): not chosen from a range if another will do.
    pub(super) deprecated: bool,
    /// The archives that it was published as; one for npm and crates.
    pub(super) archives: Vec<Published>,
    /// When it was published, if the registry says so.
    pub(super) published: Option<SystemTime>,
}

/// How many hashes of other archives are kept: more than any version has.
const MOST_OTHERS: usize = 1000;

impl Release {
    /// The hashes of all its archives but that with `hash`, as the registry writes them.
    pub(super) fn others(&self, kind: crate::key::Kind, hash: &Hash) -> Vec<String> {
        let all = self.archives.iter().filter_map(|archive| archive.hash.as_ref());
        let others = all.filter(|other| *other != hash).take(MOST_OTHERS);
        others.map(|other| super::hash::written(kind, other)).collect()
    }
}

/// A published archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Published {
    /// Its file name.
    pub(super) file: String,
    /// Where it is, perhaps relative to the base of its page; empty until it is chosen, if all urls are made alike.
    pub(super) url: String,
    /// Where that is said. All archives of a page share it.
    pub(super) page: Arc<Page>,
    /// Its strongest published hash.
    pub(super) hash: Option<Hash>,
    /// Others of that algorithm, of which it may have one instead (npm).
    pub(super) alternatives: Vec<Hash>,
    /// Its size in bytes, if the registry says so.
    pub(super) size: Option<u64>,
    /// Taken back by itself (pypi): why, if that was said, as one line.
    pub(super) yanked: Option<String>,
}

impl Published {
    /// Its url.
    pub(super) fn absolute_url(&self) -> Result<Url, url::ParseError> {
        self.page.base.join(&self.url)
    }
}

/// What names archives: of several indexes each names its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// Where it came from, which decides where it may lead.
    pub(super) url: Url,
    /// What its links are relative to.
    pub(super) base: Url,
}

impl Page {
    /// The one at `url`, which says nothing of a base.
    pub(super) fn at(url: &Url) -> Arc<Self> {
        Arc::new(Page { url: url.clone(), base: url.clone() })
    }
}

/// A published hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hash {
    /// Which it is.
    pub(super) algorithm: Algorithm,
    /// In lower-case hexadecimal digits.
    pub(super) hex: String,
}

/// Hashes that registries publish, the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Algorithm {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Algorithm {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Algorithm::Sha1 => "sha1",
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha384 => "sha384",
            Algorithm::Sha512 => "sha512",
        }
    }
}
