//! What proves to a registry who asks: the value of one `Authorization` header.
//!
//! It is never shown: not by `Debug`, not in an error, not in a log. For which addresses it may be sent is
//! known where it was configured ([`crate::source::registry`]); a redirect to another host, scheme or port
//! loses it, but one from http to https of the same host.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

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

    /// A user and a password (RFC 7617).
    pub fn basic(user: &str, password: &str) -> Self {
        Credential::encoded(&STANDARD.encode(format!("{user}:{password}")))
    }

    /// A user and a password, which are already encoded in base64 together.
    pub fn encoded(user_and_password: &str) -> Self {
        Credential(format!("Basic {user_and_password}"))
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
