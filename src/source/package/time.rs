//! Times, as registries write them.

use std::time::SystemTime;

/// A time of RFC 3339; `None` if it is none.
pub(super) fn parse(text: &str) -> Option<SystemTime> {
    text.parse::<jiff::Timestamp>().ok().map(SystemTime::from)
}

/// A time as HTTP writes it (RFC 9110, of which RFC 2822 is the ancestor); `None` if it is none.
pub(super) fn of_http(text: &str) -> Option<SystemTime> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok().map(SystemTime::from)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn both_forms_mean_the_same_moment() {
        let moment = UNIX_EPOCH + Duration::from_secs(1_445_412_480);
        assert_eq!(parse("2015-10-21T07:28:00.000Z"), Some(moment));
        assert_eq!(of_http("Wed, 21 Oct 2015 07:28:00 GMT"), Some(moment));
        for text in ["", "yesterday", "Wed, 99 Oct 2015 07:28:00 GMT"] {
            assert_eq!((parse(text), of_http(text)), (None, None), "{text}");
        }
    }
}
