//! How much of what is not cached one process may cause to be fetched through a mount.

use std::time::Duration;

use super::MINUTE;
use super::document::{DurationField, Fields};
use super::problem::Problems;

/// The keys of the file that are read here.
pub(super) const KEYS: [&str; 3] = [LIMIT, WINDOW.key, ALLOWED];

const LIMIT: &str = "max_materializations_per_process";
const ALLOWED: &str = "walkers_allowed";
const WINDOW: DurationField = DurationField {
    key: "walker_window",
    least: Duration::from_millis(100),
    most: super::HOUR,
    default: MINUTE,
};
const DEFAULT: u32 = 20;
/// The kernel keeps no more of a process's name (TASK_COMM_LEN of linux/sched.h, without its end).
const LONGEST: usize = 15;

/// What a process may cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walkers {
    /// How many different names it may have asked for or fetched within the window; none for no limit.
    pub limit: Option<u32>,
    /// For how long what it caused counts.
    pub window: Duration,
    /// The names of processes, as in `/proc/<pid>/comm`, to which no limit applies. Any process can take
    /// any name, so this is no security.
    pub allowed: Vec<String>,
}

impl Default for Walkers {
    fn default() -> Self {
        Walkers { limit: Some(DEFAULT), window: WINDOW.default, allowed: Vec::new() }
    }
}

pub(super) fn read(file: &Fields<'_, '_>, problems: &mut Problems<'_>) -> Walkers {
    let limit = match file.text_or_none(LIMIT) {
        Some("none") => None,
        _ => Some(file.number(LIMIT, 1..=10_000, DEFAULT, problems)),
    };
    let mut allowed = Vec::new();
    for name in file.texts(ALLOWED, problems) {
        if name.text.is_empty() || name.text.len() > LONGEST {
            problems.add(
                &name.at,
                format!("{:?} is no name of a process", name.text),
                "write what /proc/<pid>/comm says: 1 to 15 bytes, longer names are cut there",
            );
        } else {
            allowed.push(name.text.to_owned());
        }
    }
    Walkers { limit, window: file.duration(&WINDOW, problems), allowed }
}
