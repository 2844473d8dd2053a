//! Which archive of a version is shown.
//!
//! The sdist: it is the source. Without one, the wheel for any platform; else the newest wheel for this one.
//! What a file is, its name says.

use std::str::FromStr;

use pep440_rs::Version;

use crate::source::archive::Rules;
use crate::source::package::metadata;
use crate::source::package::offer::{Published, Release};

/// What an archive is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Sdist,
    Wheel,
}

/// What a file of the project is and of which version, by its name; `None` if it is neither an sdist nor
/// a wheel of this project.
pub(super) fn sort_of(project: &str, file: &str) -> Option<(Sort, Version)> {
    let is_name = |text: &str| {
        crate::key::Package::new(crate::key::Kind::Pypi, text).is_ok_and(|own| own.name() == project)
    };
    if let Some(stem) = file.strip_suffix(".whl") {
        let parts: Vec<&str> = stem.split('-').collect();
        return match parts[..] {
            [name, version, _, _, _] | [name, version, _, _, _, _] if is_name(name) => {
                Some((Sort::Wheel, Version::from_str(version).ok()?))
            }
            _ => None,
        };
    }
    let stem = [".tar.gz", ".zip", ".tgz", ".tar.bz2", ".tar.xz", ".tar"]
        .iter()
        .find_map(|end| file.strip_suffix(end))?;
    // Old sdists have dashes in their names: the version is what follows one that spells the project.
    stem.match_indices('-')
        .find_map(|(at, _)| is_name(&stem[..at]).then(|| Version::from_str(&stem[at + 1..]).ok()).flatten())
        .map(|version| (Sort::Sdist, version))
}

/// The archive of a version that is shown, and why that one; `None` if none can be.
pub(in super::super) fn archive(
    project: &str,
    release: &Release,
) -> Option<(Published, Rules, Option<&'static str>)> {
    let exact = release.yanked.is_some();
    let good = || release.archives.iter().filter(move |archive| exact || archive.yanked.is_none());
    let is = |archive: &&Published, sort: Sort| {
        sort_of(project, &archive.file).is_some_and(|(found, _)| found == sort)
    };
    // As pip would build: gzip before the older formats.
    let rank = |archive: &&Published| match &archive.file {
        file if file.ends_with(".tar.gz") || file.ends_with(".tgz") => 0,
        file if file.ends_with(".zip") => 1,
        _ => 2,
    };
    // The formats that PEP 527 took out of use cannot be read here.
    let is_read =
        |archive: &&Published| ![".tar.bz2", ".tar.xz"].iter().any(|end| archive.file.ends_with(end));
    let sdists = good().filter(|archive| is(archive, Sort::Sdist) && is_read(archive));
    if let Some(sdist) = sdists.min_by_key(rank) {
        return Some((sdist.clone(), Rules::Sdist, Some("it is the sdist")));
    }
    let wheels = || good().filter(|archive| is(archive, Sort::Wheel));
    let pure = wheels().filter(|wheel| wheel.file.ends_with("-none-any.whl"));
    if let Some(pure) = pure.max_by_key(|wheel| interpreter(&wheel.file)) {
        return Some((
            pure.clone(),
            Rules::Wheel,
            Some("it is the wheel for any platform, and there is no sdist"),
        ));
    }
    let here = wheels().filter(|wheel| is_for_this_platform(&wheel.file));
    // Of several the one for the newest interpreter.
    let newest = here.max_by_key(|wheel| interpreter(&wheel.file));
    let why = "it is the newest wheel for this platform, and there is neither an sdist nor a wheel for any platform";
    newest.map(|wheel| (wheel.clone(), Rules::Wheel, Some(why)))
}

/// Why no archive of a version is shown.
pub(in super::super) fn unreadable(project: &str, release: &Release) -> String {
    let names = |sort: Sort| -> Vec<String> {
        let of_sort =
            |archive: &&Published| sort_of(project, &archive.file).is_some_and(|(found, _)| found == sort);
        let files = release.archives.iter().filter(of_sort);
        files.filter_map(|archive| metadata::line(&archive.file)).collect()
    };
    let (sdists, wheels) = (names(Sort::Sdist), names(Sort::Wheel));
    let some = |names: &[String]| match names {
        [first, rest @ ..] if !rest.is_empty() => format!("{first} and {} more", rest.len()),
        names => names.concat(),
    };
    let version = &release.version;
    match (sdists.is_empty(), wheels.is_empty()) {
        (true, true) => format!("version {version} has neither an sdist nor a wheel"),
        (true, false) => format!(
            "version {version} has no sdist, and its wheels are for other platforms than this one: {}",
            some(&wheels)
        ),
        (false, true) => format!(
            "the sdist of version {version} is compressed by bzip2 or xz, which srcfs does not read: {}",
            some(&sdists)
        ),
        (false, false) => format!(
            "the sdist of version {version} is compressed by bzip2 or xz, which srcfs does not read ({}), and its \
             wheels are for other platforms than this one ({})",
            some(&sdists),
            some(&wheels)
        ),
    }
}

/// Whether the platform tag of a wheel means a Linux machine of this architecture.
fn is_for_this_platform(file: &str) -> bool {
    let Some(platforms) = file.strip_suffix(".whl").and_then(|stem| stem.rsplit('-').next()) else {
        return false;
    };
    let machine = machine(std::env::consts::ARCH, cfg!(target_endian = "little"));
    platforms.split('.').any(|tag| {
        tag.ends_with(&format!("_{machine}")) && (tag.starts_with("manylinux") || tag.starts_with("linux"))
    })
}

/// What platform tags call an architecture that Rust calls so: they have the kernel's names.
fn machine(architecture: &'static str, is_little_endian: bool) -> &'static str {
    match architecture {
        "x86" => "i686",
        "arm" => "armv7l",
        "powerpc64" if is_little_endian => "ppc64le",
        "powerpc64" => "ppc64",
        // x86_64, aarch64, s390x, riscv64 and others are called the same.
        other => other,
    }
}

/// The interpreter that a wheel is for, comparable: `cp312` is newer than `cp39`.
fn interpreter(file: &str) -> (u32, u32) {
    let tags = file.strip_suffix(".whl").unwrap_or_default().rsplit('-').nth(2).unwrap_or_default();
    let number = |tag: &str| -> Option<(u32, u32)> {
        // Of others than the usual one no source is expected that it has not.
        let digits = tag.strip_prefix("cp").or_else(|| tag.strip_prefix("py"))?;
        let (major, minor) = digits.split_at_checked(1)?;
        Some((major.parse().ok()?, minor.parse().unwrap_or(0)))
    };
    tags.split('.').filter_map(number).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_architecture_has_the_name_that_platform_tags_have_for_it() {
        for (architecture, little, name) in [
            ("x86_64", true, "x86_64"),
            ("x86", true, "i686"),
            ("arm", true, "armv7l"),
            ("powerpc64", true, "ppc64le"),
            ("powerpc64", false, "ppc64"),
            ("s390x", false, "s390x"),
        ] {
            assert_eq!(machine(architecture, little), name);
        }
    }
}
