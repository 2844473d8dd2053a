//! What lockfiles have from registries in several spellings, and is one.
//!
//! The same version of the same package may stand in two lockfiles, each with the address of the mirror that its
//! tool asked, or in one beside the copy that another package brings along, of which no address is known. That is
//! one pin, so that it has one name and counts once. What is of a repository or of an address of its own stays told
//! apart, and so does what has other hashes; crates are named with their registry and are never joined.
//! Pure; calls `names` for the order of versions.

use super::found::MAX_ALIASES;
use super::names::is_same_version;
use super::pin::{Ecosystem, Origin, Pin};

/// With how many of one version a pin is compared.
const MAX_APART: usize = 16;

/// Joins what is one; `pins` are in order, and stay so.
pub(super) fn join(pins: Vec<Pin>) -> Vec<Pin> {
    let mut joined: Vec<Pin> = Vec::with_capacity(pins.len());
    // Where the pins of this version begin.
    let mut first = 0;
    for pin in pins {
        let same = |known: &Pin| {
            (known.ecosystem, &known.name) == (pin.ecosystem, &pin.name) && is_same_version(known, &pin)
        };
        if !joined.get(first).is_some_and(same) {
            first = joined.len();
        }
        match joined[first..].iter_mut().take(MAX_APART).find(|known| agree(known, &pin)) {
            Some(known) => merge(known, pin),
            None => joined.push(pin),
        }
    }
    joined
}

/// Whether two pins of one version are the same package.
fn agree(a: &Pin, b: &Pin) -> bool {
    let (Origin::Registry { index: one }, Origin::Registry { index: other }) = (&a.origin, &b.origin) else {
        return false;
    };
    let algorithm = |hash: &str| hash.split(['-', ':']).next().map(str::to_owned);
    let of = |pin: &Pin| pin.hashes.iter().map(|hash| algorithm(hash)).collect::<Vec<_>>();
    let (ones, others) = (of(a), of(b));
    let shared = a.hashes.iter().any(|hash| b.hashes.contains(hash));
    let comparable = ones.iter().any(|algorithm| others.contains(algorithm));
    let near = one.is_none() || other.is_none() || one == other;
    let hashed = !a.hashes.is_empty() || !b.hashes.is_empty();
    a.ecosystem != Ecosystem::Crates && (shared || !comparable && (near || hashed))
}

/// What has hashes says more than an address, and an address more than none.
fn merge(known: &mut Pin, other: Pin) {
    let told = |pin: &Pin| {
        (!pin.hashes.is_empty(), matches!(&pin.origin, Origin::Registry { index } if index.is_some()))
    };
    if told(&other) > told(known) {
        (known.origin, known.version) = (other.origin, other.version);
    }
    known.hashes.extend(other.hashes);
    known.hashes.sort();
    known.hashes.dedup();
    known.reach = known.reach.max(other.reach);
    known.dev |= other.dev;
    known.optional |= other.optional;
    for alias in other.aliases {
        if known.aliases.len() < MAX_ALIASES && !known.aliases.contains(&alias) {
            known.aliases.push(alias);
        }
    }
    for lockfile in other.lockfiles {
        if !known.lockfiles.contains(&lockfile) {
            known.lockfiles.push(lockfile);
        }
    }
}
