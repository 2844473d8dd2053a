//! Names of revisions of packages: the version, with its published hash.
//!
//! A name is the same wherever and whenever it is made, is safe as a path component and as a part of a git
//! ref, and leads to a version without asking anybody whose document is at hand.

use sha2::Digest;

use super::hash::to_hex;
use super::offer::Hash;
use crate::source::Revision;

/// Longer versions are told by their digest.
const LONGEST: usize = 100;

/// The revision of `version`, whose archive has this hash.
pub(super) fn name(version: &str, hash: &Hash) -> Revision {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+' | b'!');
    let is_plain = version.bytes().all(plain)
        && version.len() <= LONGEST
        && !version.starts_with(['.', '-'])
        && !version.contains("..");
    let version = match is_plain {
        true => version.to_owned(),
        false => format!("version.{}", &to_hex(&sha2::Sha256::digest(version))[..32]),
    };
    Revision::new(format!("{version}_{}.{}", hash.algorithm.as_str(), &hash.hex[..32]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::package::offer::Algorithm;

    #[test]
    fn a_revision_is_a_readable_and_safe_name() {
        let hash = Hash { algorithm: Algorithm::Sha256, hex: "0123456789abcdef".repeat(4) };
        let tail = "_sha256.0123456789abcdef0123456789abcdef";
        for version in ["18.2.0", "1.9.0+build.5", "1!2.0rc1", "0.0.0-alpha.1"] {
            assert_eq!(name(version, &hash).as_str(), format!("{version}{tail}"));
        }
        let long = "1".repeat(300);
        for version in ["../../x", "a/b", "1..2", ".1", "-1", "", "1_2", long.as_str()] {
            let name = name(version, &hash).to_string();
            assert!(name.len() < 200 && name.ends_with(tail) && !name.contains(".."), "{version}: {name}");
        }
        assert_ne!(name("a/b", &hash), name("a/c", &hash));
    }
}
