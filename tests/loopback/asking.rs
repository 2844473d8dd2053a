//! Asks the registry as plainly as one can, so that nothing is mended on the way.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::registry::Registry;

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
    /// Whether all came that the header announced, and no more.
    pub is_whole: bool,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Gets a path.
pub fn get(registry: &Registry, path: &str) -> Answer {
    get_with(registry, path, &[])
}

/// Gets a path, with these header lines.
pub fn get_with(registry: &Registry, path: &str, headers: &[&str]) -> Answer {
    let mut connection = ask(registry, path, headers);
    let mut bytes = Vec::new();
    // A connection that is reset has said what it had to say.
    let _ = connection.read_to_end(&mut bytes);
    parsed(&bytes)
}

/// Only asks.
pub fn ask(registry: &Registry, path: &str, headers: &[&str]) -> TcpStream {
    let mut connection = TcpStream::connect(registry.address()).unwrap();
    let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{lines}\r\n");
    connection.write_all(request.as_bytes()).unwrap();
    connection
}

fn parsed(bytes: &[u8]) -> Answer {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer");
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let header = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_lowercase(), value.to_owned())
    };
    let headers: HashMap<_, _> = lines.map(header).collect();
    let mut body = bytes[end + 4..].to_vec();
    let mut is_whole = headers.get("content-length").is_none_or(|length| *length == body.len().to_string());
    if headers.contains_key("transfer-encoding") {
        (body, is_whole) = chunked(&body);
    }
    if headers.get("content-encoding").is_some_and(|how| how == "gzip") {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(body.as_slice()).read_to_end(&mut plain).unwrap();
        body = plain;
    }
    Answer { status, headers, body, is_whole }
}

fn chunked(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else { return (body, false) };
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        rest = &rest[end + 2..];
        if size == 0 {
            return (body, true);
        }
        body.extend_from_slice(&rest[..size]);
        rest = &rest[size + 2..];
    }
}
