//! Reads the entries of a registry's document one by one.
//!
//! Invariants: an entry that cannot be read is left out and hides no other; there are at most [`MOST`] of
//! them, with short names, so what is kept stays in proportion to the document. A document of more is
//! refused as a whole, because what is left out might be what is asked for.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{
    Deserialize, DeserializeOwned, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;

use crate::error::{Error, Kind, Result};

/// More versions, files or tags than any package is known to have.
pub(super) const MOST: usize = 200_000;
/// Longer names of versions, tags and files are none; npm and Linux have about this bound.
pub(super) const LONGEST_NAME: usize = 256;
/// Longer urls and hashes are none, in bytes.
pub(super) const LONGEST_TEXT: usize = 4096;

/// There are more than [`MOST`] in what was read by `what`.
pub(super) fn too_many(what: &str) -> Error {
    Error::new(Kind::TooLarge, what, format!("it names more than {MOST} versions, tags or files"))
        .hint("ask who runs the registry")
}

/// The entries of an object, by their names; of two of one name the last. Null is an empty one.
#[derive(Debug)]
pub(super) struct Named<T>(Entries<BTreeMap<String, T>>);

/// The entries of a list.
#[derive(Debug)]
pub(super) struct Listed<T>(Entries<Vec<T>>);

#[derive(Debug, Default)]
struct Entries<C> {
    read: C,
    left_out: bool,
    too_many: bool,
}

/// A text that is not too long.
#[derive(Debug)]
pub(super) struct Text(pub(super) String);

impl<T> Named<T> {
    /// Those that could be read. [`Kind::TooLarge`] if there were too many.
    pub(super) fn read(self, what: &str) -> Result<BTreeMap<String, T>> {
        if self.0.too_many { Err(too_many(what)) } else { Ok(self.0.read) }
    }

    /// Whether there were some, and none of them could be read.
    pub(super) fn is_unreadable(&self) -> bool {
        self.0.left_out && self.0.read.is_empty() && !self.0.too_many
    }
}

impl<T> Listed<T> {
    /// As [`Named::read`].
    pub(super) fn read(self, what: &str) -> Result<Vec<T>> {
        if self.0.too_many { Err(too_many(what)) } else { Ok(self.0.read) }
    }

    /// As [`Named::is_unreadable`].
    pub(super) fn is_unreadable(&self) -> bool {
        self.0.left_out && self.0.read.is_empty() && !self.0.too_many
    }
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Named(Entries::default())
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Object(PhantomData))
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Listed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(List(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.len() > LONGEST_TEXT { Err(D::Error::custom("it is too long")) } else { Ok(Text(text)) }
    }
}

struct Object<T>(PhantomData<T>);

impl<'de, T: DeserializeOwned> Visitor<'de> for Object<T> {
    type Value = Named<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<Named<T>, E> {
        Ok(Named::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Named<T>, A::Error> {
        let mut entries = Entries::<BTreeMap<String, T>>::default();
        while let Some((name, text)) = map.next_entry::<String, &RawValue>()? {
            match serde_json::from_str(text.get()) {
                Ok(entry) if name.len() <= LONGEST_NAME => drop(entries.read.insert(name, entry)),
                _ => entries.left_out = true,
            }
            if entries.read.len() > MOST {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                entries = Entries { too_many: true, ..Entries::default() };
                break;
            }
        }
        Ok(Named(entries))
    }
}

struct List<T>(PhantomData<T>);

impl<'de, T: DeserializeOwned> Visitor<'de> for List<T> {
    type Value = Listed<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Listed<T>, A::Error> {
        let mut entries = Entries::<Vec<T>>::default();
        while let Some(text) = list.next_element::<&RawValue>()? {
            match serde_json::from_str(text.get()) {
                Ok(entry) => entries.read.push(entry),
                Err(_) => entries.left_out = true,
            }
            if entries.read.len() > MOST {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                entries = Entries { too_many: true, ..Entries::default() };
                break;
            }
        }
        Ok(Listed(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_left_out() {
        let long = "x".repeat(LONGEST_NAME + 1);
        let text =
            format!("{{\"a\": 1, \"b\": null, \"c\": {{\"d\": [1]}}, \"e\": 2, \"{long}\": 3, \"e\": 4}}");
        let named: Named<u8> = serde_json::from_str(&text).unwrap();
        assert!(!named.is_unreadable());
        let read: Vec<_> = named.read("read").unwrap().into_iter().collect();
        assert_eq!(read, [("a".to_owned(), 1), ("e".to_owned(), 4)]);
        let listed: Listed<u8> = serde_json::from_str("[1, null, {}, [2], 3]").unwrap();
        assert_eq!(listed.read("read").unwrap(), [1, 3]);
        let texts = format!("[\"a\", \"{}\", 5]", "x".repeat(LONGEST_TEXT + 1));
        let texts = serde_json::from_str::<Listed<Text>>(&texts).unwrap().read("read").unwrap();
        assert!(texts.len() == 1 && texts[0].0 == "a");

        assert!(serde_json::from_str::<Named<u8>>("{\"a\": \"\"}").unwrap().is_unreadable());
        assert!(serde_json::from_str::<Listed<u8>>("[null]").unwrap().is_unreadable());
        for nothing in ["{}", "null"] {
            assert!(!serde_json::from_str::<Named<u8>>(nothing).unwrap().is_unreadable());
        }
        for broken in ["{\"a\": }", "[]", "5", "{\"a\": 1"] {
            assert!(serde_json::from_str::<Named<u8>>(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn too_many_are_refused_however_small_they_are() {
        let named = |count: usize| {
            let entries: Vec<String> = (0..count).map(|number| format!("\"{number}\":0")).collect();
            serde_json::from_str::<Named<u8>>(&format!("{{{}}}", entries.join(","))).unwrap()
        };
        assert_eq!(named(MOST).read("read").unwrap().len(), MOST);
        assert_eq!(named(MOST + 2).read("read").unwrap_err().kind(), Kind::TooLarge);
        let listed = |count: usize| {
            serde_json::from_str::<Listed<u8>>(&format!("[0{}]", ",0".repeat(count - 1))).unwrap()
        };
        assert_eq!(listed(MOST).read("read").unwrap().len(), MOST);
        assert_eq!(listed(MOST + 2).read("read").unwrap_err().kind(), Kind::TooLarge);
    }
}
