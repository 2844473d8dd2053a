//! The content of an answer: decoded, counted, and known to be whole.
//!
//! A document says where it ends: by its length, in chunks, or by the trailer of gzip. One that ends where
//! the connection does may have been cut off, and of some documents (the lines of an index) a part looks
//! like a whole, so it is refused. An archive is compared with its published hash, so for it that is no
//! matter; and it is taken as it is stored, for an encoding would change what is hashed.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use ureq::http::HeaderMap;

use super::failure::Trouble;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Metadata: may be compressed on the way.
    Document,
    /// Bytes as they are stored.
    Archive,
}

impl Form {
    /// The value of `Accept-Encoding`.
    pub fn encodings(self) -> &'static str {
        match self {
            Form::Document => "gzip",
            Form::Archive => "identity",
        }
    }
}

/// The content of an answer with these headers, of which no more than `limit` bytes are read or decoded.
pub(super) fn open(
    headers: &HeaderMap,
    body: ureq::Body,
    form: Form,
    limit: u64,
) -> Result<Option<Box<dyn Read>>, Trouble> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default().trim());
    let length = match text("content-length") {
        Some(length) => Some(length.parse::<u64>().map_err(|_| Trouble::garbled("a malformed length"))?),
        None => None,
    };
    if length.is_some_and(|length| length > limit) {
        return Err(Trouble::too_large(limit));
    }
    let encoding = text("content-encoding").unwrap_or_default().to_ascii_lowercase();
    let zipped = match encoding.as_str() {
        _ if form == Form::Archive => false,
        "" | "identity" => false,
        "gzip" | "x-gzip" => true,
        _ => return Err(Trouble::garbled("an encoding that was not asked for")),
    };
    let chunked = text("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
    if form == Form::Document && length.is_none() && !chunked && !zipped {
        return Err(Trouble::garbled("a document that does not say where it ends"));
    }
    let raw = Limited { inner: body.into_reader(), left: limit, limit };
    Ok(Some(match zipped {
        true => Box::new(Limited { inner: MultiGzDecoder::new(raw), left: limit, limit }),
        false => Box::new(raw),
    }))
}

/// Fails as soon as there is more than the limit.
struct Limited<R> {
    inner: R,
    left: u64,
    limit: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => return Err(io::Error::other(PastLimit(self.limit))),
        }
        Ok(read)
    }
}

/// There is more than was to be read.
#[derive(Debug)]
pub(super) struct PastLimit(pub u64);

impl std::fmt::Display for PastLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "more than {} bytes", self.0)
    }
}

impl std::error::Error for PastLimit {}
