//! A mount that a test uses: its daemon is a child in the foreground, and both are gone at the end.

#![allow(dead_code, reason = "no test uses all of it")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::program::Program;
use super::reader::{self, wait_until};

/// A running mount of a program's cache. Dropping it unmounts it and ends its daemon.
pub struct Mounted<'p> {
    program: &'p Program,
    place: PathBuf,
    log: PathBuf,
    daemon: Child,
    status: Option<ExitStatus>,
}

impl<'p> Mounted<'p> {
    /// Mounts on `mount` in the program's directory.
    pub fn new(program: &'p Program) -> Self {
        Self::at(program, "mount")
    }

    /// Mounts on a directory of this name in the program's directory.
    pub fn at(program: &'p Program, name: &str) -> Self {
        Self::with(program, name, |command| command)
    }

    /// The same, with a daemon that is started in a way of the test's own (its environment).
    pub fn with(program: &'p Program, name: &str, how: impl Fn(&mut Command) -> &mut Command) -> Self {
        let place = program.path().join(name);
        let log = program.path().join(format!("{name}.log"));
        let mut command = program.command(&["-v", "mount", "--foreground"]);
        let output = std::fs::File::options().create(true).append(true).open(&log).unwrap();
        command.arg(&place).stdout(Stdio::null()).stderr(output);
        let daemon = how(&mut command).spawn().unwrap();
        let mut mounted = Mounted { program, place, log, daemon, status: None };
        let own = mounted.place.join(".srcfs/status.json");
        wait_until("the mount answers", || {
            assert!(mounted.ended().is_none(), "there is no mount: {}", mounted.log());
            // A dead mount that is being replaced says ENOTCONN, an empty directory ENOENT.
            own.symlink_metadata().is_ok()
        });
        mounted
    }

    /// Where it is.
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// A path below it.
    pub fn path(&self, below: &str) -> PathBuf {
        self.place.join(below)
    }

    /// The daemon's process id.
    pub fn daemon(&self) -> Pid {
        reader::pid(&self.daemon)
    }

    /// What the daemon has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// What the daemon says about itself.
    pub fn status(&self) -> Value {
        // By a process with a bound: a daemon that hangs fails the test and does not hang it.
        let text = reader::cat(&self.path(".srcfs/status.json"));
        serde_json::from_str(&text).unwrap()
    }

    /// What the daemon says about the views under a path, oldest first.
    pub fn views(&self, path: &str) -> Vec<Value> {
        let status = self.status();
        let views = status["views"].as_array().unwrap();
        views.iter().filter(|view| view["path"] == path).cloned().collect()
    }

    /// References that the kernel holds into the views under a path.
    pub fn references(&self, path: &str) -> u64 {
        self.views(path).iter().map(|view| view["lookups"].as_u64().unwrap()).sum()
    }

    /// How many requests wait for a slow answer.
    pub fn waiting(&self) -> usize {
        self.status()["waiting"].as_array().unwrap().len()
    }

    /// Requests of one kind that the daemon has received.
    pub fn requests(&self, kind: &str) -> u64 {
        self.status()["requests"][kind].as_u64().unwrap_or_default()
    }

    /// Sends the daemon a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.daemon(), signal).unwrap();
    }

    /// How the daemon ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.daemon.try_wait().unwrap();
        }
        self.status
    }

    /// Waits until the daemon has ended.
    pub fn wait(&mut self) -> ExitStatus {
        wait_until("the daemon ends", || self.ended().is_some());
        self.ended().unwrap()
    }

    /// Kills the daemon, so that the mount is dead.
    pub fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.wait();
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        let place = self.place.to_str().unwrap();
        // A test may have unmounted it, or killed its daemon: then there is perhaps nothing to do.
        let _ = self.program.command(&["-q", "unmount", "--force", place]).stderr(Stdio::null()).status();
        if !reader::ends(&mut self.daemon) {
            let _ = self.daemon.kill();
            let _ = self.daemon.wait();
            assert!(failed, "the daemon did not end when it was told to: {}", self.log());
        }
        if failed {
            eprintln!("the daemon of {place} said:\n{}", self.log());
        }
    }
}
