//! The one way to a terminal or a pipe: a report as text or as JSON, and errors.
//!
//! Text of servers and files is never trusted on a terminal: control characters are shown, not sent,
//! and credentials are taken out. A reader that went away (`srcfs list | head`) is no failure.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::exit::Failed;
use crate::error::{Error, Kind, Result};
use crate::operation::Failure;

/// How a verb speaks.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// JSON on stdout, errors too.
    pub json: bool,
    /// Only what was asked for, and errors.
    pub quiet: bool,
}

impl Output {
    /// Prints what the verb is for: `report` as one line of JSON, or as `text`.
    pub fn report(&self, report: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Failed> {
        let out = match self.json {
            true => {
                let what = "write the report as JSON";
                let json = serde_json::to_string(report)
                    .map_err(|error| Error::new(Kind::Io, what, error.to_string()))?;
                json + "\n"
            }
            false => clean(&text()),
        };
        Ok(print(&out)?)
    }

    /// The same, but `--quiet` leaves the text out: the exit code says it.
    pub fn confirm(&self, report: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Failed> {
        if self.quiet && !self.json { Ok(()) } else { self.report(report, text) }
    }

    /// Prints a part of the text of a report of which the rest is not known yet.
    pub fn say(&self, text: &str) -> Result<()> {
        print(&clean(text))
    }

    /// Prints what went wrong.
    pub fn error(&self, error: &Error) {
        self.failure(&Failure::from(error));
    }

    /// Prints what went wrong elsewhere.
    pub fn failure(&self, failure: &Failure) {
        if self.json {
            #[derive(Serialize)]
            struct Wrapped<'f> {
                error: &'f Failure,
            }
            if let Ok(json) = serde_json::to_string(&Wrapped { error: failure }) {
                print(&(json + "\n")).ok();
            }
        } else {
            self.warn(&format!("{failure}"));
        }
    }

    /// Prints something that should be known but is no failure. Not for `--json`, whose report has it.
    pub fn warn(&self, text: &str) {
        eprint_line(&clean(&format!("srcfs: {text}")));
    }

    /// Whether a progress bar would be seen, and would disturb nobody.
    pub fn shows_progress(&self) -> bool {
        !self.json && !self.quiet && io::stderr().is_terminal()
    }
}

fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::io("write to", "the standard output", &error))
        }
        _ => Ok(()),
    }
}

fn eprint_line(text: &str) {
    // Where errors cannot be written, there is nobody to be told so.
    writeln!(io::stderr().lock(), "{text}").ok();
}

/// `text` without credentials, and with control characters made visible.
pub fn clean(text: &str) -> String {
    let text = crate::redact::redact(text);
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        match c {
            '\n' | '\t' => clean.push(c),
            c if c.is_control() || turns => clean.extend(c.escape_unicode()),
            c => clean.push(c),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn nothing_reaches_the_terminal_but_text() {
        assert_eq!(clean("a\u{1b}]0;x\u{7}b\r\n"), "a\\u{1b}]0;x\\u{7}b\\u{d}\n");
        assert_eq!(clean("a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(clean("https://user:hunter2@h/"), "https://***@h/");
    }
}
