//! Sizes as people write them: `500 MB`, `20 GB`, `1.5 TiB`.

use std::fmt;

/// The units. Those of a thousand come first: a size is shown in them.
const UNITS: [(&str, u64); 11] = [
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1000),
    ("B", 1),
    ("KB", 1000),
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("kiB", 1 << 10),
];

/// Parses a size in bytes; `None` for anything else: no unit, a sign, NaN, an overflow. A fraction has
/// up to three digits.
pub fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
    let (number, unit) = text.split_at(end);
    let (_, unit) = UNITS.iter().find(|(name, _)| *name == unit.trim_start())?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if fraction.is_empty() || fraction.len() > 3 {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let thousandths: u64 = format!("{fraction:0<3}").parse().ok()?;
    whole.checked_mul(*unit)?.checked_add(thousandths.checked_mul(*unit)? / 1000)
}

/// Shows a size in the form that [`parse`] reads, in the largest unit of a thousand that fits exactly
/// to three digits behind the point.
#[derive(Clone, Copy, Debug)]
pub struct Shown(pub u64);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |unit: u64| self.0 >= unit && (unit == 1 || self.0.is_multiple_of(unit / 1000));
        let (name, unit) = UNITS[..5].iter().find(|(_, unit)| fits(*unit)).unwrap_or(&("B", 1));
        let thousandths = if *unit == 1 { 0 } else { self.0 % unit / (unit / 1000) };
        let fraction = format!(".{thousandths:03}");
        let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
        write!(f, "{}{fraction} {name}", self.0 / unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_shows() {
        for text in ["0 B", "1 B", "999 B", "1 kB", "1.5 kB", "20 GB", "1.25 TB", "12345.678 TB"] {
            assert_eq!(Shown(parse(text).unwrap()).to_string(), text);
        }
        assert_eq!(Shown(1_000_001).to_string(), "1000.001 kB");
        assert_eq!(parse("20GB"), Some(20_000_000_000));
        assert_eq!(parse(" 2 GiB "), Some(2 << 30));
        assert_eq!(parse("1.5 KiB"), Some(1536));
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in [
            "",
            "5",
            "GB",
            "-5 GB",
            "+5 GB",
            "1.2345 GB",
            "1. GB",
            ".5 GB",
            "NaN",
            "inf GB",
            "5 XB",
            "5 gb",
            "1e3 MB",
            "99999999999999999999 B",
            "18446744073709551615 kB",
            "1.2.3 GB",
            "5%",
            "5 G B",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
