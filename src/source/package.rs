//! Source trees from published packages: npm, crates, Python projects.
//!
//! | file | what it knows |
//! |---|---|
//! | `asker` | how a registry is asked |
//! | `offer`, `hash`, `time`, `said` | what a registry has of a package |
//! | `entries` | how the parts of a document are read, an odd one beside good ones too |
//! | `npm`, `crates`, `pypi` | how each registry says it, and which archive is shown |
//! | `choose` | which version a reference means |
//! | `revision` | what a version with its hash is called |
//! | `fetch` | how its archive is brought, and what it means if it is not there |
//! | `verify` | whether what came is what was published |
//! | `metadata` | what a package tells about itself |
//!
//! Resolving reads what the registry says of the package; of an exact version, which can never change, that
//! is only asked for if it is not at hand. Preparing fetches one archive, compares it with the hash that the
//! registry publishes, and only then reads it ([`super::archive`]). Nothing of a package is run, and of an
//! ecosystem's client only what says which registry is its default ([`super::registry`]).
//!
//! Fails as [`super::http`] does; with `NotFound`, naming the nearest versions, where the registry has no
//! such version; with `Corrupt` where it does not speak its own format or an archive is not what was
//! published; with `Unsupported` where no hash is published or an archive is refused.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use url::Url;

use super::archive::{Archive, Limits, Unpacked};
use super::http::{Http, documents::Documents};
use super::registry::Registries;
use super::{About, LeftOut, Prepared, Progress, Resolved, Revision, Source, Workplace};
use crate::error::{Error, Kind, Result};
use crate::fault;
use crate::key::{self, Key, Origin, Package, Reference, part_of};
use asker::{Asker, When};
use offer::{Algorithm, Hash, Offer, Published, Release};

mod asker;
mod choose;
mod crates;
mod entries;
mod fetch;
mod hash;
mod metadata;
mod npm;
mod offer;
mod pypi;
mod revision;
mod said;
mod time;
mod verify;

/// How many resolved versions are kept in mind until they are fetched.
const MOST_CHOSEN: usize = 1024;
/// How many entries that are not shown are named.
const MOST_LEFT_OUT: usize = 100;

/// How packages are had.
#[derive(Clone, Copy, Debug, Default)]
pub struct PackageOptions {
    /// Ask nobody: what is not at hand fails with [`Kind::Offline`].
    pub offline: bool,
    /// Also show archives of which no stronger hash than SHA-1 is published.
    pub weak_hashes: bool,
}

/// Source trees from registries of packages.
pub struct Packages {
    http: Http,
    documents: Documents,
    registries: Arc<Registries>,
    options: PackageOptions,
    /// What was resolved, for the fetch that follows.
    chosen: Mutex<HashMap<(Key, Revision), Arc<Chosen>>>,
}

/// A version whose archive can be fetched.
#[derive(Clone, Debug)]
struct Chosen {
    archive: Published,
    hash: Hash,
    rules: super::archive::Rules,
    authorized: bool,
    registry: Url,
    published: Option<SystemTime>,
    /// All but what only the archive tells.
    about: About,
}

impl Packages {
    /// Asks the registries that `asked` names, and keeps what they say in `documents`.
    pub fn new(http: Http, documents: Documents, asked: Arc<Registries>, options: PackageOptions) -> Self {
        Packages { http, documents, registries: asked, options, chosen: Mutex::default() }
    }

    /// What the registry has of a package; `None` if it knows no such package, or if it is not at hand.
    fn offer(&self, package: &Package, when: When, progress: &Progress) -> Result<Option<Offer>> {
        let ask = |access| Asker { http: &self.http, documents: &self.documents, access, progress, when };
        match package.kind() {
            key::Kind::Npm => {
                let npm = self.registries.npm()?;
                npm::offer(package, &npm, &ask(&*npm))
            }
            key::Kind::Crates => {
                let cargo = self.registries.cargo()?;
                crates::offer(package, &cargo, &ask(&*cargo))
            }
            key::Kind::Pypi => {
                let pypi = self.registries.pypi()?;
                pypi::offer(package, &pypi, &ask(&*pypi))
            }
            key::Kind::Git | key::Kind::Local => Ok(None),
        }
    }

    /// The same of a registry that is asked, [`When::Now`] or [`When::Anew`].
    fn present_offer(&self, what: &str, key: &Key, when: When, progress: &Progress) -> Result<Offer> {
        if self.options.offline {
            return Err(Error::offline(what));
        }
        let package = package_of(key)?;
        let offer = self.offer(package, when, progress).map_err(|error| error.during(what))?;
        offer.ok_or_else(|| {
            let error = Error::new(Kind::NotFound, what, format!("the registry has no {package}"));
            match self.asked(package) {
                Some(registry) => error.hint(format!("check its spelling; {registry} was asked")),
                None => error.hint("check its spelling"),
            }
        })
    }

    /// Where a package is asked for.
    fn asked(&self, package: &Package) -> Option<String> {
        let urls = match (package.registry(), package.kind()) {
            (Some(_), _) => return None,
            (None, key::Kind::Npm) => vec![self.registries.npm().ok()?.registry_of(package.name()).ok()?],
            (None, key::Kind::Crates) => vec![self.registries.cargo().ok()?.default_index().ok()?],
            (None, _) => self.registries.pypi().ok()?.indexes().ok()?,
        };
        let urls: Vec<String> = urls.iter().map(super::http::shown).collect();
        Some(urls.join(", "))
    }

    /// The version that `reference` means, and its archive.
    fn chosen(&self, what: &str, key: &Key, reference: &Reference, offer: &Offer) -> Result<(Chosen, bool)> {
        let package = package_of(key)?;
        let choice = choose::choose(package.kind(), reference, offer, what);
        let choice = choice.map_err(|error| offer.lacks(what, error))?;
        Ok((self.archive_of(what, package, offer, choice.release)?, choice.moving))
    }

    /// How a version can be fetched.
    fn archive_of(&self, what: &str, package: &Package, offer: &Offer, release: &Release) -> Result<Chosen> {
        let version = &release.version;
        let refused = |kind, why: String, hint: &str| Error::new(kind, what, why).hint(hint.to_owned());
        let (archive, rules, why) = match package.kind() {
            key::Kind::Npm => npm::archive(release),
            key::Kind::Crates => crates::archive(offer, release),
            _ => pypi::archive(package.name(), release),
        }
        .ok_or_else(|| {
            let why = match package.kind() {
                key::Kind::Pypi => pypi::unreadable(package.name(), release),
                _ => format!("version {version} has no archive"),
            };
            refused(Kind::Unsupported, why, "choose another version, or its repository below git/")
        })?;
        let hash = match &archive.hash {
            Some(hash) if hash.algorithm > Algorithm::Sha1 || self.options.weak_hashes => hash.clone(),
            Some(_) => {
                let why = format!("the registry publishes only a SHA-1 of {}", archive.file);
                let hint = "write weak_hashes = true into the configuration to trust it";
                return Err(refused(Kind::Unsupported, why, hint));
            }
            None => {
                let why = format!(
                    "the registry publishes no hash of {}, so nothing could tell whether it is right",
                    archive.file
                );
                return Err(refused(Kind::Unsupported, why, "tell who runs the registry"));
            }
        };
        let yanked = archive.yanked.clone().or_else(|| release.yanked.clone());
        let about = About {
            name: offer.name.clone(),
            version: version.clone(),
            archive: metadata::line(&archive.file).unwrap_or_default(),
            chosen: why.map(str::to_owned),
            others: release.others(package.kind(), &hash),
            hash: hash::written(package.kind(), &hash),
            published: release.published.and_then(seconds),
            yanked,
            ..About::default()
        };
        Ok(Chosen {
            archive,
            hash,
            rules,
            authorized: offer.authorized,
            registry: offer.registry.clone(),
            published: release.published,
            about,
        })
    }

    /// What was resolved before, in this process or another one.
    fn recall(&self, key: &Key, resolved: &Resolved, progress: &Progress) -> Result<Arc<Chosen>> {
        let place = (key.clone(), resolved.revision.clone());
        if let Some(chosen) = self.kept().remove(&place) {
            return Ok(chosen);
        }
        let what = format!("fetch {}", key.at(&resolved.revision));
        let package = package_of(key)?;
        let named = resolved.full_name.as_deref();
        let find = |offer: &Offer| self.find(&what, package, offer, &resolved.revision, named).map(Arc::new);
        if let Some(found) = self.offer(package, When::AtHand, progress)?.as_ref().and_then(find) {
            return Ok(found);
        }
        let offer = self.present_offer(&what, key, When::Now, progress)?;
        find(&offer).ok_or_else(|| fetch::gone(&what, named, &offer))
    }

    /// The version of an offer that has this revision; `version` is what it is called, if that is known.
    fn find(
        &self,
        what: &str,
        package: &Package,
        offer: &Offer,
        revision: &Revision,
        version: Option<&str>,
    ) -> Option<Chosen> {
        let mut releases = offer.releases.iter().filter(|one| version.is_none_or(|name| name == one.version));
        releases.find_map(|release| {
            let chosen = self.archive_of(what, package, offer, release).ok()?;
            (revision::name(&release.version, &chosen.hash) == *revision).then_some(chosen)
        })
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<(Key, Revision), Arc<Chosen>>> {
        self.chosen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for Packages {
    fn resolve(
        &self,
        key: &Key,
        reference: &Reference,
        _: &[Revision],
        progress: &Progress,
    ) -> Result<Resolved> {
        let what = format!("resolve {}", reference.of(key));
        let package = package_of(key)?;
        // What never changes may be at hand, and of Python projects a part of a version may be a whole one.
        let may_be_exact =
            reference.is_pinned() || matches!(reference, Reference::Range(text) if part_of(text).is_some());
        let at_hand = match may_be_exact {
            true => self.offer(package, When::AtHand, progress)?,
            false => None,
        };
        let known = at_hand.and_then(|offer| self.chosen(&what, key, reference, &offer).ok());
        let known = known.filter(|(_, moving)| !moving);
        let (chosen, moving) = match known {
            Some(known) => known,
            None => {
                let offer = self.present_offer(&what, key, When::Now, progress)?;
                self.chosen(&what, key, reference, &offer)?
            }
        };
        let version = chosen.about.version.clone();
        let revision = revision::name(&version, &chosen.hash);
        let mut kept = self.kept();
        if kept.len() >= MOST_CHOSEN {
            kept.clear();
        }
        kept.insert((key.clone(), revision.clone()), Arc::new(chosen));
        drop(kept);
        fault!("package.resolved")?;
        Ok(Resolved { revision, full_name: Some(version), moving })
    }

    fn prepare(
        &self,
        key: &Key,
        resolved: &Resolved,
        place: Workplace<'_>,
        progress: &Progress,
    ) -> Result<Prepared> {
        let chosen = self.recall(key, resolved, progress)?;
        let title = format!("{}/{}@{}", key.kind().as_str(), chosen.about.name, chosen.about.version);
        let what = format!("fetch {title}");
        let (chosen, arrived) = self.fetch(&what, key, chosen, place, progress)?;
        let archive = Archive { title, rules: chosen.rules.clone(), limits: Limits::default() };
        let Unpacked { tree, modified, skipped, metadata } = archive.unpack(arrived.file, place, progress)?;
        fault!("package.unpacked")?;
        let mut about = chosen.about.clone();
        about.hash = hash::written(key.kind(), &arrived.hash);
        if let Some(file) = metadata {
            metadata::read(key.kind(), &file, &mut about);
        }
        about.left_out_count = skipped.len() as u64;
        about.left_out = skipped
            .into_iter()
            .take(MOST_LEFT_OUT)
            .map(|skipped| {
                let name = String::from_utf8_lossy(&skipped.name).into_owned();
                LeftOut { name: metadata::line(&name).unwrap_or_default(), why: skipped.why }
            })
            .collect();
        Ok(Prepared {
            revision: resolved.revision.clone(),
            tree: tree.hex(),
            // npm packs all files with one time of long ago, so when it was published says more; and of that
            // its registry says nothing in the short form of its answer, but the server of the archive does.
            modified: chosen.published.or(arrived.modified).unwrap_or(modified),
            transferred: arrived.bytes,
            stamp: None,
            about: Some(about),
        })
    }
}

/// The package of a key that the caller has chosen this source for.
fn package_of(key: &Key) -> Result<&Package> {
    match key.origin() {
        Origin::Package(package) => Ok(package),
        _ => Err(Error::new(Kind::Unsupported, format!("fetch {key}"), "it is no package")),
    }
}

/// Whether two names are one crate.
fn same_crate(one: &str, other: &str) -> bool {
    let normal = |name: &str| name.to_ascii_lowercase().replace('_', "-");
    normal(one) == normal(other)
}

fn seconds(time: SystemTime) -> Option<u64> {
    time.duration_since(UNIX_EPOCH).ok().as_ref().map(Duration::as_secs)
}
