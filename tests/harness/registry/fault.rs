//! The ways in which an answer of the registry goes wrong.

/// How an answer goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection is closed without an answer.
    Hangup,
    /// Nothing is answered until [`Registry::release`](super::Registry::release).
    StallBeforeHeaders,
    /// The headers and so many bytes, then nothing until [`Registry::release`](super::Registry::release).
    StallInBody(usize),
    /// The headers and so many bytes, then a byte every 0.2 s.
    Trickle(usize),
    /// This status, with these header lines (`Retry-After: 30`).
    Status(u16, Vec<String>),
    /// A redirect to another path of this server that is redirected too, for ever.
    RedirectLoop,
    /// A redirect of the path to this base (`http://127.0.0.2:1234`).
    Redirect(String),
    /// Only so many bytes of the body, though the header says how long it is.
    Truncate(usize),
    /// The header says a length that is so much less than that of the body.
    TooShort(usize),
    /// The header says a length that is so much more than that of the body, and the connection is closed.
    TooLong(usize),
    /// A page of somebody else, with status 200.
    Garbage,
    /// This body in place of the right one.
    Body(Vec<u8>),
    /// The body has one flipped bit in the middle.
    Flip,
    /// JSON of objects that are nested so deep.
    Deep(usize),
    /// JSON of so many bytes whose length is not said before.
    Large(u64),
    /// JSON of so many bytes whose length is said before.
    Announced(u64),
    /// JSON of so many bytes that are a thousandth of it on the way: compressed.
    Bomb(u64),
    /// No `ETag`, and what was asked about one is ignored.
    NoEtag,
    /// Never compressed.
    Plain,
}
