//! What of HTTP/1.1 the registry needs: requests in, answers out, on connections that are kept.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use super::Request;

/// Reads the next request; none if the client went away or speaks no HTTP.
pub(super) fn read(input: &mut BufReader<&TcpStream>) -> Option<Request> {
    let mut line = String::new();
    input.read_line(&mut line).ok()?;
    let mut words = line.split_ascii_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        input.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    if let Some(length) = headers.get("content-length") {
        std::io::copy(&mut input.take(length.parse().ok()?), &mut std::io::sink()).ok()?;
    }
    let path = decoded(target.split(['?', '#']).next()?);
    Some(Request { method, path, target, headers, status: 0 })
}

/// Without percent-encoding.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let encoded = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let (byte, left) = match encoded {
            Some(byte) if *first == b'%' => (byte, &tail[2..]),
            _ => (*first, tail),
        };
        bytes.push(byte);
        rest = left;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A whole answer.
pub(super) struct Answer {
    pub status: u16,
    pub headers: Vec<String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn new(status: u16, headers: &[&str], body: &[u8]) -> Self {
        let headers = headers.iter().map(ToString::to_string).collect();
        Answer { status, headers, body: body.to_vec() }
    }

    /// The head of it: with a length, or in chunks.
    pub fn head(&self, length: Option<u64>) -> String {
        let mut lines = vec![format!("HTTP/1.1 {} Test", self.status)];
        lines.extend_from_slice(&self.headers);
        match length {
            // There is no body, and so nothing to say about it.
            _ if self.status == 304 => {}
            Some(length) => lines.push(format!("Content-Length: {length}")),
            None => lines.push("Transfer-Encoding: chunked".to_owned()),
        }
        lines.join("\r\n") + "\r\n\r\n"
    }
}

/// Writes what it is given as chunks.
pub(super) struct Chunks<'c>(pub &'c TcpStream);

impl Chunks<'_> {
    pub fn finish(mut self) -> std::io::Result<()> {
        self.0.write_all(b"0\r\n\r\n")
    }
}

impl Write for Chunks<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if !bytes.is_empty() {
            let chunk = [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
            self.0.write_all(&chunk)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
