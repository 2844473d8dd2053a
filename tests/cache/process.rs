//! Another process that uses the same cache: this test binary, started again to do one job.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use srcfs::cache::{Cache, Freshness, Mode, Options};
use srcfs::error::Result;
use srcfs::key::Reference;

use crate::directory::Directory;
use crate::upstream::{LocalGit, World, get, key, version};

/// Starts jobs; all settings before [`Job::start`].
pub struct Job {
    command: Command,
}

/// A process that runs.
pub struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Job {
    /// `job` is one of those that [`work`] knows.
    pub fn new(world: &World, job: &str) -> Job {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "process::worker", "--nocapture", "--test-threads=1"])
            .env("SRCFS_TEST_JOB", job)
            .env("SRCFS_TEST_WORLD", world.directory())
            .env_remove("SRCFS_FAULT")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        Job { command }
    }

    /// What happens at which point.
    pub fn fault(mut self, fault: &str) -> Job {
        self.command.env("SRCFS_FAULT", fault);
        self
    }

    /// How long it waits for another fetcher.
    pub fn patience(mut self, patience: Duration) -> Job {
        self.command.env("SRCFS_TEST_PATIENCE", patience.as_millis().to_string());
        self
    }

    /// As an ordinary user.
    pub fn user(mut self, uid: u32) -> Job {
        self.command.uid(uid).gid(uid);
        self
    }

    pub fn start(mut self) -> Process {
        let mut child = self.command.spawn().unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        Process { child, input, output }
    }

    /// Runs it to its end: what it said, unless it died by a signal.
    pub fn run(self) -> Option<String> {
        self.start().finish()
    }
}

impl Process {
    pub fn id(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// The next thing it says.
    pub fn says(&mut self) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "the process ended without a word");
            if let Some((_, said)) = line.trim_end().split_once("@@ ") {
                return said.to_owned();
            }
        }
    }

    /// Lets a job go on that waits for it.
    pub fn go_on(&mut self) {
        self.input = None;
    }

    /// Waits until it was stopped by a fault point.
    pub fn wait_for_stop(&self) {
        let status = waitpid(self.id(), Some(WaitPidFlag::WUNTRACED)).unwrap();
        assert!(matches!(status, WaitStatus::Stopped(_, Signal::SIGSTOP)), "{status:?}");
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.id(), signal).unwrap();
    }

    /// Its end: the last thing it said, unless it died by a signal.
    pub fn finish(mut self) -> Option<String> {
        self.go_on();
        let mut text = String::new();
        self.output.read_to_string(&mut text).unwrap();
        let status = self.child.wait().unwrap();
        if status.signal().is_some() {
            return None;
        }
        assert!(status.success(), "the process failed: {text}");
        let said = text.lines().filter_map(|line| line.split_once("@@ ")).next_back();
        Some(said.expect("it said how it went").1.to_owned())
    }
}

impl Drop for Process {
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

/// Not a test: what a started process does.
#[test]
fn worker() {
    let Ok(job) = std::env::var("SRCFS_TEST_JOB") else { return };
    match work(&job) {
        Ok(said) => say(&said),
        Err(error) => say(&format!("error {error:?}")),
    }
}

fn work(job: &str) -> Result<String> {
    let world = PathBuf::from(std::env::var("SRCFS_TEST_WORLD").unwrap());
    let (upstream, log) = (world.join("upstream"), world.join("fetches"));
    if job == "import" {
        let options = Options { reap: false, ..crate::upstream::options(&world) };
        let cache = Cache::open(&world.join("cache"), options)?;
        let source = Directory::new(upstream, log);
        let fetched = get(&cache, &source, &Reference::Default, Freshness::Now)?;
        return Ok(format!("version {}", version(&fetched.snapshot)));
    }
    let source = LocalGit::new(upstream, log);
    let mut options = Options { reap: job == "reap", ..crate::upstream::options(&world) };
    if let Ok(patience) = std::env::var("SRCFS_TEST_PATIENCE") {
        options.fetch_wait = Duration::from_millis(patience.parse().unwrap());
    }
    let cache = Cache::open(&world.join("cache"), options)?;
    let freshness = if job == "update" { Freshness::Now } else { Freshness::Cached };
    Ok(match job {
        "get" | "update" | "hold" => {
            let fetched = get(&cache, &source, &Reference::Default, freshness)?;
            let version = version(&fetched.snapshot);
            if job == "hold" {
                say(&format!("version {version}"));
                let mut until = String::new();
                std::io::stdin().read_to_string(&mut until).unwrap();
                assert_eq!(crate::upstream::version(&fetched.snapshot), version);
                drop(fetched);
            }
            format!("version {version}")
        }
        "clear" => format!("cleared {}", cache.clear(&key())?.generation.is_some()),
        "reap" => {
            let reaped = cache.reap();
            format!("left {}", reaped.left)
        }
        // Everything that can go, and what nobody asked to.
        "gc" => format!("{:?}", cache.collect(Mode::Asked)?),
        "evict" => {
            let quota = crate::quota::everything();
            let cache =
                Cache::open(&world.join("cache"), Options { quota, ..crate::upstream::options(&world) })?;
            format!("{:?}", cache.collect(Mode::Asked)?)
        }
        "tend" => {
            let quota = crate::quota::everything();
            let cache =
                Cache::open(&world.join("cache"), Options { quota, ..crate::upstream::options(&world) })?;
            format!("{:?}", cache.tend())
        }
        other => panic!("unknown job {other}"),
    })
}
