//! Times, as registries write them.

use std::time::SystemTime;

/// A time of RFC 3339; `None` if it is none.
pub(super) fn parse(text: &str) -> Option<SystemTime> {
    text.parse::<jiff::Timestamp>().ok().map(SystemTime::from)
}
