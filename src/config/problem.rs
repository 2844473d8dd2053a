//! What is wrong in a configuration file, and where: every problem of a file is collected before any
//! is reported, so that one look at the editor corrects them all.

use std::fmt;
use std::ops::Range;

use crate::error::{Error, Kind};

/// One thing that is wrong in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub why: String,
    /// What to do.
    pub hint: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}; {}", self.line, self.column, self.why, self.hint)
    }
}

/// The problems found so far in one text.
pub(super) struct Problems<'t> {
    text: &'t str,
    found: Vec<(usize, Problem)>,
}

impl<'t> Problems<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Problems { text, found: Vec::new() }
    }

    pub(super) fn add(&mut self, at: &Range<usize>, why: impl Into<String>, hint: impl Into<String>) {
        let start = at.start.min(self.text.len());
        let (line, column) = position(self.text, start);
        // User text stands in them; a pasted credential must not travel on into logs.
        let (why, hint) = (crate::redact::redact(&why.into()), crate::redact::redact(&hint.into()));
        self.found.push((start, Problem { line, column, why, hint }));
    }

    /// An error of a typed parser, at the place where its text stands.
    pub(super) fn add_error(&mut self, at: &Range<usize>, error: &Error, hint: &str) {
        self.add(at, format!("{}: {}", error.what(), error.why()), error.advice().unwrap_or(hint).to_owned());
    }

    pub(super) fn line_of(&self, at: &Range<usize>) -> usize {
        position(self.text, at.start.min(self.text.len())).0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// All of them in the order of the text, one a place.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        self.found.sort_by_key(|(start, _)| *start);
        self.found.dedup_by(|second, first| second.0 == first.0 && second.1 == first.1);
        self.found.into_iter().map(|(_, problem)| problem).collect()
    }
}

fn position(text: &str, offset: usize) -> (usize, usize) {
    let mut offset = offset;
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// All problems of the file `name` as the one error that a verb reports.
pub(super) fn as_error(name: &str, problems: &[Problem]) -> Error {
    let why = match problems {
        [one] => one.to_string(),
        many => {
            let lines: Vec<String> = many.iter().map(|problem| format!("\n  {problem}")).collect();
            format!("{} problems{}", many.len(), lines.concat())
        }
    };
    Error::new(Kind::Config, format!("read the configuration {name}"), why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters() {
        assert_eq!(position("ab\ncd", 0), (1, 1));
        assert_eq!(position("ab\ncd", 4), (2, 2));
        assert_eq!(position("é = 1", 3), (1, 3));
        assert_eq!(position("é", 1), (1, 1), "inside a character counts as its beginning");
    }
}
