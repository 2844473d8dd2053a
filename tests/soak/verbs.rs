//! Everything that changes the cache while others read it: upstreams that move, updates, gets, clears,
//! gc, and kills of all of these and of the daemons.

use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::random::Random;
use crate::soak::{Soak, Upstream, lock};
use crate::watched::{self, Kill};

/// One way to change something; called again and again.
pub type Change = fn(&Soak, &mut Random);

/// All of them, by their names.
pub const CHANGES: [(&str, Change); 6] = [
    ("move", move_and_update),
    ("get", get),
    ("clear", clear),
    ("gc", gc),
    ("kill verbs", kill_a_verb),
    ("kill daemons", kill_a_daemon),
];

/// Runs a verb that must succeed; its report.
pub fn verb(soak: &Soak, arguments: &[&str]) -> Option<Value> {
    let (mut command, _) = soak.srcfs("verb", &[&["--json"], arguments].concat());
    let what = format!("srcfs {}", arguments.join(" "));
    let mut report = String::new();
    let ended = watched::run(soak, &what, &mut command, &Kill::Never, |line| report.push_str(line))?;
    soak.log(&ended.complaints);
    if !ended.status.success() {
        soak.error(&format!("{what}: {:?}: {report} {}", ended.status, ended.complaints));
        return None;
    }
    match serde_json::from_str(&report) {
        Ok(report) => Some(report),
        Err(error) => {
            soak.error(&format!("{what}: {error}: {report:?}"));
            None
        }
    }
}

fn move_and_update(soak: &Soak, random: &mut Random) {
    soak.pause(random.between(300, 2_500));
    let upstream = random.pick(&soak.upstreams);
    {
        let mut pushed = lock(&upstream.pushed);
        let version = upstream.newest.fetch_add(1, Ordering::SeqCst) as u32 + 1;
        let files = upstream.shape.files_of(version);
        let commit = match random.below(8) {
            0 => pushed.0.force_push("main", &files),
            _ => pushed.0.commit(&files),
        };
        pushed.1.push((commit, version));
    }
    soak.counts.moves.fetch_add(1, Ordering::SeqCst);
    // Now and then it is left to the daemons to notice by themselves.
    if random.below(5) > 0 {
        update(soak, upstream);
    }
}

/// Updates a repository; from then on no new process may see what was before.
pub fn update(soak: &Soak, upstream: &Upstream) {
    let pushed = lock(&upstream.pushed).1.last().map_or(0, |last| last.1);
    let Some(report) = verb(soak, &["update", &upstream.key]) else { return };
    let silent = report["unanswered"].to_string();
    for (number, mount) in soak.mounts.iter().enumerate() {
        if !silent.contains(&mount.place.display().to_string()) {
            soak.raise_floor(number, upstream, pushed, "an update");
        }
    }
}

fn get(soak: &Soak, random: &mut Random) {
    soak.pause(random.between(50, 700));
    let (key, _) = target(random.pick(&soak.upstreams), random);
    verb(soak, &["get", &key]);
    soak.counts.gets.fetch_add(1, Ordering::SeqCst);
}

/// The default branch of a repository, `main`, or one of its last commits.
fn target(upstream: &Upstream, random: &mut Random) -> (String, bool) {
    match random.below(3) {
        0 => (upstream.key.clone(), false),
        1 => (format!("{}@main", upstream.key), false),
        _ => {
            let pushed = lock(&upstream.pushed);
            let recent = &pushed.1[pushed.1.len().saturating_sub(8)..];
            (format!("{}@{}", upstream.key, random.pick(recent).0), true)
        }
    }
}

fn clear(soak: &Soak, random: &mut Random) {
    soak.pause(random.between(100, 2_000));
    let upstream = random.pick(&soak.upstreams);
    let started = Instant::now();
    noting_tombstones(soak, upstream, || {
        verb(soak, &["clear", &upstream.key]);
    });
    let took = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    soak.counts.longest_clear.fetch_max(took, Ordering::SeqCst);
    soak.counts.clears.fetch_add(1, Ordering::SeqCst);
}

/// Does something that may write a tombstone, and notes when it was written.
fn noting_tombstones(soak: &Soak, upstream: &Upstream, work: impl FnOnce()) {
    let _alone = lock(&upstream.clearing);
    let before = soak.tombstone(upstream);
    soak.counts.emptying.fetch_add(1, Ordering::SeqCst);
    work();
    if let Some(ticks) = soak.tombstone(upstream).filter(|ticks| Some(*ticks) != before) {
        soak.emptied_at(upstream, ticks);
    }
    soak.counts.emptying.fetch_sub(1, Ordering::SeqCst);
}

/// The only place that knows of `gc`, which a version of srcfs may not have.
fn gc(soak: &Soak, random: &mut Random) {
    let (mut help, _) = soak.srcfs("verb", &["gc", "--help"]);
    if !help.output().is_ok_and(|output| output.status.success()) {
        return soak.pause(u64::MAX >> 20);
    }
    soak.pause(random.between(2_000, 8_000));
    let started = Instant::now();
    soak.counts.emptying.fetch_add(1, Ordering::SeqCst);
    if verb(soak, &["gc"]).is_some() {
        soak.counts.gcs.fetch_add(1, Ordering::SeqCst);
    }
    // It may empty any repository, or drop any commit of one.
    soak.emptied(None, started, Instant::now());
    soak.counts.emptying.fetch_sub(1, Ordering::SeqCst);
}

fn kill_a_verb(soak: &Soak, random: &mut Random) {
    soak.pause(random.between(200, 2_000));
    let upstream = random.pick(&soak.upstreams);
    let key = target(upstream, random).0;
    let verb = *random.pick(&["get", "get", "update", "clear"]);
    let (mut command, agent) = soak.srcfs("killed", &[verb, &key]);
    let mut after = Duration::from_millis(random.below(250));
    if cfg!(debug_assertions) && random.below(3) > 0 {
        // At a step of its work, which only a debug build can tell.
        command.env("SRCFS_FAULT", format!("{}:kill", random.between(1, 40)));
        after = Duration::from_secs(5);
    }
    let what = format!("srcfs {verb} {key}, to be killed");
    let mut run = || watched::run(soak, &what, &mut command, &Kill::After(after, &agent), |_| ());
    let mut ended = None;
    match verb {
        "clear" => noting_tombstones(soak, upstream, || ended = run()),
        _ => ended = run(),
    }
    let Some(ended) = ended else { return };
    soak.log(&ended.complaints);
    match ended.status.signal() {
        Some(libc::SIGKILL) => {
            soak.was_killed(&agent);
            soak.counts.verbs_killed.fetch_add(1, Ordering::SeqCst);
        }
        _ if ended.status.success() => {}
        _ => soak.error(&format!("{what}: {:?} {}", ended.status, ended.complaints)),
    }
}

fn kill_a_daemon(soak: &Soak, random: &mut Random) {
    soak.pause(random.between(6_000, 15_000));
    if soak.is_over() {
        return;
    }
    let mount = random.pick(&soak.mounts);
    mount.kill(soak);
    soak.counts.daemons_killed.fetch_add(1, Ordering::SeqCst);
    soak.pause(random.below(2_500));
    match mount.start(soak) {
        Ok(()) => drop(soak.counts.restarts.fetch_add(1, Ordering::SeqCst)),
        Err(why) if !soak.stalled.load(Ordering::SeqCst) => soak.error(&why),
        Err(_) => {}
    }
}
