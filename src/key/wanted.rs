//! Which versions of a package a reference asks for, by the rules of its ecosystem.
//!
//! | text | npm | crates | pypi |
//! |---|---|---|---|
//! | a whole version | that one | that one | that one |
//! | a part of one (`18`, `1.2`) | the newest that begins so | the same | that one if it exists, else the newest that begins so |
//! | a range | as npm's | as cargo's | as PEP 440's |
//! | another word | a dist-tag | - | - |

use std::str::FromStr;

use deno_semver::{Version, VersionRangeSet};
use pep440_rs::{Version as PepVersion, VersionSpecifiers};

use super::{Kind, Reference, refuse_invisible};
use crate::error::{Error, Kind as ErrorKind, Result};

/// Longer than any that a person writes.
const LONGEST: usize = 200;

/// What `text` after the `@` of a package of `kind` means. Fails with [`ErrorKind::Invalid`].
pub(super) fn parse(kind: Kind, text: &str) -> Result<Reference> {
    refuse_invisible("the version", text)?;
    let text = text.trim();
    if text.is_empty() {
        return Ok(Reference::Default);
    }
    let invalid = |why: &str, hint: &str| {
        let error = Error::new(ErrorKind::Invalid, format!("read the version {text:?}"), why.to_owned());
        Err(error.hint(hint.to_owned()))
    };
    if text.len() > LONGEST {
        return invalid("it is longer than 200 bytes", "write a version or a range");
    }
    if !text.is_ascii() {
        return invalid("it holds a character that no version has", "write a version or a range");
    }
    let found = match kind {
        Kind::Npm => npm(text),
        Kind::Crates => crates(text),
        Kind::Pypi => pypi(text),
        Kind::Git | Kind::Local => None,
    };
    match (found, kind) {
        (Some(reference), _) => Ok(reference),
        (None, Kind::Npm) => {
            invalid("npm knows no such version, range or tag", "write one like 18.2.0, ^18, 18 or next")
        }
        (None, Kind::Crates) => invalid(
            "cargo knows no such version or range",
            "write one like 1.38.0, ^1.38, 1.38 or >=1, <1.39",
        ),
        (None, _) => {
            invalid("PEP 440 knows no such version or range", "write one like 2.31.0, ~=2.31, 2 or >=2,<3")
        }
    }
}

/// Exactly the version `text`. Fails with [`ErrorKind::Invalid`] if it is no version there.
pub(super) fn exact(kind: Kind, text: &str) -> Result<Reference> {
    let version = match kind {
        Kind::Npm => npm_version(text).map(|version| version.to_string()),
        Kind::Crates => semver::Version::parse(text).ok().map(|version| version.to_string()),
        // `2` is equal to `2.0.0`, which cannot be read as a part of a version: the text of a reference is
        // all that is kept of it.
        Kind::Pypi => PepVersion::from_str(text).ok().map(|version| match part_of(&version.to_string()) {
            Some(part) => {
                [part, vec![0; 2]].concat()[..3].iter().map(u64::to_string).collect::<Vec<_>>().join(".")
            }
            None => version.to_string(),
        }),
        Kind::Git | Kind::Local => None,
    };
    let why = || {
        let why = format!("it is no version of {}", kind.as_str());
        Error::new(ErrorKind::Invalid, format!("read the version {text:?}"), why)
    };
    version.map(Reference::Version).ok_or_else(why)
}

fn npm(text: &str) -> Option<Reference> {
    if let Some(version) = npm_version(text) {
        return Some(Reference::Version(version.to_string()));
    }
    if npm_range(text).is_some() {
        return Some(Reference::Range(text.to_owned()));
    }
    // What encodeURIComponent leaves as it is: npm's own rule for a tag.
    let is_tag = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&b));
    (is_tag && !text.starts_with(['.', '-'])).then(|| Reference::DistTag(text.to_owned()))
}

/// A whole version as npm reads it; a `v` or `=` in front says nothing.
pub(crate) fn npm_version(text: &str) -> Option<Version> {
    deno_semver::npm::parse_npm_version(text).ok()
}

/// A range as npm reads it, which is no tag.
pub(crate) fn npm_range(text: &str) -> Option<VersionRangeSet> {
    deno_semver::npm::parse_npm_version_req(text).ok()?.range().cloned()
}

fn crates(text: &str) -> Option<Reference> {
    if let Ok(version) = semver::Version::parse(text) {
        return Some(Reference::Version(version.to_string()));
    }
    let range = part_of(text).is_some() || semver::VersionReq::parse(text).is_ok();
    range.then(|| Reference::Range(text.to_owned()))
}

fn pypi(text: &str) -> Option<Reference> {
    if let Ok(version) = PepVersion::from_str(text) {
        // `2` and `2.31` are whole versions there, too, but hardly anybody means those.
        return Some(match part_of(text).is_some() {
            true => Reference::Range(text.to_owned()),
            false => Reference::Version(version.to_string()),
        });
    }
    VersionSpecifiers::from_str(text).is_ok().then(|| Reference::Range(text.to_owned()))
}

/// The numbers of the beginning of a version: one or two.
pub(crate) fn part_of(text: &str) -> Option<Vec<u64>> {
    let number = |text: &str| {
        // As many digits as are a number everywhere, and no sign.
        let plain = text.len() <= 10 && text.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| text.parse().ok()).flatten()
    };
    let numbers: Vec<u64> = text.split('.').map(number).collect::<Option<_>>()?;
    (numbers.len() <= 2).then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ecosystem_reads_a_version_its_own_way() {
        let version = |text: &str| Reference::Version(text.to_owned());
        let range = |text: &str| Reference::Range(text.to_owned());
        let tag = |text: &str| Reference::DistTag(text.to_owned());
        for (kind, text, meant) in [
            (Kind::Npm, "", Reference::Default),
            (Kind::Npm, "18.2.0", version("18.2.0")),
            (Kind::Npm, "v18.2.0", version("18.2.0")),
            (Kind::Npm, "18.3.0-canary.1", version("18.3.0-canary.1")),
            (Kind::Npm, "18", range("18")),
            (Kind::Npm, "18.x", range("18.x")),
            (Kind::Npm, "^18 || ~17.0", range("^18 || ~17.0")),
            (Kind::Npm, ">=1 <2", range(">=1 <2")),
            (Kind::Npm, "1 - 2", range("1 - 2")),
            (Kind::Npm, "next", tag("next")),
            (Kind::Npm, "latest-18", tag("latest-18")),
            (Kind::Crates, "1.38.0", version("1.38.0")),
            (Kind::Crates, "1.0.0+build.1", version("1.0.0+build.1")),
            (Kind::Crates, "1", range("1")),
            (Kind::Crates, "1.38", range("1.38")),
            (Kind::Crates, ">=1, <1.39", range(">=1, <1.39")),
            (Kind::Crates, "=1.2.3", range("=1.2.3")),
            (Kind::Pypi, "2.31.0", version("2.31.0")),
            (Kind::Pypi, "1.0.0-BETA.1", version("1.0.0b1")),
            (Kind::Pypi, "1!2.0.0", version("1!2.0.0")),
            (Kind::Pypi, "2", range("2")),
            (Kind::Pypi, "2024.1", range("2024.1")),
            (Kind::Pypi, "~=2.31", range("~=2.31")),
            (Kind::Pypi, ">=2,<3", range(">=2,<3")),
        ] {
            assert_eq!(parse(kind, text).unwrap(), meant, "{kind:?} {text}");
        }
        for (kind, text) in [
            (Kind::Crates, "next"),
            (Kind::Crates, "1.2.3.4"),
            (Kind::Pypi, "latest"),
            (Kind::Npm, "a/b"),
            (Kind::Npm, "../x"),
            (Kind::Npm, "-x"),
            (Kind::Npm, "a\nb"),
            (Kind::Npm, "ä"),
        ] {
            let error = parse(kind, text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{kind:?} {text:?}");
        }
        assert!(parse(Kind::Npm, &"1".repeat(300)).is_err());
    }
}
