//! Durations as people write them: `500ms`, `30s`, `10m`, `1h30m`, `2d`.

use std::fmt;
use std::time::Duration;

/// The units, largest first; each number must be followed by one.
const UNITS: [(&str, u64); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("ms", 1), ("m", 60_000), ("s", 1000)];

/// Parses a duration; `None` for anything else: no unit, a sign, a fraction, NaN, an overflow.
pub fn parse(text: &str) -> Option<Duration> {
    let mut total: u64 = 0;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (_, millis) = UNITS.iter().find(|(unit, _)| *unit == &rest[..letters])?;
        total = total.checked_add(number.checked_mul(*millis)?)?;
        rest = &rest[letters..];
    }
    Some(Duration::from_millis(total))
}

/// Shows a duration in the form that [`parse`] reads, to the millisecond.
#[derive(Clone, Copy, Debug)]
pub struct Shown(pub Duration);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if left == 0 {
            return f.write_str("0s");
        }
        for (unit, millis) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
            if left >= millis {
                write!(f, "{}{unit}", left / millis)?;
                left %= millis;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_shows() {
        for text in ["0s", "500ms", "30s", "10m", "1h", "1h30m", "2d", "1d2h3m4s5ms"] {
            assert_eq!(Shown(parse(text).unwrap()).to_string(), text);
        }
        assert_eq!(parse("90m"), parse("1h30m"));
        assert_eq!(parse("1w"), parse("7d"));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "5",
            "s",
            "-5s",
            "+5s",
            "1.5h",
            "NaN",
            "inf",
            "1 h",
            "5y",
            "99999999999999999999s",
            "1e3s",
            "5S",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
        assert_eq!(parse("18446744073709551615w"), None);
    }
}
