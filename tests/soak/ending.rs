//! The end: everything is readable and newest, and then nothing is left behind.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::random::Random;
use crate::readers::read_once;
use crate::soak::Soak;
use crate::verbs::{update, verb};
use crate::watched::{describe, processes};

/// Each mount shows the newest of each repository to whoever comes now.
pub fn read_all(soak: &Soak) {
    for upstream in &soak.upstreams {
        update(soak, upstream);
        for mount in 0..soak.mounts.len() {
            let kills = soak.mounts[mount].kills();
            read_once(soak, "walk", (mount, kills), upstream, &mut Random::new(1));
        }
    }
}

/// Unmounts everything, and looks for what must not be there any more.
pub fn leave_nothing(soak: &Soak) {
    for mount in &soak.mounts {
        if let Err(why) = mount.stop(soak) {
            soak.error(&why);
        }
    }
    let until = Instant::now() + Duration::from_secs(10);
    let mut left = processes(soak);
    while !left.is_empty() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(50));
        left = processes(soak);
    }
    for pid in left {
        soak.error(&format!("left behind: {}", describe(pid)));
    }
    let work = soak.program.path().display().to_string();
    let mounted = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    for line in mounted.lines().filter(|line| line.contains(&work)) {
        soak.error(&format!("still mounted: {line}"));
    }
    // Any verb reaps. What killed ones left goes with it.
    let Some(status) = verb(soak, &["status"]) else { return };
    for lock in status["locks"].as_array().into_iter().flatten() {
        soak.error(&format!("a lock is held: {lock}"));
    }
    for place in ["staging", "trash"] {
        for name in names(&soak.v1(place)) {
            soak.error(&format!("left in {place}: {name}"));
        }
    }
    for (mirror, state) in soak.mirrors() {
        let named = state["generation"].as_str().unwrap_or_default();
        let generations = names(&mirror).into_iter().filter(|name| mirror.join(name).is_dir());
        for generation in generations.filter(|name| name != named) {
            soak.error(&format!("not living, and not taken away: {generation} of {}", state["url"]));
        }
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// What the logs of all daemons and verbs tell.
#[derive(Default)]
pub struct Told {
    /// For how long commit locks were held, in microseconds, and for what.
    pub held: Vec<(u64, String)>,
    /// Warnings and how often, without what differs each time.
    pub warnings: BTreeMap<String, usize>,
}

/// Reads the logs. Errors and panics in them are errors of the run.
pub fn read_logs(soak: &Soak) -> Told {
    let mut told = Told::default();
    let logs = names(soak.program.path()).into_iter().filter(|name| name.ends_with(".log"));
    for name in logs {
        let text = std::fs::read(soak.program.path().join(&name)).unwrap_or_default();
        for line in String::from_utf8_lossy(&text).lines() {
            if let Some((lock, rest)) = line.split_once(" was held for ") {
                let (time, what) = rest.split_once(" us: ").unwrap_or_default();
                if let (true, Ok(time)) = (lock.contains("the commit lock"), time.parse()) {
                    told.held.push((time, what.to_owned()));
                }
            } else if line.contains("Failed to send FUSE reply: No such file or directory") {
                // The kernel forgot the request, because who asked was killed.
                *told.warnings.entry("a request was given up by its caller".into()).or_default() += 1;
            } else if line.contains(" ERROR ") || line.contains("panicked") {
                soak.error(&format!("{name}: {line}"));
            } else if let Some((_, warning)) = line.split_once(" WARN ") {
                let letters =
                    warning.split(|c: char| c.is_ascii_digit() || c == '/').next().unwrap_or_default();
                *told.warnings.entry(letters.chars().take(110).collect()).or_default() += 1;
            }
        }
    }
    told.held.sort_unstable();
    told
}
