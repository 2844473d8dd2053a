//! Reads what git says on stderr: messages, progress, and the headers of HTTP answers.
//!
//! Bounded whatever comes: a line is cut at [`LONGEST_LINE`], and only the last [`MOST_MESSAGES`]
//! bytes of messages are kept. Headers are looked at and dropped: they may hold credentials (git
//! hides `Authorization`, but not a token in a header that the user configured).

use std::collections::VecDeque;

const LONGEST_LINE: usize = 8 << 10;
const MOST_MESSAGES: usize = 64 << 10;
/// Less than this, each time the clock runs, is a stall and no transfer.
const LEAST_ADVANCE: u64 = 512;

/// What the last HTTP answer said, as far as it is of use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Http {
    /// Its status, if there was an answer.
    pub(super) status: Option<u16>,
    /// Where it says that the thing is.
    pub(super) location: Option<String>,
    /// When to come back: seconds or a date, as the server wrote it.
    pub(super) retry_after: Option<String>,
    /// Whether any request carried a credential.
    pub(super) authorized: bool,
}

/// What was received, as git counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Received {
    pub(super) bytes: u64,
    pub(super) objects: u64,
    pub(super) total_objects: u64,
    /// Nothing more will come over the network.
    pub(super) complete: bool,
}

/// The stderr of one git command, as it comes.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    partial: Vec<u8>,
    messages: VecDeque<String>,
    messages_bytes: usize,
    pub(super) http: Http,
    pub(super) received: Received,
    /// Grows whenever something moved; what stands still for too long is a stall.
    pub(super) advances: u64,
    advanced_at: u64,
}

impl Transcript {
    /// Takes the next piece of stderr.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\n' || byte == b'\r' {
                let line = std::mem::take(&mut self.partial);
                self.line(&String::from_utf8_lossy(&line));
            } else if self.partial.len() < LONGEST_LINE {
                self.partial.push(byte);
            }
        }
    }

    /// No more will come.
    pub(super) fn finish(&mut self) {
        self.push(b"\n");
    }

    /// What git itself said: not what the server said through it, so that no server can choose how
    /// its failure is understood.
    pub(super) fn messages(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.messages.iter().map(String::as_str)
    }

    fn line(&mut self, line: &str) {
        let line = line.trim_end();
        if line.is_empty() {
            return;
        }
        if let Some(traced) = traced(line) {
            self.header(traced);
        } else if line.starts_with("remote: ") {
            self.advances += 1;
        } else if let Some(now) = receiving(line) {
            let enough = now.bytes >= self.advanced_at + LEAST_ADVANCE
                || now.bytes == 0 && now.objects > self.received.objects;
            if enough || now.complete {
                self.advanced_at = now.bytes;
                self.advances += 1;
            }
            self.received = now;
        } else if line.starts_with("Resolving deltas:") {
            self.advances += 1;
        } else {
            self.advances += 1;
            self.messages_bytes += line.len();
            self.messages.push_back(line.to_owned());
            while self.messages_bytes > MOST_MESSAGES {
                let Some(oldest) = self.messages.pop_front() else { break };
                self.messages_bytes -= oldest.len();
            }
        }
    }

    fn header(&mut self, traced: &str) {
        if let Some(sent) = traced.strip_prefix("=> Send header: ") {
            self.http.authorized |= value(sent, "authorization").is_some();
        } else if let Some(received) = traced.strip_prefix("<= Recv header: ") {
            self.advances += 1;
            if let Some(status) = received.strip_prefix("HTTP/") {
                self.http.status = status.split(' ').nth(1).and_then(|code| code.parse().ok());
                self.http.location = None;
                self.http.retry_after = None;
            } else if let Some(location) = value(received, "location") {
                self.http.location = Some(location.to_owned());
            } else if let Some(after) = value(received, "retry-after") {
                self.http.retry_after = Some(after.to_owned());
            }
        }
    }
}

/// The text of a line of `GIT_TRACE_CURL` (`12:34:56.789012 http.c:872    <= Recv header: ...`).
fn traced(line: &str) -> Option<&str> {
    let (time, rest) = line.split_at_checked(15)?;
    let is_time = time
        .bytes()
        .enumerate()
        .all(|(at, byte)| matches!((at, byte), (2 | 5, b':') | (8, b'.') | (_, b'0'..=b'9')));
    let rest = rest.strip_prefix(" http.c:").filter(|_| is_time)?;
    Some(rest.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start())
}

fn value<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let (found, value) = header.split_once(':')?;
    found.eq_ignore_ascii_case(name).then(|| value.trim())
}

/// `Receiving objects:  42% (12/345), 1.20 MiB | 3.00 MiB/s`
fn receiving(line: &str) -> Option<Received> {
    let rest = line.strip_prefix("Receiving objects:")?;
    let (_, rest) = rest.split_once('(')?;
    let (counts, rest) = rest.split_once(')')?;
    let (objects, total) = counts.split_once('/')?;
    let (objects, total_objects) = (objects.trim().parse().ok()?, total.trim().parse().ok()?);
    let amount = rest.trim_start_matches(", ").split(" |").next().unwrap_or_default();
    Some(Received {
        bytes: bytes(amount).unwrap_or(0),
        objects,
        total_objects,
        complete: rest.ends_with("done."),
    })
}

fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = text.trim().split_once(' ')?;
    let unit = match unit {
        "bytes" => 1.0,
        "KiB" => 1024.0,
        "MiB" => 1048576.0,
        "GiB" => 1073741824.0,
        _ => return None,
    };
    Some((number.parse::<f64>().ok()? * unit) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Transcript {
        let mut transcript = Transcript::default();
        transcript.push(text.as_bytes());
        transcript.finish();
        transcript
    }

    #[test]
    fn progress_is_understood() {
        let text =
            "Receiving objects:  50% (1/2)\rReceiving objects: 100% (2/2), 1.50 KiB | 1.50 KiB/s, done.\n";
        let received = Received { bytes: 1536, objects: 2, total_objects: 2, complete: true };
        assert_eq!(read(text).received, received);
    }

    #[test]
    fn the_last_answer_counts_and_no_header_is_kept() {
        let transcript = read(
            "00:30:37.797851 http.c:872              => Send header: X-Token: secret\n\
             00:30:37.798783 http.c:872              => Send header: Authorization: Basic <redacted>\n\
             00:30:37.769388 http.c:872              <= Recv header: HTTP/1.1 301 X\n\
             00:30:37.769396 http.c:872              <= Recv header: Location: http://h/a\n\
             00:30:37.769388 http.c:872              <= Recv header: HTTP/2 429\n\
             00:30:37.769396 http.c:872              <= Recv header: retry-after: 30\n\
             fatal: x\n",
        );
        let retry_after = Some("30".to_owned());
        let http = Http { status: Some(429), location: None, retry_after, authorized: true };
        assert_eq!(transcript.http, http);
        assert_eq!(transcript.messages().collect::<Vec<_>>(), ["fatal: x"]);
    }

    #[test]
    fn a_trickle_is_no_advance() {
        let mut transcript = read("Receiving objects:   0% (1/900), 600 bytes | 1 bytes/s\n");
        let before = transcript.advances;
        transcript.push(b"Receiving objects:   0% (2/900), 620 bytes | 1 bytes/s\r");
        assert_eq!(transcript.advances, before);
        transcript.push(b"Receiving objects:   1% (9/900), 2.00 KiB | 1 bytes/s\r");
        assert_eq!(transcript.advances, before + 1);
    }

    #[test]
    fn memory_is_bounded() {
        let mut transcript = Transcript::default();
        for _ in 0..100 {
            transcript.push(&[b'x'; 100_000]);
            transcript.push(b"\n");
        }
        assert!(transcript.messages().map(str::len).sum::<usize>() <= MOST_MESSAGES);
        assert!(transcript.partial.capacity() <= 2 * LONGEST_LINE);
    }

    #[test]
    fn what_the_server_says_is_no_message_of_git() {
        assert_eq!(read("remote: fatal: No space left on device\n").messages().count(), 0);
    }
}
