//! How large the cache may become, and how long it keeps what nobody uses.
//!
//! Numbers alone: which mirror goes is the cache's affair (`cache::gc`).

use std::fmt;
use std::time::Duration;

use super::document::Fields;
use super::duration;
use super::problem::Problems;
use super::size::{self, Shown};
use super::{DAY, HOUR};

/// The keys of a quota in the configuration.
pub(super) const KEYS: [&str; 5] = ["max_size", "keep_free", "max_age", "high_watermark", "low_watermark"];

const MEGABYTE: u64 = 1_000_000;
const GIGABYTE: u64 = 1000 * MEGABYTE;
const EXABYTE: u64 = 1_000_000_000 * GIGABYTE;
const HIGH: u32 = 90;
const LOW: u32 = 75;
/// What a size may be written in, for messages.
const UNITS: &str = "kB, MB, GB, TB, KiB, MiB, GiB, TiB";
/// What [`KeepFree::Auto`] is of the disk, in percent, and at most.
const AUTO: (u64, u64) = (5, GIGABYTE);

/// What bounds a cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The bytes that it may have; none for no bound.
    pub max_size: Option<u64>,
    /// What must stay free on its disk.
    pub keep_free: KeepFree,
    /// For how long it keeps what nobody uses; none for ever.
    pub max_age: Option<Duration>,
    /// In percent of `max_size`: above it unused mirrors begin to go.
    pub high_watermark: u32,
    /// In percent of `max_size`: below it no more of them go. At most `high_watermark`.
    pub low_watermark: u32,
}

/// What must stay free on the disk of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepFree {
    /// Nothing in particular.
    Nothing,
    /// A twentieth of the disk, at most 1 GB.
    Auto,
    /// So many bytes.
    Bytes(u64),
    /// So many percent of the disk.
    Percent(u32),
}

impl Default for Quota {
    /// What a configuration says that says nothing.
    fn default() -> Self {
        Quota {
            max_size: None,
            keep_free: KeepFree::Auto,
            max_age: None,
            high_watermark: HIGH,
            low_watermark: LOW,
        }
    }
}

impl Quota {
    /// No bound at all.
    pub fn none() -> Quota {
        Quota { keep_free: KeepFree::Nothing, ..Quota::default() }
    }

    /// The bytes above which unused mirrors begin to go.
    pub fn high(&self) -> Option<u64> {
        self.max_size.map(|most| percent(most, self.high_watermark))
    }

    /// The bytes below which they stop.
    pub fn low(&self) -> Option<u64> {
        self.max_size.map(|most| percent(most, self.low_watermark))
    }
}

impl KeepFree {
    /// The bytes that must stay free on a disk of so many.
    pub fn of(self, disk: u64) -> u64 {
        match self {
            KeepFree::Nothing => 0,
            KeepFree::Auto => (disk / 100 * AUTO.0).min(AUTO.1),
            KeepFree::Bytes(bytes) => bytes,
            KeepFree::Percent(part) => percent(disk, part),
        }
    }
}

impl fmt::Display for KeepFree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeepFree::Nothing => f.write_str("none"),
            KeepFree::Auto => f.write_str("auto"),
            KeepFree::Bytes(bytes) => Shown(*bytes).fmt(f),
            KeepFree::Percent(part) => write!(f, "{part}%"),
        }
    }
}

fn percent(of: u64, part: u32) -> u64 {
    // First the division: nothing here is so small that its remainder matters.
    of / 100 * u64::from(part)
}

/// The quota of a configuration; what is wrong in it is noted, and counts as its default.
pub(super) fn read(file: &Fields<'_, '_>, problems: &mut Problems<'_>) -> Quota {
    let quota = Quota {
        max_size: max_size(file, problems),
        keep_free: keep_free(file, problems),
        max_age: max_age(file, problems),
        high_watermark: file.number("high_watermark", 1..=100, HIGH, problems),
        low_watermark: file.number("low_watermark", 1..=100, LOW, problems),
    };
    if quota.low_watermark > quota.high_watermark {
        let key = if file.has("low_watermark") { "low_watermark" } else { "high_watermark" };
        let why = format!(
            "low_watermark ({}) is above high_watermark ({})",
            quota.low_watermark, quota.high_watermark
        );
        let hint = match (file.has("low_watermark"), file.has("high_watermark")) {
            (true, true) => format!("write them the other way round; the defaults are {LOW} and {HIGH}"),
            (true, false) => format!("write a high_watermark too; its default is {HIGH}"),
            _ => format!("write a low_watermark too; its default is {LOW}"),
        };
        problems.add(&file.place(key), why, hint);
        return Quota { high_watermark: HIGH, low_watermark: LOW, ..quota };
    }
    quota
}

fn max_size(file: &Fields<'_, '_>, problems: &mut Problems<'_>) -> Option<u64> {
    let text = file.text("max_size", problems)?;
    if text.text == "none" {
        return None;
    }
    let hint = format!(
        "write a text with a unit ({UNITS}), from {:?} to {:?}, or \"none\"; the default is \"none\"",
        Shown(MEGABYTE).to_string(),
        Shown(EXABYTE).to_string()
    );
    match size::parse(text.text) {
        Some(bytes) if (MEGABYTE..=EXABYTE).contains(&bytes) => return Some(bytes),
        Some(_) => problems.add(&text.at, format!("max_size = {:?} is out of range", text.text), hint),
        None => problems.add(&text.at, format!("max_size = {:?} is not a size", text.text), hint),
    }
    None
}

fn keep_free(file: &Fields<'_, '_>, problems: &mut Problems<'_>) -> KeepFree {
    let Some(text) = file.text("keep_free", problems) else { return KeepFree::Auto };
    let part = text.text.strip_suffix('%').map(|part| part.trim_end().parse::<u32>());
    let parsed = match (text.text, part) {
        ("none", _) => Some(KeepFree::Nothing),
        ("auto", _) => Some(KeepFree::Auto),
        (_, Some(part)) => part.ok().filter(|part| (1..=90).contains(part)).map(KeepFree::Percent),
        (size, None) => {
            size::parse(size).filter(|bytes| (MEGABYTE..=EXABYTE).contains(bytes)).map(KeepFree::Bytes)
        }
    };
    parsed.unwrap_or_else(|| {
        let why = format!("keep_free = {:?} is not a size or a percentage in its range", text.text);
        let hint = format!(
            "write a text with a unit ({UNITS}), from {:?} to {:?}, or from \"1%\" to \"90%\" of the disk, or \
             \"none\"; the default is \"auto\": 5% of the disk, at most {}",
            Shown(MEGABYTE).to_string(),
            Shown(EXABYTE).to_string(),
            Shown(AUTO.1)
        );
        problems.add(&text.at, why, hint);
        KeepFree::Auto
    })
}

fn max_age(file: &Fields<'_, '_>, problems: &mut Problems<'_>) -> Option<Duration> {
    let text = file.text("max_age", problems)?;
    if text.text == "never" {
        return None;
    }
    let (least, most) = (HOUR, DAY * 3650);
    let hint = format!(
        "write a text with a unit, from {:?} to {:?}, or \"never\"; the default is \"never\"",
        duration::Shown(least).to_string(),
        duration::Shown(most).to_string()
    );
    match duration::parse(text.text) {
        Some(age) if (least..=most).contains(&age) => return Some(age),
        Some(_) => problems.add(&text.at, format!("max_age = {:?} is out of range", text.text), hint),
        None => problems.add(&text.at, format!("max_age = {:?} is not a duration", text.text), hint),
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn quota(text: &str) -> Quota {
        Config::parse(text).unwrap().quota
    }

    #[test]
    fn every_form_is_read() {
        assert_eq!(quota(""), Quota::default());
        let all = "max_size = \"20 GB\"\nkeep_free = \"10%\"\nmax_age = \"30d\"\nhigh_watermark = 80\n\
                   low_watermark = 50";
        let read = quota(all);
        assert_eq!((read.high(), read.low()), (Some(16 * GIGABYTE), Some(10 * GIGABYTE)));
        assert_eq!((read.keep_free.of(GIGABYTE), read.max_age), (100 * MEGABYTE, Some(DAY * 30)));
        assert_eq!(quota("keep_free = \"2 GB\"").keep_free.of(0), 2 * GIGABYTE);
        assert_eq!(quota("keep_free = \"none\"\nmax_size = \"none\"\nmax_age = \"never\""), Quota::none());
        assert_eq!([100, 40_000].map(|disk| KeepFree::Auto.of(disk * MEGABYTE)), [5 * MEGABYTE, GIGABYTE]);
    }

    #[test]
    fn what_is_wrong_is_told_with_range_and_default() {
        for (text, parts) in [
            ("max_size = 20", ["max_size is a number", "\"...\""]),
            ("max_size = \"20\"", ["is not a size", "from \"1 MB\" to"]),
            ("max_size = \"20 gb\"", ["is not a size", "kB, MB, GB, TB, KiB"]),
            ("max_size = \"1 kB\"", ["is out of range", "the default is \"none\""]),
            ("keep_free = \"91%\"", ["is not a size or a percentage", "\"1%\" to \"90%\""]),
            ("keep_free = \"-1 GB\"", ["is not a size or a percentage", "the default is \"auto\""]),
            ("max_age = \"1s\"", ["is out of range", "from \"1h\" to \"3650d\""]),
            ("max_age = \"NaN\"", ["is not a duration", "the default is \"never\""]),
            ("high_watermark = 0", ["high_watermark is not a whole number", "from 1 to 100"]),
            ("low_watermark = 101", ["low_watermark is not a whole number", "the default is 75"]),
            ("low_watermark = 95", ["low_watermark (95) is above", "write a high_watermark too"]),
            ("high_watermark = 50", ["is above high_watermark (50)", "write a low_watermark too"]),
            (
                "high_watermark = 20\nlow_watermark = 30",
                ["low_watermark (30) is above high_watermark (20)", "other way round"],
            ),
        ] {
            let problems = Config::parse(text).unwrap_err();
            let told = problems[0].to_string();
            assert!(problems.len() == 1 && parts.iter().all(|part| told.contains(part)), "{text}: {told}");
        }
    }
}
