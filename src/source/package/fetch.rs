//! Brings the archive of a version.
//!
//! What was said of it may have been at hand, and old: an archive that is not there, or is not what was
//! said, is asked about once more before it is trouble. Where the registry names another place of the same
//! archive by now, it is fetched from there; where it publishes another archive, [`Kind::Stale`] says so, and
//! what the version is is asked again.

use std::fs::File;
use std::sync::Arc;
use std::time::SystemTime;

use super::asker::{Asker, When};
use super::offer::{Hash, Offer};
use super::verify::Verifier;
use super::{Chosen, Packages, package_of, revision, time};
use crate::error::{Error, Kind, Result};
use crate::fault;
use crate::key::{self, Key};
use crate::source::{Progress, Workplace, http};

/// A larger archive is not fetched, in bytes.
const LARGEST_ARCHIVE: u64 = 4 << 30;

/// An archive that is what was published.
pub(super) struct Arrived {
    pub(super) file: File,
    /// Of those that are published the one that it has.
    pub(super) hash: Hash,
    pub(super) bytes: u64,
    /// What its server says.
    pub(super) modified: Option<SystemTime>,
}

impl Packages {
    /// The archive of what was chosen, or of the same version at the place that is named now.
    pub(super) fn fetch(
        &self,
        what: &str,
        key: &Key,
        chosen: Arc<Chosen>,
        place: Workplace<'_>,
        progress: &Progress,
    ) -> Result<(Arc<Chosen>, Arrived)> {
        let error = match self.download(what, key, &chosen, place, progress) {
            Err(error) if is_of_an_old_answer(error.kind()) => error,
            came => return came.map(|arrived| (chosen, arrived)),
        };
        let version = chosen.about.version.as_str();
        let revision = revision::name(version, &chosen.hash);
        let offer = match self.present_offer(what, key, When::Anew, progress) {
            Ok(offer) => offer,
            Err(gone) if matches!(gone.kind(), Kind::NotFound | Kind::NotFoundOrPrivate) => return Err(gone),
            Err(silent) => return Err(unasked(what, &chosen, error, &silent)),
        };
        let Some(now) = self.find(what, package_of(key)?, &offer, &revision, Some(version)) else {
            return Err(gone(what, Some(version), &offer));
        };
        if now.archive.absolute_url() == chosen.archive.absolute_url() {
            return Err(trouble(what, &chosen, error));
        }
        match self.download(what, key, &now, place, progress) {
            Ok(arrived) => Ok((Arc::new(now), arrived)),
            Err(error) => Err(trouble(what, &now, error)),
        }
    }

    /// The archive, compared with its hash.
    fn download(
        &self,
        what: &str,
        key: &Key,
        chosen: &Chosen,
        place: Workplace<'_>,
        progress: &Progress,
    ) -> Result<Arrived> {
        if self.options.offline {
            return Err(Error::offline(what));
        }
        let mut verifier = Verifier::new(place.directory, chosen.hash.algorithm)?;
        let mut url = chosen.archive.absolute_url().map_err(|error| {
            Error::new(Kind::Corrupt, what, format!("the registry names no url of it: {error}"))
        })?;
        if key.kind() == key::Kind::Npm {
            url = self.registries.npm()?.archive_at(url, &chosen.registry);
        }
        http::redirect::check(what, &chosen.archive.page.url, &url)?;
        let limit = LARGEST_ARCHIVE;
        if chosen.archive.size.is_some_and(|size| size > limit) {
            let why = format!("the archive is larger than {limit} bytes");
            return Err(Error::new(Kind::TooLarge, what, why));
        }
        let when = When::Now;
        let ask = |access| Asker { http: &self.http, documents: &self.documents, access, progress, when };
        let came = match key.kind() {
            key::Kind::Npm => {
                let npm = self.registries.npm()?;
                let credential = npm.credential_for_archive(&url, &chosen.registry);
                ask(&*npm).archive(&url, credential, limit, &mut verifier)
            }
            key::Kind::Crates => {
                let cargo = self.registries.cargo()?;
                // Cargo sends it wherever the index says that archives are; here it stays on its own server.
                let at_home = chosen.authorized && url.origin() == chosen.registry.origin();
                let credential = at_home.then(|| cargo.credential_for(&chosen.registry)).flatten();
                ask(&*cargo).archive(&url, credential, limit, &mut verifier)
            }
            _ => {
                let pypi = self.registries.pypi()?;
                ask(&*pypi).archive(&url, pypi.credential_for(&url), limit, &mut verifier)
            }
        };
        let came = came.map_err(|error| error.during(what))?;
        fault!("package.downloaded")?;
        let (file, hash) = verifier.finish(what, &chosen.hash, &chosen.archive.alternatives)?;
        let modified = came.last_modified.as_deref().and_then(time::of_http);
        Ok(Arrived { file, hash, bytes: came.bytes, modified })
    }
}

/// Whether a registry that names another place or another archive by now would explain it.
fn is_of_an_old_answer(kind: Kind) -> bool {
    matches!(kind, Kind::NotFound | Kind::NotFoundOrPrivate | Kind::Denied | Kind::Corrupt)
}

/// What it means that the registry has no such revision: the version is gone, or something else by now.
pub(super) fn gone(what: &str, version: Option<&str>, offer: &Offer) -> Error {
    if version.is_some_and(|version| offer.releases.iter().any(|release| release.version == version)) {
        return Error::new(Kind::Stale, what, "the registry publishes another archive of it than before")
            .hint("try again");
    }
    offer.lacks(what, Error::new(Kind::NotFound, what, "the registry has no such version any more"))
}

/// What it means that the archive is not there: a version that the registry still lists exists, so that is
/// trouble. It may just have been published, or its archive be for others.
fn trouble(what: &str, chosen: &Chosen, error: Error) -> Error {
    if !matches!(error.kind(), Kind::NotFound | Kind::NotFoundOrPrivate) {
        return error;
    }
    let mut why = format!("the registry lists it, but its archive is not there: {}", error.why());
    let url = chosen.archive.absolute_url();
    if chosen.authorized && url.is_ok_and(|url| url.origin() != chosen.registry.origin()) {
        why += "; the token of the index was not sent there, because it is another server";
    }
    Error::new(Kind::Network, what, why)
        .hint("try again, it may just have been published; if it stays so, tell who runs the registry")
}

/// The same where the registry cannot be asked whether it still lists it.
fn unasked(what: &str, chosen: &Chosen, error: Error, silent: &Error) -> Error {
    match error.kind() {
        Kind::Corrupt => {
            let why = format!("{}; asked again what it publishes, it failed: {}", error.why(), silent.why());
            Error::new(Kind::Corrupt, what, why).hint("try again")
        }
        _ => trouble(what, chosen, error),
    }
}
