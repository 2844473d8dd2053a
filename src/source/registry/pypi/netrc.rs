//! The format of `.netrc`, as Python's module of that name reads it.
//!
//! The crates for it are unmaintained, and know neither quotes nor comments.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

/// Who logs in with what, by host.
#[derive(Default, PartialEq, Eq)]
pub(super) struct Netrc {
    machines: BTreeMap<String, Login>,
    default: Option<Login>,
}

/// A user and a password.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: String,
}

impl Netrc {
    /// The login for that host alone.
    pub(super) fn of(&self, host: &str) -> Option<&Login> {
        self.machines.get(host)
    }

    /// The login for every host that has none of its own.
    pub(super) fn for_others(&self) -> Option<&Login> {
        self.default.as_ref()
    }

    /// Reads `text`; fails with the line, from 1, that means nothing.
    pub(super) fn parse(text: &str) -> Result<Netrc, usize> {
        let mut netrc = Netrc::default();
        let mut words = Words { text: text.chars().peekable(), line: 1 };
        let mut word = words.next();
        while let Some(top) = word {
            let host = match top.as_str() {
                comment if comment.starts_with('#') => {
                    words.skip_line();
                    word = words.next();
                    continue;
                }
                "machine" => Some(words.next().ok_or(words.line)?),
                "default" => None,
                "macdef" => {
                    words.skip_paragraph();
                    word = words.next();
                    continue;
                }
                _ => return Err(words.line),
            };
            let mut login = Login::default();
            word = loop {
                match words.next() {
                    Some(word) if matches!(word.as_str(), "machine" | "default" | "macdef") => {
                        break Some(word);
                    }
                    Some(comment) if comment.starts_with('#') => words.skip_line(),
                    Some(field) => {
                        let value = words.next().ok_or(words.line)?;
                        match field.as_str() {
                            "login" | "user" => login.user = value,
                            "password" => login.password = value,
                            "account" => {}
                            _ => return Err(words.line),
                        }
                    }
                    None => break None,
                }
            };
            match host {
                Some(host) => drop(netrc.machines.insert(host, login)),
                None => netrc.default = Some(login),
            }
        }
        Ok(netrc)
    }
}

/// The words of a text: apart by white space, quoted by `"`, with `\` before what is meant literally.
struct Words<'t> {
    text: Peekable<Chars<'t>>,
    line: usize,
}

impl Words<'_> {
    fn character(&mut self) -> Option<char> {
        let next = self.text.next();
        self.line += usize::from(next == Some('\n'));
        next
    }

    fn next(&mut self) -> Option<String> {
        while self.text.next_if(|c| matches!(c, ' ' | '\t' | '\r')).is_some()
            || self.text.peek() == Some(&'\n')
        {
            if self.text.peek() == Some(&'\n') {
                self.character();
            }
        }
        self.text.peek()?;
        let mut word = String::new();
        let quoted = self.text.next_if_eq(&'"').is_some();
        loop {
            match self.text.peek() {
                Some('"') if quoted => {
                    self.character();
                    return Some(word);
                }
                Some('\\') => {
                    self.character();
                    word.extend(self.character());
                }
                // The end of a line is left, so that a comment can end there.
                Some(' ' | '\t' | '\r' | '\n') | None if !quoted => return Some(word),
                None => return Some(word),
                Some(_) => word.extend(self.character()),
            }
        }
    }

    fn skip_line(&mut self) {
        while self.text.peek().is_some_and(|c| *c != '\n') {
            self.character();
        }
    }

    /// A macro goes on to the next empty line.
    fn skip_paragraph(&mut self) {
        let mut last = ' ';
        while let Some(next) = self.character() {
            if next == '\n' && last == '\n' {
                return;
            }
            last = next;
        }
    }
}

impl std::fmt::Debug for Netrc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.machines.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(text: &str, host: &str) -> Option<(String, String)> {
        let netrc = Netrc::parse(text).ok()?;
        let login = netrc.of(host)?;
        Some((login.user.clone(), login.password.clone()))
    }

    #[test]
    fn it_is_as_python_reads_it() {
        let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        assert_eq!(login("machine a.example login u password p", "a.example"), pair("u", "p"));
        assert_eq!(login("machine a\n\tlogin u\n\tpassword \"p \\\" q\"\n", "a"), pair("u", "p \" q"));
        assert_eq!(login("# c\nmachine a # x y\n user u password p\\ q account z", "a"), pair("u", "p q"));
        assert_eq!(login("macdef m\ncd /\nls\n\nmachine a login u password #p", "a"), pair("u", "#p"));
        assert_eq!(login("machine b login u password p", "a"), None);
        assert_eq!(login("default login u password p", "a"), None);
        let default = Netrc::parse("default login u password p").unwrap();
        assert_eq!(default.for_others().unwrap().password, "p");
        assert_eq!(Netrc::parse("machine a login u password p\nmachin b"), Err(2));
        assert_eq!(Netrc::parse("machine a\nlogin"), Err(2));
    }
}
