//! Published hashes, as registries write them.

use base64::Engine;

use super::offer::{Algorithm, Hash};
use crate::key::Kind;

/// The strongest hashes of a subresource integrity string, as npm's `dist.integrity` is one: words of
/// algorithm and base64, perhaps with options. Of several of one algorithm each is good, as to npm.
pub(super) fn strongest_of_integrity(text: &str) -> Vec<Hash> {
    let one = |word: &str| {
        let (algorithm, digest) = word.split_once('-')?;
        let algorithm = [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512]
            .into_iter()
            .find(|one| one.as_str() == algorithm)?;
        let digest = digest.split('?').next()?;
        let bytes = base64::engine::general_purpose::STANDARD.decode(digest).ok()?;
        (bytes.len() == length(algorithm)).then(|| Hash { algorithm, hex: to_hex(&bytes) })
    };
    let mut hashes: Vec<Hash> = text.split_ascii_whitespace().filter_map(one).collect();
    let strongest = hashes.iter().map(|hash| hash.algorithm).max();
    hashes.retain(|hash| Some(hash.algorithm) == strongest);
    hashes
}

/// A SHA-1 in hexadecimal digits, as npm's `dist.shasum`.
pub(super) fn sha1(text: &str) -> Option<Hash> {
    hex(Algorithm::Sha1, text)
}

/// A hash in hexadecimal digits; `None` if it has not the length of its algorithm.
pub(super) fn hex(algorithm: Algorithm, text: &str) -> Option<Hash> {
    let good = text.len() == 2 * length(algorithm) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    good.then(|| Hash { algorithm, hex: text.to_ascii_lowercase() })
}

fn length(algorithm: Algorithm) -> usize {
    match algorithm {
        Algorithm::Sha1 => 20,
        Algorithm::Sha256 => 32,
        Algorithm::Sha384 => 48,
        Algorithm::Sha512 => 64,
    }
}

/// As its registry writes it: npm's as subresource integrity, others' in hexadecimal digits.
pub(super) fn written(kind: Kind, hash: &Hash) -> String {
    let algorithm = hash.algorithm.as_str();
    let bytes =
        (0..hash.hex.len()).step_by(2).filter_map(|at| u8::from_str_radix(&hash.hex[at..at + 2], 16).ok());
    match kind {
        Kind::Npm => {
            let bytes: Vec<u8> = bytes.collect();
            format!("{algorithm}-{}", base64::engine::general_purpose::STANDARD.encode(bytes))
        }
        _ => format!("{algorithm}:{}", hash.hex),
    }
}

pub(super) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_hash_counts_and_what_is_none_does_not() {
        let sha256 = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        let sha1 = "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=";
        let strongest = |text: &str| strongest_of_integrity(text).first().map(|hash| hash.algorithm);
        assert_eq!(strongest(&format!("{sha1} {sha256}")), Some(Algorithm::Sha256));
        assert_eq!(strongest(&format!("{sha256}?opt {sha1}")), Some(Algorithm::Sha256));
        assert_eq!(strongest(sha1), Some(Algorithm::Sha1));
        for text in ["", "md5-x", "sha512-", "sha512-2jmj7l5rSw0yVb/vlWAYkK/YBwk=", "sha256", "sha256-!!"] {
            assert_eq!(strongest(text), None, "{text}");
        }
        let several = format!("{sha1} {sha256} sha1-AAAAAAAAAAAAAAAAAAAAAAAAAAA= sha256-{}=", "A".repeat(43));
        let hexes: Vec<_> = strongest_of_integrity(&several).into_iter().map(|hash| hash.hex).collect();
        assert!(
            hexes.len() == 2 && hexes[0].starts_with("e3b0c442") && hexes[1] == "0".repeat(64),
            "{hexes:?}"
        );
        let empty = strongest_of_integrity(sha1).remove(0);
        assert_eq!(empty.hex, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
        assert_eq!(super::sha1("da39"), None);
        assert_eq!(written(Kind::Npm, &empty), sha1);
        assert_eq!(written(Kind::Crates, &empty), format!("sha1:{}", empty.hex));
    }
}
