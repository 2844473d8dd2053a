//! An error as it is reported: on disk, in the mount and to programs. Without credentials.

use serde::{Deserialize, Serialize};

use super::Error;

/// An error as part of a report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Its kind, in words that programs may compare: `not_found`, `timed_out`.
    pub kind: String,
    /// What was tried.
    pub what: String,
    /// Why it failed.
    pub why: String,
    /// What to do.
    #[serde(default)]
    pub hint: Option<String>,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Failure {
            kind: snake_case(&format!("{:?}", error.kind())),
            what: crate::redact::redact(error.what()),
            why: crate::redact::redact(error.why()),
            hint: error.advice().map(crate::redact::redact),
        }
    }
}

/// `NotFound` as `not_found`.
pub(crate) fn snake_case(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push('_');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.what, self.why)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn kinds_of_failures_are_words_for_programs() {
        let kind = |kind| Failure::from(&Error::new(kind, "", "")).kind;
        assert_eq!(kind(Kind::NotFound), "not_found");
        assert_eq!(kind(Kind::NotFoundOrPrivate), "not_found_or_private");
        assert_eq!(kind(Kind::Io), "io");
    }
}
