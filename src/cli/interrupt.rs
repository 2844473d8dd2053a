//! Ctrl-C, and the other signals that ask a verb to end, for verbs that have something to put away.
//!
//! They are blocked in every thread and heard by one. The first asks the verb to end, which then says
//! what it has done; a second ends the process at once, and what is left is reaped by whoever comes
//! next. What was ignored when the process started (`nohup`, a job in the background of a script) stays
//! so.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use nix::sys::signal::{SigSet, Signal};

use crate::error::{Error, Kind, Result};

/// Whether the verb is to end.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicU8>);

impl Interrupt {
    /// Hears them from now on. To be called before any other thread exists.
    pub fn listen() -> Result<Interrupt> {
        let failed = |what: &str, why: String| Error::new(Kind::Exhausted, what, why);
        let ignored = ignored();
        let mut signals = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            if ignored & (1 << (signal as u64 - 1)) == 0 {
                signals.add(signal);
            }
        }
        signals.thread_block().map_err(|error| failed("block signals", error.to_string()))?;
        let interrupt = Interrupt::default();
        let heard = interrupt.clone();
        let listen = move || {
            while let Ok(signal) = signals.wait() {
                let code = exit_code(signal);
                if heard.0.swap(code, Ordering::Relaxed) != 0 {
                    std::process::exit(code.into());
                }
            }
        };
        std::thread::Builder::new()
            .name("srcfs-signals".into())
            .spawn(listen)
            .map_err(|error| failed("start the thread of signals", error.to_string()))?;
        Ok(interrupt)
    }

    /// The exit code of a verb that was asked to end: 128 and the signal, as shells have it.
    pub fn heard(&self) -> Option<u8> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            code => Some(code),
        }
    }
}

fn exit_code(signal: Signal) -> u8 {
    u8::try_from(signal as i32).map_or(u8::MAX, |number| 128 + number)
}

/// The signals that this process ignores, a bit each. A blocked signal is kept for whoever waits for it,
/// even if it is ignored, so they are left alone.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
