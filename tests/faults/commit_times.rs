//! For how long commit locks were held, by what verbs and daemons log. Printed, never asserted: the
//! promise is measured by `scripts/bench`.

/// Asks a program to log it.
pub const LOG: (&str, &str) = ("SRCFS_LOG", "srcfs::cache=debug");

/// What was logged, as one line.
pub fn summary(logs: &str) -> String {
    let held = logs.lines().filter(|line| line.contains("the commit lock of"));
    let micros = held.filter_map(|line| line.split("was held for ").nth(1)?.split(' ').next()?.parse().ok());
    let mut micros: Vec<u64> = micros.collect();
    micros.sort_unstable();
    let at = |part: usize| micros.get((micros.len() * part / 1000).min(micros.len().saturating_sub(1)));
    let [half, most, all] = [500, 990, 1000].map(|part| at(part).copied().unwrap_or_default());
    format!("commit locks: {} held, p50 {half} us, p99 {most} us, longest {all} us", micros.len())
}
