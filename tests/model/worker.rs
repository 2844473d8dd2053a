//! A process that uses the cache: this test binary, started again. It is told line by line what to do,
//! and answers with a line.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use srcfs::cache::{Cache, Collected, Done, Freshness, Mode, Options, Snapshot, Stays, What};
use srcfs::config::Quota;
use srcfs::error::{Error, Kind, Result};
use srcfs::key::Reference;

use crate::seen::{Answer, Shown, Turn};
use crate::steps::{Age, Room};
use crate::upstream::{Tree, Upstream, key, read, tree};

/// What a process is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Request {
    Get {
        reference: String,
        age: Age,
        hold: bool,
    },
    Peek {
        reference: String,
        hold: bool,
    },
    Clear,
    Sweep,
    Reap,
    Gc(Room),
    Keep(String),
    Release(String),
    Read(usize),
    Drop(usize),
    Distrust(usize),
    /// Lets go of everything and ends.
    End,
}

/// A process that runs.
pub struct Worker {
    child: Child,
    input: ChildStdin,
    answers: Receiver<Answer<String>>,
    /// What it answered already.
    answered: Option<Answer<String>>,
}

impl Worker {
    /// On the cache and the upstream in `world`, reaped at once or before its first fetch; with a `fault`,
    /// if there is to be one.
    pub fn start(world: &Path, reaps: bool, fault: Option<&str>) -> Worker {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "worker::works", "--nocapture", "--test-threads=1"])
            .env("SRCFS_MODEL_WORLD", world)
            .env("SRCFS_MODEL_REAPS", reaps.to_string())
            .env_remove("SRCFS_FAULT")
            .envs(fault.map(|fault| ("SRCFS_FAULT", fault)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (answer, answers) = channel();
        std::thread::spawn(move || {
            for line in output.lines() {
                if let Some((_, said)) = line.unwrap().trim_end().split_once("@@ ") {
                    let _ = answer.send(serde_json::from_str(said).unwrap());
                }
            }
        });
        Worker { child, input, answers, answered: None }
    }

    /// Tells it what to do. Whether it still hears that, its answer shows.
    pub fn tell(&mut self, request: &Request) {
        let line = serde_json::to_string(request).unwrap();
        let _ = writeln!(self.input, "{line}").and_then(|()| self.input.flush());
    }

    /// Its answer; `None` if it died instead.
    pub fn answer(&mut self) -> Option<Answer<String>> {
        let answer = self.answered.take().or_else(|| self.answers.recv().ok());
        if answer.is_none() {
            self.child.wait().unwrap();
        }
        answer
    }

    /// Whether it answers within `patience`.
    pub fn answers_within(&mut self, patience: Duration) -> bool {
        match self.answers.recv_timeout(patience) {
            Ok(answer) => self.answered = Some(answer),
            Err(RecvTimeoutError::Timeout) => return false,
            Err(RecvTimeoutError::Disconnected) => {}
        }
        true
    }

    /// Waits until a fault has stopped it: false if it answers instead.
    pub fn stops(&mut self) -> bool {
        loop {
            let flags = WaitPidFlag::WUNTRACED | WaitPidFlag::WNOHANG;
            match waitpid(self.id(), Some(flags)).unwrap() {
                WaitStatus::Stopped(_, Signal::SIGSTOP) => return true,
                WaitStatus::StillAlive => {}
                other => panic!("{other:?}"),
            }
            if self.answers_within(Duration::from_millis(1)) {
                return false;
            }
        }
    }

    /// Lets it go on.
    pub fn goes_on(&self) {
        kill(self.id(), Signal::SIGCONT).unwrap();
    }

    /// Ends it, also if it is stopped only now, while it lets go of what it held.
    pub fn ends(mut self) {
        self.tell(&Request::End);
        while !self.answers_within(Duration::from_millis(20)) {
            self.goes_on();
        }
        assert_eq!(self.answer(), None);
    }

    fn id(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn end(mut self) {
        self.tell(&Request::End);
        assert_eq!(self.answer(), None);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Not a test: what a started process does.
#[test]
fn works() {
    let Some(world) = std::env::var_os("SRCFS_MODEL_WORLD").map(PathBuf::from) else { return };
    // No bound is reached because the machine is busy.
    let long = Duration::from_secs(600);
    let reap = std::env::var("SRCFS_MODEL_REAPS").is_ok_and(|reaps| reaps == "true");
    let options = Options { reap, fetch_wait: long, commit_wait: long, ..Options::default() };
    let cache = Cache::open(&world.join("cache"), options).unwrap();
    let source = Upstream::new(&world);
    let mut held = Vec::new();
    for line in std::io::stdin().lines() {
        let request = serde_json::from_str(&line.unwrap()).unwrap();
        if matches!(request, Request::End) {
            break;
        }
        let answer = match request {
            Request::Gc(room) => collect(&world, room),
            request => work(&cache, &source, &mut held, request),
        };
        let answer = answer.unwrap_or_else(|error| Answer::Failed(format!("{:?}", error.kind())));
        let mut out = std::io::stdout().lock();
        writeln!(out, "@@ {}", serde_json::to_string(&answer).unwrap()).unwrap();
        out.flush().unwrap();
    }
}

fn work(
    cache: &Cache,
    source: &Upstream,
    held: &mut Vec<Snapshot>,
    request: Request,
) -> Result<Answer<String>> {
    let number = |number: usize, held: &Vec<Snapshot>| number.checked_rem(held.len());
    Ok(match request {
        Request::Get { reference, age, hold } => {
            let freshness = match age {
                Age::Cached => Freshness::Cached,
                Age::Hour => Freshness::NotOlderThan(Duration::from_secs(3600)),
                Age::Zero => Freshness::NotOlderThan(Duration::ZERO),
                Age::Now => Freshness::Now,
            };
            let reference = Reference::parse(&reference)?;
            let got = cache.get(source, &key(), &reference, freshness, "a test", &Arc::default())?;
            let failed = got.failed.map(|error| format!("{:?}", error.kind()));
            show(got.snapshot, got.fetched, got.changed, failed, hold.then_some(held))
        }
        Request::Peek { reference, hold } => match cache.peek(&key(), &Reference::parse(&reference)?)? {
            Some(snapshot) => show(snapshot, false, false, None, hold.then_some(held)),
            None => Answer::Absent,
        },
        Request::Clear => {
            let cleared = cache.clear(&key())?;
            let (freed, pending) = (cleared.freed > 0, cleared.pending > 0);
            Answer::Cleared { generation: cleared.generation, freed, pending }
        }
        Request::Sweep => {
            let swept = cache.sweep(&key());
            Answer::Swept { freed: swept.freed > 0, pending: swept.pending > 0 }
        }
        Request::Reap => {
            let reaped = cache.reap();
            Answer::Reaped { generations: reaped.generations, pinned: reaped.pinned }
        }
        Request::Read(which) => match number(which, held) {
            Some(position) => Answer::Read(version(&held[position])),
            None => Answer::Nothing,
        },
        Request::Drop(which) => {
            if let Some(position) = number(which, held) {
                held.remove(position);
            }
            Answer::Nothing
        }
        Request::Distrust(which) => {
            if let Some(position) = number(which, held) {
                let found = Error::new(Kind::Corrupt, "read", "a test says so");
                cache.distrust(&held[position], &found)?;
            }
            Answer::Nothing
        }
        Request::Keep(reference) => Answer::Kept(cache.keep(&key(), &Reference::parse(&reference)?)?),
        Request::Release(reference) => {
            Answer::Released(cache.release(&key(), &Reference::parse(&reference)?)?)
        }
        Request::Gc(_) | Request::End => Answer::Nothing,
    })
}

/// Makes room as a verb does: with a cache of its own, whose quota says how much.
fn collect(world: &Path, room: Room) -> Result<Answer<String>> {
    let quota = match room {
        Room::Superseded => Quota::none(),
        Room::Age => Quota { max_age: Some(Duration::from_secs(3600)), ..Quota::none() },
        Room::Everything => Quota { max_size: Some(0), ..Quota::none() },
    };
    let commit_wait = Duration::from_secs(600);
    let options = Options { reap: false, commit_wait, quota, ..Options::default() };
    let collected = Cache::open(&world.join("cache"), options)?.collect(Mode::Asked)?;
    Ok(told(&collected))
}

fn told(collected: &Collected) -> Answer<String> {
    let (mut revisions, mut small, mut mirror) = (0, false, None);
    for item in &collected.items {
        let turn = match &item.done {
            Done::Freed(_) | Done::Pending(_) => Turn::Gone,
            Done::Stays(Stays::Kept) => Turn::Kept,
            Done::Stays(Stays::Pinned) => Turn::Pinned,
            Done::Stays(Stays::Busy(_) | Stays::Used) => Turn::Busy,
            Done::Stays(_) => Turn::Failed,
        };
        match &item.what {
            What::Mirror => mirror = Some(turn),
            What::Revisions(gone) => {
                revisions += gone.len();
                small |= matches!(item.done, Done::Stays(Stays::Small));
            }
        }
    }
    Answer::Collected { revisions, small, mirror }
}

fn show(
    snapshot: Snapshot,
    fetched: bool,
    changed: bool,
    failed: Option<String>,
    hold: Option<&mut Vec<Snapshot>>,
) -> Answer<String> {
    let (version, generation) = (version(&snapshot), snapshot.generation().to_owned());
    if let Some(held) = hold {
        held.push(snapshot);
    }
    Answer::Snapshot(Shown { version, generation, fetched, changed, failed })
}

/// Reads all of a snapshot: the version that every byte of it belongs to.
pub fn version(snapshot: &Snapshot) -> u32 {
    let shown: Tree = read(snapshot);
    let version = shown["version"].1.trim().parse().unwrap();
    assert_eq!(shown, tree(version), "a tree that no version has");
    version
}
