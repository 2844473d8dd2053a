//! What proves to a registry who asks: the value of one `Authorization` header.
//!
//! It is never shown: not by `Debug`, not in an error, not in a log. For which addresses it may be sent is
//! known where it was configured ([`crate::source::registry`]); a redirect to another host, scheme or port
//! loses it.

use std::fmt;

/// The value of an `Authorization` header.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential(String);

impl Credential {
    /// A token that is sent as it stands, which is what cargo's registries ask for.
    pub fn raw(value: impl Into<String>) -> Self {
        Credential(value.into())
    }

    /// A bearer token (RFC 6750).
    pub fn bearer(token: &str) -> Self {
        Credential(format!("Bearer {token}"))
    }

    /// The value to send.
    pub fn header(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(…)")
    }
}
