//! Another process with the same locks: this test program, started again to play one part.
#![allow(clippy::disallowed_methods, reason = "it is a test that starts itself")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::{KeyLock, LONG, Place, key, locks};
use crate::config::locking::Backend;

/// How often each process that counts does so.
pub(super) const ROUNDS: u32 = 20;

/// A process that plays a part.
pub(super) struct Holder {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Holder {
    pub(super) fn start(place: &Place, part: &str) -> Holder {
        Holder::with_fault(place, part, None)
    }

    pub(super) fn with_fault(place: &Place, part: &str, fault: Option<&str>) -> Holder {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "cache::key_lock::tests::process::part", "--nocapture", "--test-threads=1"])
            .env("SRCFS_TEST_PART", part)
            .env("SRCFS_TEST_PLACE", place.directory.path())
            .env("SRCFS_TEST_BACKEND", place.backend.as_str())
            .env("SRCFS_TEST_STALE", place.stale.as_millis().to_string())
            .env_remove("SRCFS_FAULT")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if let Some(fault) = fault {
            command.env("SRCFS_FAULT", fault);
        }
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Holder { child, input, output }
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "it ended without a word");
            if let Some((_, said)) = line.trim_end().split_once("@@ ") {
                return said.to_owned();
            }
        }
    }

    /// Waits for what it says.
    pub(super) fn hear(&mut self, word: &str) {
        assert_eq!(self.line(), word);
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Stops it, and waits until it is.
    pub(super) fn stop(&self) {
        self.signal(Signal::SIGSTOP);
        self.wait_for_stop();
    }

    /// Waits until a fault point has stopped it.
    pub(super) fn wait_for_stop(&self) {
        let status = waitpid(self.pid(), Some(WaitPidFlag::WUNTRACED)).unwrap();
        assert!(matches!(status, WaitStatus::Stopped(_, Signal::SIGSTOP)), "{status:?}");
    }

    pub(super) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end; whether a signal ended it.
    pub(super) fn dies(mut self) -> bool {
        self.child.wait().unwrap().signal().is_some()
    }

    /// Lets it go on to its end; the last thing it says.
    pub(super) fn end(mut self) -> String {
        self.input = None;
        let mut text = String::new();
        self.output.read_to_string(&mut text).unwrap();
        assert!(self.child.wait().unwrap().success(), "{text}");
        let said = text.lines().filter_map(|line| line.split_once("@@ ")).next_back();
        said.expect("it said how it went").1.to_owned()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "@@ {text}").unwrap();
    out.flush().unwrap();
}

fn hear() {
    std::io::stdin().read_to_string(&mut String::new()).unwrap();
}

/// Not a test: what a started process does.
#[test]
fn part() {
    let Ok(part) = std::env::var("SRCFS_TEST_PART") else { return };
    let place = PathBuf::from(std::env::var("SRCFS_TEST_PLACE").unwrap());
    let backend = Backend::parse(&std::env::var("SRCFS_TEST_BACKEND").unwrap()).unwrap();
    let stale = std::env::var("SRCFS_TEST_STALE").unwrap().parse().unwrap();
    let (locks, key) = (locks(&place, backend, std::time::Duration::from_millis(stale)), key());
    let lock = KeyLock::new(&locks, &key);
    match part.as_str() {
        "hold" => {
            let held = match lock.fetch(&LONG, "hold for a test") {
                Ok(held) => held,
                Err(error) => return say(&format!("{error:?}")),
            };
            say("held");
            hear();
            say(&held.still_ours().map_or_else(|error| format!("{error:?}"), |()| "ours".to_owned()));
        }
        // A counter without any care of its own: it is right if no two ever overlapped.
        "count" => {
            let file = place.join("count");
            for _ in 0..ROUNDS {
                let _held = lock.fetch(&LONG, "count").unwrap();
                let count: u32 = fs::read_to_string(&file).map_or(0, |text| text.parse().unwrap());
                std::thread::yield_now();
                fs::write(&file, (count + 1).to_string()).unwrap();
            }
            say("counted");
        }
        other => panic!("unknown part {other}"),
    }
}
