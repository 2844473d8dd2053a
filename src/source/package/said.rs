//! A field in which registries say yes, no, or why.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What such a field says. Anything else says nothing and takes no room, however large it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Said {
    /// Nothing, or no.
    #[default]
    No,
    /// Yes.
    Yes,
    /// Yes, and why.
    Why(String),
}

impl Said {
    /// Why, if it is yes; empty if that was not said.
    pub(super) fn why(self) -> Option<String> {
        match self {
            Said::No => None,
            Said::Yes => Some(String::new()),
            Said::Why(why) => Some(why),
        }
    }
}

impl<'de> Deserialize<'de> for Said {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Said;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sentence, true or false")
    }

    fn visit_bool<E>(self, yes: bool) -> Result<Said, E> {
        Ok(if yes { Said::Yes } else { Said::No })
    }

    fn visit_str<E>(self, why: &str) -> Result<Said, E> {
        Ok(Said::Why(why.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Said, E> {
        Ok(Said::No)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Said, E> {
        Ok(Said::No)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Said, E> {
        Ok(Said::No)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Said, E> {
        Ok(Said::No)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Said, A::Error> {
        while sequence.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Said::No)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Said, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Said::No)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_and_why_are_kept() {
        for (text, said) in [
            ("true", Said::Yes),
            ("false", Said::No),
            ("null", Said::No),
            ("\"broken\"", Said::Why("broken".into())),
            ("[0, [1, 2], {\"a\": 3}]", Said::No),
            ("{\"a\": {\"b\": [1]}}", Said::No),
            ("1.5", Said::No),
            ("-1", Said::No),
        ] {
            assert_eq!(serde_json::from_str::<Said>(text).unwrap(), said, "{text}");
        }
        assert!(serde_json::from_str::<Said>("[").is_err());
        assert_eq!(Said::Yes.why().as_deref(), Some(""));
    }
}
