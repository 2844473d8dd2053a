//! The name of a git object: the SHA-1 of its type, length and content.

use std::fmt;

use sha1::Digest;

/// The id of a git object, of 20 bytes. Repositories whose ids are SHA-256 are refused before one of
/// these is made.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId(pub [u8; 20]);

impl ObjectId {
    /// From 40 hexadecimal digits; `None` for anything else.
    pub fn parse(hex: &str) -> Option<Self> {
        let mut id = [0; 20];
        if hex.len() != 2 * id.len() {
            return None;
        }
        let digits = hex.as_bytes().chunks_exact(2);
        for (byte, pair) in id.iter_mut().zip(digits) {
            let high = char::from(pair[0]).to_digit(16)?;
            let low = char::from(pair[1]).to_digit(16)?;
            *byte = (high * 16 + low) as u8;
        }
        Some(ObjectId(id))
    }

    /// What an object of this type ("blob", "tree") and content is called.
    pub fn of(kind: &str, content: &[u8]) -> Self {
        let mut hash = sha1::Sha1::new();
        hash.update(format!("{kind} {}\0", content.len()));
        hash.update(content);
        ObjectId(hash.finalize().into())
    }

    /// Its 40 hexadecimal digits, in lower case.
    pub fn hex(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::ObjectId;

    #[test]
    fn ids_are_those_of_git() {
        let empty = ObjectId::of("blob", b"");
        assert_eq!(empty.hex(), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
        assert_eq!(ObjectId::parse("E69DE29BB2D1D6434B8B29AE775AD8C2E48C5391"), Some(empty));
        assert_eq!(ObjectId::parse("e69de29"), None);
        assert_eq!(ObjectId::parse("+69de29bb2d1d6434b8b29ae775ad8c2e48c5391"), None);
        assert_eq!(ObjectId::parse("é69de29bb2d1d6434b8b29ae775ad8c2e48c539"), None);
    }
}
