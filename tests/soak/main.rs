//! Many processes on one cache, for minutes: `scripts/soak [MINUTES]`.
//!
//! Four mounts with daemons of their own, eight readers, and loops that move the upstreams, update, get,
//! clear, collect, and kill verbs and daemons by SIGKILL, all on one cache with three repositories that
//! `git http-backend` serves on the loopback. Nothing may be torn, nothing may fail but what a killed
//! daemon's readers see, nothing is fetched twice into one generation, nobody waits for ever, and at
//! the end nothing is left. Each of these is looked at, and one that does not hold fails the run.
//!
//! A program with a `main` of its own, so that `cargo test` does not run it for minutes. In a debug
//! build verbs are also killed at chosen steps of their work, by fault points.
#![allow(clippy::disallowed_methods, reason = "tests start programs of their own")]
#![allow(missing_docs, reason = "a program, of which nobody calls anything")]

mod content;
mod ending;
mod fetches;
#[path = "../harness.rs"]
mod harness;
mod mounts;
#[path = "../harness/program.rs"]
mod program;
mod random;
mod readers;
mod report;
mod roles;
mod soak;
mod verbs;
mod watched;

use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};

use crate::random::Random;
use crate::soak::Soak;

const MOUNTS: usize = 4;
const USAGE: &str = "Usage: soak [--seed N] [MINUTES]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["--role", what, name, view, seed] = words[..] {
        let seed = seed.parse().unwrap_or_default();
        roles::Role { what: what.into(), name: name.into(), view: view.into(), seed }.play();
        return ExitCode::SUCCESS;
    }
    let (seed, rest) = match words[..] {
        ["--seed", seed, ref rest @ ..] => (seed.parse().ok(), rest),
        ref rest => (Some(u64::from(std::process::id())), rest),
    };
    let minutes: Option<f64> = match rest {
        [] => Some(10.0),
        [minutes] => minutes.parse().ok().filter(|minutes| (0.0..10_000.0).contains(minutes)),
        _ => None,
    };
    let (Some(seed), Some(minutes)) = (seed, minutes) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    fetches::prove();
    run(Duration::from_secs_f64(minutes * 60.0), seed)
}

fn run(duration: Duration, seed: u64) -> ExitCode {
    // Waited for by a thread, so that Ctrl-C ends the loops and everything is taken away all the same.
    let mut signals = SigSet::empty();
    signals.extend([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]);
    signals.thread_block().expect("signals can be blocked");
    println!("soak of {duration:?}, seed {seed}");
    let soak = Soak::new(MOUNTS, seed);
    for mount in &soak.mounts {
        if let Err(why) = mount.start(&soak) {
            soak.error(&why);
            soak.over.store(true, Ordering::SeqCst);
        }
    }
    let soak = &*Box::leak(Box::new(soak));
    std::thread::spawn(move || {
        let signal = signals.wait();
        println!("ended early, by {signal:?}");
        soak.counts.errors.fetch_add(1, Ordering::SeqCst);
        soak.over.store(true, Ordering::SeqCst);
    });
    std::thread::scope(|scope| {
        for (number, kind) in (0..).zip(readers::KINDS) {
            scope.spawn(move || readers::read(soak, kind, number));
        }
        for (number, (_, change)) in (100..).zip(verbs::CHANGES) {
            scope.spawn(move || {
                let mut random = Random::new(soak.seed ^ number << 8);
                while !soak.is_over() {
                    change(soak, &mut random);
                }
            });
        }
        while !soak.is_over() && soak.elapsed() < duration {
            soak.pause(10_000.min(duration.saturating_sub(soak.elapsed()).as_millis() as u64 + 1));
            report::line(soak);
        }
        soak.over.store(true, Ordering::SeqCst);
    });
    if !soak.stalled.load(Ordering::SeqCst) {
        ending::read_all(soak);
    }
    ending::leave_nothing(soak);
    let told = ending::read_logs(soak);
    let good = report::end(soak, &told);
    // Leaked, so not dropped: threads may look at it to the last moment.
    let kept = if good { std::fs::remove_dir_all(soak.program.path()).is_err() } else { true };
    if kept {
        println!("left for a look: {}", soak.program.path().display());
    }
    match good {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
