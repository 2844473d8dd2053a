//! What stands after `@`.

use std::fmt;

use super::refuse_invisible;
use crate::error::{Error, Kind, Result};

/// Which revision of a resource is meant. The first six are of repositories, the last three of
/// packages.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reference {
    /// Nothing was named: the remote's HEAD, the latest version, the present state.
    Default,
    /// A branch or a tag, whichever exists; an error if both do.
    Named(String),
    /// `heads/x`: the branch x.
    Branch(String),
    /// `tags/x`: the tag x.
    Tag(String),
    /// A full commit id, in lower case.
    Commit(String),
    /// 7 to 39 hex digits: a tag or branch of that name, else the one known commit that begins so.
    Abbreviated(String),
    /// This version, as its ecosystem writes it.
    Version(String),
    /// The newest version of a range.
    Range(String),
    /// The version that a dist-tag of npm names.
    DistTag(String),
}

impl Reference {
    /// Parses a plain reference (`v1`, `feature/x`, `tags/v1`, an id); empty means the default.
    ///
    /// The rules are those of git-check-ref-format(1), and no leading `-`.
    pub fn parse(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Ok(Reference::Default);
        }
        let invalid = |why: &str| {
            Error::new(Kind::Invalid, format!("read the reference {text:?}"), why.to_owned())
                .hint("a reference is a branch, a tag or a full commit id")
        };
        refuse_invisible("the reference", text)?;
        let hex = text.bytes().all(|b| b.is_ascii_hexdigit());
        if hex && (text.len() == 40 || text.len() == 64) {
            return Ok(Reference::Commit(text.to_ascii_lowercase()));
        }
        if text.len() > 255 {
            return Err(invalid("it is longer than 255 bytes"));
        }
        if text.starts_with('-') {
            return Err(invalid("it begins with -"));
        }
        if text == "@" || text.contains("@{") || text.contains("..") || text.ends_with('.') {
            return Err(invalid("git allows no such name"));
        }
        if text.bytes().any(|b| matches!(b, b' ' | b'~' | b'^' | b':' | b'?' | b'*' | b'[' | b'\\')) {
            return Err(invalid("git allows none of space ~ ^ : ? * [ \\ in a name"));
        }
        if text.split('/').any(|part| part.is_empty() || part.starts_with('.') || part.ends_with(".lock")) {
            return Err(invalid("a part of it is empty, begins with a dot or ends in .lock"));
        }
        if let Some(branch) = text.strip_prefix("heads/") {
            return Ok(Reference::Branch(branch.to_owned()));
        }
        if let Some(tag) = text.strip_prefix("tags/") {
            return Ok(Reference::Tag(tag.to_owned()));
        }
        if hex && text.len() >= 7 && text.len() < 40 {
            return Ok(Reference::Abbreviated(text.to_owned()));
        }
        Ok(Reference::Named(text.to_owned()))
    }

    /// Exactly the version `text` of packages of `kind`, also where it could be read as a part of one.
    pub fn exact_version(kind: super::Kind, text: &str) -> Result<Self> {
        super::wanted::exact(kind, text)
    }

    /// Parses a reference as it stands in a path: `/` is written `%2F` and `%` is `%25`.
    pub fn parse_path(text: &str) -> Result<Self> {
        Self::parse(&decoded(text)?)
    }

    /// As it stands in a path; empty for the default.
    pub fn to_path(&self) -> String {
        self.to_string().replace('%', "%25").replace('/', "%2F")
    }

    /// Of `key`, for messages: written as a KEY is, so the default adds nothing.
    pub fn of(&self, key: &super::Key) -> String {
        match self {
            Reference::Default => key.to_string(),
            reference => key.at(reference.to_path()),
        }
    }

    /// Whether its meaning can never change.
    pub fn is_pinned(&self) -> bool {
        matches!(self, Reference::Commit(_) | Reference::Version(_))
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reference::Default => Ok(()),
            Reference::Branch(name) => write!(f, "heads/{name}"),
            Reference::Tag(name) => write!(f, "tags/{name}"),
            Reference::Named(text)
            | Reference::Commit(text)
            | Reference::Abbreviated(text)
            | Reference::Version(text)
            | Reference::Range(text)
            | Reference::DistTag(text) => f.write_str(text),
        }
    }
}

/// A reference without the escapes that it has in a path. Fails if nothing is left.
pub(super) fn decoded(text: &str) -> Result<String> {
    if text.is_empty() {
        return Err(Error::new(Kind::Invalid, "read a name that ends in @", "no reference follows")
            .hint("leave the @ out to get the default"));
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        plain.push_str(&rest[..at]);
        match rest.get(at..at + 3) {
            Some("%2F") => plain.push('/'),
            Some("%25") => plain.push('%'),
            _ => {
                return Err(Error::new(
                    Kind::Invalid,
                    format!("read the reference {text:?}"),
                    "% stands only in %2F (for /) and %25 (for %)",
                ));
            }
        }
        rest = &rest[at + 3..];
    }
    plain.push_str(rest);
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_references_are_each_others_inverse() {
        for text in ["v1", "feature/x", "tags/v1", "heads/a/b", "50%", "0123456", "a@b"] {
            let reference = Reference::parse(text).unwrap();
            assert_eq!(Reference::parse_path(&reference.to_path()).unwrap(), reference, "{text}");
            assert_eq!(reference.to_string(), text);
        }
    }

    #[test]
    fn a_message_names_a_reference_as_a_key_does() {
        let url = crate::key::GitUrl::parse("https://github.com/a/b").unwrap();
        let key = crate::key::Key::git(url);
        for (reference, text) in [("", "git/github.com/a/b"), ("x/50%", "git/github.com/a/b@x%2F50%25")] {
            let parsed =
                if reference.is_empty() { Ok(Reference::Default) } else { Reference::parse(reference) };
            assert_eq!(parsed.unwrap().of(&key), text);
        }
    }

    #[test]
    fn what_git_forbids_is_refused() {
        for text in [
            "-x",
            "--upload-pack=x",
            "a..b",
            "a b",
            "a~1",
            "a^",
            "a:b",
            ".a",
            "a/.b",
            "a.lock",
            "@",
            "a@{1}",
            "a\\b",
            "a\u{202e}b",
            "a\nb",
            "a/",
            "/a",
            "a//b",
        ] {
            assert_eq!(Reference::parse(text).unwrap_err().kind(), Kind::Invalid, "{text:?}");
        }
        for text in ["", "%2e%2e", "%2F", "%", "%2f"] {
            assert_eq!(Reference::parse_path(text).unwrap_err().kind(), Kind::Invalid, "{text:?}");
        }
    }

    #[test]
    fn hex_is_a_commit_only_at_full_length() {
        assert_eq!(Reference::parse(&"A".repeat(40)).unwrap(), Reference::Commit("a".repeat(40)));
        assert_eq!(Reference::parse("abcdef").unwrap(), Reference::Named("abcdef".into()));
        assert_eq!(Reference::parse("abcdef0").unwrap(), Reference::Abbreviated("abcdef0".into()));
    }
}
