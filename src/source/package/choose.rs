//! Which version a reference means, as the ecosystem's own client would choose.
//!
//! - npm: a whole version; a dist-tag; of a range the version that `latest` names if it is in the range,
//!   else the highest, deprecated ones last (npm-pick-manifest). Nothing: `latest`.
//! - crates: of a range the highest that is not yanked (cargo). Nothing: the highest without a
//!   prerelease.
//! - pypi: of a range the highest that is not yanked; a prerelease only if the range names one, or if
//!   there is nothing else (PEP 440). Nothing: the same of all.
//! - A part of a version (`18`, `1.2`) is the newest that begins so. A yanked version is had by its
//!   exact version alone.

use std::str::FromStr;

use pep440_rs::{Operator, Version as PepVersion, VersionSpecifiers};

use super::offer::{Offer, Release};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::key::{Kind, Reference, npm_range, npm_version, part_of};

/// How many versions a message names.
const MOST_NAMED: usize = 5;
/// How many tags.
const MOST_TAGS: usize = 20;
/// Longer versions are none that anybody means, in bytes.
const LONGEST: usize = 256;

/// What was chosen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice<'o> {
    pub(super) release: &'o Release,
    /// Whether the same reference may mean another version tomorrow.
    pub(super) moving: bool,
}

/// The version of `offer` that `reference` means. [`ErrorKind::NotFound`], with the nearest ones, if
/// there is none.
pub(super) fn choose<'o>(
    kind: Kind,
    reference: &Reference,
    offer: &'o Offer,
    what: &str,
) -> Result<Choice<'o>> {
    let chosen = match kind {
        Kind::Npm => ranked(offer, npm_version).npm(reference, offer),
        Kind::Crates => ranked(offer, |text| semver::Version::parse(text).ok()).crates(reference),
        Kind::Pypi => ranked(offer, |text| PepVersion::from_str(text).ok()).pypi(reference),
        Kind::Git | Kind::Local => None,
    };
    match chosen {
        Some(release) => {
            Ok(Choice { release, moving: !reference.is_pinned() && !is_whole(kind, reference, release) })
        }
        None => Err(missing(kind, reference, offer, what)),
    }
}

/// Whether a part of a version is a whole one, which exists: of Python projects alone, where many have
/// versions like `2024.1`.
fn is_whole(kind: Kind, reference: &Reference, release: &Release) -> bool {
    let Reference::Range(text) = reference else { return false };
    kind == Kind::Pypi
        && part_of(text).is_some_and(|part| {
            PepVersion::from_str(&release.version).is_ok_and(|version| is_exactly(&version, &part))
        })
}

/// Whether `version` is written with these numbers: 2.0.0 equals 2, but who writes 2 means the newest 2.
fn is_exactly(version: &PepVersion, part: &[u64]) -> bool {
    *version == PepVersion::new(part.iter().copied()) && version.release().len() == part.len()
}

/// Versions that their ecosystem can read, the highest first.
struct Ranked<'o, V> {
    versions: Vec<(V, &'o Release)>,
}

fn ranked<'o, V: Ord>(offer: &'o Offer, parse: impl Fn(&str) -> Option<V>) -> Ranked<'o, V> {
    // What reads as a version but holds blanks or what cannot be seen would not be found again by it.
    let read = |release: &'o Release| {
        let text = Some(release.version.as_str()).filter(|text| is_plain(text))?;
        Some((parse(text)?, release))
    };
    let mut versions: Vec<(V, &Release)> = offer.releases.iter().filter_map(read).collect();
    // Stable: of two that are equal the one that the registry names first.
    versions.sort_by(|(one, _), (other, _)| other.cmp(one));
    Ranked { versions }
}

impl<'o, V> Ranked<'o, V> {
    /// The highest that is not yanked and fits.
    fn highest(&self, fits: impl Fn(&V) -> bool) -> Option<&'o Release> {
        let mut good =
            self.versions.iter().filter(|(version, release)| release.yanked.is_none() && fits(version));
        good.next().map(|(_, release)| *release)
    }

    /// This one, even if it is yanked.
    fn exactly(&self, is_it: impl Fn(&V) -> bool) -> Option<&'o Release> {
        self.versions.iter().find(|(version, _)| is_it(version)).map(|(_, release)| *release)
    }
}

impl<'o> Ranked<'o, deno_semver::Version> {
    fn npm(&self, reference: &Reference, offer: &'o Offer) -> Option<&'o Release> {
        let tagged = |tag: &str| {
            let named = offer.tags.get(tag)?;
            // Of those alone that the grammar of versions lets be.
            self.exactly(|version| version.to_string() == *named)
        };
        match reference {
            Reference::Default => tagged("latest").or_else(|| self.highest(|version| version.pre.is_empty())),
            Reference::DistTag(tag) => tagged(tag),
            Reference::Version(text) => {
                // Build metadata does not tell two versions apart.
                let parts = |version: &deno_semver::Version| {
                    (version.major, version.minor, version.patch, version.pre.clone())
                };
                let wanted = parts(&npm_version(text)?);
                self.exactly(|version| parts(version) == wanted)
            }
            Reference::Range(text) => {
                let range = npm_range(text)?;
                let fits = |release: &Release| {
                    // Also if it is a prerelease.
                    let all = text.trim() == "*";
                    all || npm_version(&release.version).is_some_and(|version| range.satisfies(&version))
                };
                if let Some(latest) = tagged("latest").filter(|release| fits(release) && !release.deprecated)
                {
                    return Some(latest);
                }
                let good = |version: &deno_semver::Version| range.satisfies(version);
                let mut found =
                    self.versions.iter().filter(|(version, _)| good(version)).map(|(_, release)| *release);
                found.clone().find(|release| !release.deprecated).or_else(|| found.next())
            }
            _ => None,
        }
    }
}

impl<'o> Ranked<'o, semver::Version> {
    fn crates(&self, reference: &Reference) -> Option<&'o Release> {
        match reference {
            Reference::Default => {
                self.highest(|version| version.pre.is_empty()).or_else(|| self.highest(|_| true))
            }
            // Build metadata need not be named, but who names one means no other.
            Reference::Version(text) => {
                let wanted = semver::Version::parse(text).ok()?;
                let same = |version: &semver::Version| version.cmp_precedence(&wanted).is_eq();
                let exact = self.exactly(|version| *version == wanted);
                exact.or_else(|| wanted.build.is_empty().then(|| self.exactly(same)).flatten())
            }
            Reference::Range(text) => match part_of(text) {
                Some(part) => self.highest(|version| {
                    version.pre.is_empty() && [version.major, version.minor].starts_with(&part)
                }),
                None => {
                    let range = semver::VersionReq::parse(text).ok()?;
                    self.highest(|version| range.matches(version))
                }
            },
            _ => None,
        }
    }
}

impl<'o> Ranked<'o, PepVersion> {
    fn pypi(&self, reference: &Reference) -> Option<&'o Release> {
        let stable_first = |fits: &dyn Fn(&PepVersion) -> bool| {
            let stable = self.highest(|version| !version.any_prerelease() && fits(version));
            stable.or_else(|| self.highest(fits))
        };
        match reference {
            Reference::Default => stable_first(&|_| true),
            Reference::Version(text) => {
                let wanted = PepVersion::from_str(text).ok()?;
                // Of several spellings that are equal one that is not yanked, as below.
                let is_it = |version: &PepVersion| *version == wanted;
                self.highest(is_it).or_else(|| self.exactly(is_it))
            }
            Reference::Range(text) => {
                if let Some(part) = part_of(text) {
                    if let Some(exact) = self.exactly(|version| is_exactly(version, &part)) {
                        return Some(exact);
                    }
                    return stable_first(&|version| {
                        version.epoch() == 0 && version.release().starts_with(&part)
                    });
                }
                let range = VersionSpecifiers::from_str(text).ok()?;
                // PEP 592: who names one version exactly gets it, though it was yanked, if no other will do.
                if let [only] = &range[..]
                    && matches!(only.operator(), Operator::Equal | Operator::ExactEqual)
                {
                    let is_it = |version: &PepVersion| only.contains(version);
                    return self.highest(is_it).or_else(|| self.exactly(is_it));
                }
                // To exclude one is not to ask for it.
                let asks =
                    |operator: &Operator| !matches!(operator, Operator::NotEqual | Operator::NotEqualStar);
                let names_one =
                    range.iter().any(|one| asks(one.operator()) && one.version().any_prerelease());
                match names_one {
                    true => self.highest(|version| allows(&range, version)),
                    false => stable_first(&|version| allows(&range, version)),
                }
            }
            _ => None,
        }
    }
}

/// Whether all of `range` allow `version`. To pep440_rs `<V` never allows a prerelease of V's own release; to PEP 440
/// it does if V is one itself.
fn allows(range: &VersionSpecifiers, version: &PepVersion) -> bool {
    range.iter().all(|one| match one.operator() {
        Operator::LessThan if one.version().any_prerelease() => version < one.version(),
        _ => one.contains(version),
    })
}

fn is_plain(version: &str) -> bool {
    version.len() <= LONGEST && version.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Why there is no such version, with those that are near.
fn missing(kind: Kind, reference: &Reference, offer: &Offer, what: &str) -> Error {
    let newest = |count: usize| {
        let mut names: Vec<&str> = match kind {
            Kind::Npm => ranked(offer, npm_version).names(|version| !version.pre.is_empty()),
            Kind::Crates => ranked(offer, |text| semver::Version::parse(text).ok())
                .names(|version| !version.pre.is_empty()),
            _ => ranked(offer, |text| PepVersion::from_str(text).ok()).names(PepVersion::any_prerelease),
        };
        names.truncate(count);
        names.join(", ")
    };
    if offer.releases.is_empty() {
        return Error::new(ErrorKind::NotFound, what, "the registry knows it, and has no version of it");
    }
    if offer.releases.iter().all(|release| release.yanked.is_some()) {
        return Error::new(ErrorKind::NotFound, what, "all of its versions were yanked")
            .hint("name a yanked version exactly to get it");
    }
    let text = reference.to_string();
    if let Some(release) = if_nothing_were_yanked(kind, reference, offer) {
        let version = super::metadata::line(&release.version).unwrap_or_default();
        let why = match release.yanked.as_deref().and_then(super::metadata::line) {
            Some(why) if !why.is_empty() => format!("{version} would be it, but was yanked: {why}"),
            _ => format!("{version} would be it, but was yanked"),
        };
        let exact = Reference::exact_version(kind, &release.version).map_or(version, |exact| exact.to_path());
        return Error::new(ErrorKind::NotFound, what, why)
            .hint(format!("write @{exact} to have it nevertheless"));
    }
    let (why, hint) = match reference {
        Reference::DistTag(tag) => {
            let tags: Vec<String> =
                offer.tags.keys().take(MOST_TAGS).filter_map(|tag| super::metadata::line(tag)).collect();
            (format!("it has no tag {tag:?}"), format!("its tags are {}", tags.join(", ")))
        }
        Reference::Version(_) => {
            let known = offer.releases.iter().map(|release| release.version.as_str());
            let mut near: Vec<&str> = known.filter(|text| is_plain(text)).collect();
            near.sort_by_key(|version| distance(version, &text));
            near.truncate(MOST_NAMED);
            (format!("it has no version {text}"), format!("the nearest are {}", near.join(", ")))
        }
        _ => (format!("no version is in the range {text}"), format!("the newest are {}", newest(MOST_NAMED))),
    };
    Error::new(ErrorKind::NotFound, what, why).hint(hint)
}

/// What a reference would mean if no version were yanked, and does not mean for that reason alone.
fn if_nothing_were_yanked<'o>(kind: Kind, reference: &Reference, offer: &'o Offer) -> Option<&'o Release> {
    let releases = offer.releases.iter().map(|release| Release {
        archives: Vec::new(),
        yanked: None,
        ..release.clone()
    });
    let all = Offer { releases: releases.collect(), ..Offer::of(&offer.name, &offer.registry) };
    let chosen = match kind {
        Kind::Crates => ranked(&all, |text| semver::Version::parse(text).ok()).crates(reference),
        Kind::Pypi => ranked(&all, |text| PepVersion::from_str(text).ok()).pypi(reference),
        _ => None,
    }?;
    offer.releases.iter().find(|release| release.version == chosen.version && release.yanked.is_some())
}

impl<'o, V> Ranked<'o, V> {
    /// The highest first, prereleases after all others.
    fn names(&self, is_prerelease: impl Fn(&V) -> bool) -> Vec<&'o str> {
        let good = || self.versions.iter().filter(|(_, release)| release.yanked.is_none());
        let stable = good().filter(|(version, _)| !is_prerelease(version));
        let others = good().filter(|(version, _)| is_prerelease(version));
        stable.chain(others).map(|(_, release)| release.version.as_str()).collect()
    }
}

/// How far a version is from another, for a list of suggestions: first by the numbers that they begin
/// with, then by spelling.
fn distance(version: &str, wanted: &str) -> (usize, usize) {
    let numbers = |text: &str| -> Vec<u64> {
        text.split(['.', '-', '+']).map_while(|number| number.parse().ok()).collect()
    };
    let (one, other) = (numbers(version), numbers(wanted));
    let common = one.iter().zip(&other).take_while(|(a, b)| a == b).count();
    let apart = one.get(common).zip(other.get(common)).map_or(0, |(a, b)| a.abs_diff(*b));
    let apart = usize::try_from(apart).unwrap_or(usize::MAX);
    (usize::MAX - common, apart.saturating_mul(100).saturating_add(strsim::levenshtein(version, wanted)))
}

#[cfg(test)]
mod tests;
