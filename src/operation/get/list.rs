//! A list of keys, one a line, read as it comes.
//!
//! Blank lines, and what follows a `#` at the beginning of a line or after a blank, say nothing. A line that cannot be read is an entry that
//! fails with the file and the line in its error; the others are not touched by it. Only when the file
//! itself fails is the rest lost, which is told as its last line.

use std::io::{BufRead, Read};
use std::sync::mpsc::{Receiver, sync_channel};

use crate::error::{Error, Kind, Result};

/// Longer than any key; more of a line is not kept.
const LONGEST: u64 = 16 << 10;

/// How many lines are read before somebody wants them.
const AHEAD: usize = 64;

/// One line that says something.
#[derive(Debug)]
pub(super) struct Line {
    /// `FILE:3`, for messages.
    pub place: String,
    /// The key, or why there is none.
    pub text: Result<String>,
}

/// Reads `from`, which is called `name`, on a thread of its own: one that waits at a terminal or a pipe
/// cannot be woken, and must not keep anybody from ending.
pub(super) fn read(from: Box<dyn BufRead + Send>, name: &str) -> Result<Receiver<Line>> {
    let (lines, read) = sync_channel(AHEAD);
    let mut list = List { from, name: name.to_owned(), number: 0 };
    std::thread::Builder::new()
        .name("srcfs-list".into())
        .spawn(move || {
            while let Some(line) = list.next() {
                let last = matches!(&line.text, Err(error) if error.kind() != Kind::Invalid);
                if lines.send(line).is_err() || last {
                    return;
                }
            }
        })
        .map_err(|error| {
            Error::new(Kind::Exhausted, format!("start the thread that reads {name}"), error.to_string())
        })?;
    Ok(read)
}

/// These lines, each with where it stands.
pub(super) fn of(lines: Vec<(String, Result<String>)>) -> Receiver<Line> {
    let (known, read) = sync_channel(lines.len());
    for (place, text) in lines {
        // There is room for all, and somebody who reads.
        let _ = known.send(Line { place, text });
    }
    read
}

struct List {
    from: Box<dyn BufRead + Send>,
    name: String,
    number: u64,
}

impl List {
    fn next(&mut self) -> Option<Line> {
        loop {
            self.number += 1;
            let text = match self.line() {
                Ok(None) => return None,
                Ok(Some(text)) => text,
                Err(error) => Err(Error::io("read", &self.name, &error)),
            };
            if matches!(&text, Ok(text) if text.is_empty() || text.starts_with('#')) {
                continue;
            }
            return Some(Line { place: format!("{}:{}", self.name, self.number), text });
        }
    }

    fn line(&mut self) -> std::io::Result<Option<Result<String>>> {
        let mut bytes = Vec::new();
        if (&mut self.from).take(LONGEST).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        let bad = |why: &str| Err(Error::new(Kind::Invalid, "read a key", why));
        if bytes.len() as u64 == LONGEST && bytes.last() != Some(&b'\n') {
            self.from.skip_until(b'\n')?;
            return Ok(Some(bad("the line is longer than any key")));
        }
        Ok(Some(match String::from_utf8(bytes) {
            Ok(text) => Ok(without_comment(&text).trim().to_owned()),
            Err(_) => bad("it is not UTF-8"),
        }))
    }
}

/// A line without its comment. A `#` inside a word is part of it.
fn without_comment(line: &str) -> &str {
    let begins = |(at, _): &(usize, &str)| line[..*at].ends_with(|c: char| c.is_ascii_whitespace());
    line.match_indices('#').find(begins).map_or(line, |(at, _)| &line[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Vec<(String, Result<String, String>)> {
        let read = read(Box::new(std::io::Cursor::new(text.to_owned())), "keys").unwrap();
        let said = |line: Line| (line.place, line.text.map_err(|error| error.why().to_owned()));
        read.into_iter().map(said).collect()
    }

    fn key(place: &str, text: &str) -> (String, Result<String, String>) {
        (place.to_owned(), Ok(text.to_owned()))
    }

    #[test]
    fn comments_blank_lines_and_spaces_say_nothing() {
        let found = lines(b"# all of it\n\n  a/b \r\n\t\n# x\nc/d#e \t# why");
        assert_eq!(found, [key("keys:3", "a/b"), key("keys:6", "c/d#e")]);
        assert_eq!(lines(b""), []);
        assert_eq!(lines(b"#\n \n"), []);
    }

    #[test]
    fn a_line_that_cannot_be_read_is_an_entry_and_the_next_is_read() {
        let long = vec![b'x'; 3 * LONGEST as usize];
        let found = lines(&[b"\xff\xfe\n", &long[..], b"\na/b\n"].concat());
        let why = |found: &(String, Result<String, String>)| found.1.clone().unwrap_err();
        assert_eq!((found[0].0.as_str(), why(&found[0]).as_str()), ("keys:1", "it is not UTF-8"));
        assert_eq!((found[1].0.as_str(), why(&found[1]).contains("longer")), ("keys:2", true));
        assert_eq!(found[2..], [key("keys:3", "a/b")]);
    }

    #[test]
    fn a_file_that_fails_ends_the_list_with_its_error() {
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::from_raw_os_error(libc::EIO))
            }
        }
        let read = read(Box::new(std::io::BufReader::new(Failing)), "keys").unwrap();
        let read: Vec<Line> = read.into_iter().collect();
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].text.as_ref().unwrap_err().kind(), Kind::Io);
    }
}
