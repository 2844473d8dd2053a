//! Processes that read: programs of the machine, and parts of the tests that must be processes of their
//! own, because a process is what sees one snapshot. None outlives its test.

#![allow(dead_code, reason = "no test uses all of it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::harness::repository::hermetic;

/// How long anything may take before a test fails instead of hanging. No test asserts a time; it is
/// this long because machines are busy.
pub const BOUND: Duration = Duration::from_secs(90);

/// What a role of the tests prints begins so; the rest is of the test runner in that process.
const MARK: &str = "> ";
/// The role that a process of this test binary plays.
const ROLE: &str = "SRCFS_TEST_ROLE";
/// What it plays it with.
const WITH: &str = "SRCFS_TEST_WITH";

/// Waits until `wanted`; fails the test after [`BOUND`].
pub fn wait_until(what: &str, mut wanted: impl FnMut() -> bool) {
    let until = Instant::now() + BOUND;
    while !wanted() {
        assert!(Instant::now() < until, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Its process id.
pub fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap())
}

/// Waits for its end; false if it does not come.
pub fn ends(child: &mut Child) -> bool {
    let until = Instant::now() + BOUND;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() >= until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}

/// A process that reads. It is killed when it is dropped.
pub struct Reader {
    what: String,
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    errors: Option<std::thread::JoinHandle<String>>,
    marked: bool,
}

/// How a reader ended.
#[derive(Debug)]
pub struct Ended {
    /// Its status.
    pub status: ExitStatus,
    /// The lines that it printed and nobody had taken.
    pub out: Vec<String>,
    /// What it complained.
    pub err: String,
}

impl Ended {
    /// What it printed, if it succeeded.
    pub fn lines(self) -> Vec<String> {
        assert!(self.status.success(), "{self:?}");
        self.out
    }
}

impl Reader {
    /// Starts a program: its input is open until it is told everything, its output is read by lines.
    pub fn start(command: &mut Command) -> Reader {
        Self::begin(command, false)
    }

    /// Starts `program` with these arguments.
    pub fn run(program: &str, arguments: &[&dyn AsRef<std::ffi::OsStr>]) -> Reader {
        let mut command = hermetic(program);
        command.args(arguments.iter().map(|argument| argument.as_ref()));
        Self::start(&mut command)
    }

    /// Starts a shell with this script, in which `$1` is `path`.
    pub fn shell(script: &str, path: &Path) -> Reader {
        Self::run("sh", &[&"-c", &script, &"sh", &path])
    }

    /// Starts this binary in a role (`role.rs`).
    pub fn play(role: &str, path: &Path) -> Reader {
        let mut command = hermetic(std::env::current_exe().unwrap().to_str().unwrap());
        command.args(["--exact", "role::play", "--nocapture"]).env(ROLE, role).env(WITH, path);
        Self::begin(&mut command, true)
    }

    fn begin(command: &mut Command, marked: bool) -> Reader {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut errors = child.stderr.take().unwrap();
        let (to, lines) = channel();
        std::thread::spawn(move || {
            for line in output.split(b'\n').map_while(Result::ok) {
                if to.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    return;
                }
            }
        });
        let errors = std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = errors.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        let input = child.stdin.take();
        Reader { what: format!("{command:?}"), child, input, lines, errors: Some(errors), marked }
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        pid(&self.child)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// The next line that it prints.
    pub fn line(&mut self) -> String {
        loop {
            match self.lines.recv_timeout(BOUND) {
                Ok(line) if !self.marked => return line,
                Ok(line) => {
                    if let Some(said) = line.strip_prefix(MARK) {
                        return said.to_owned();
                    }
                }
                Err(_) => {
                    let _ = self.child.kill();
                    let errors = self.errors.take().map(|errors| errors.join().unwrap_or_default());
                    panic!("{} said nothing more, but {errors:?}", self.what);
                }
            }
        }
    }

    /// Writes a line to its input.
    pub fn tell(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Whether it has ended.
    pub fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Closes its input and waits for its end.
    pub fn end(mut self) -> Ended {
        self.input = None;
        assert!(ends(&mut self.child), "it does not end: {}", self.what);
        let status = self.child.wait().unwrap();
        let marked = self.marked;
        let mark = |line: String| match marked {
            true => line.strip_prefix(MARK).map(str::to_owned),
            false => Some(line),
        };
        let out = self.lines.iter().filter_map(mark).collect();
        let err = self.errors.take().map(|errors| errors.join().unwrap_or_default()).unwrap_or_default();
        Ended { status, out, err }
    }

    /// Waits for its end, which must be by this signal.
    pub fn dies_of(self, signal: Signal) {
        let ended = self.end();
        assert_eq!(ended.status.signal(), Some(signal as i32), "{ended:?}");
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.child.kill();
        // One that a daemon does not answer cannot be killed; it ends with the daemon.
        let until = Instant::now() + Duration::from_secs(5);
        while self.child.try_wait().is_ok_and(|ended| ended.is_none()) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// What a file says to a process that was started just now. Fails the test if it cannot be read.
pub fn cat(path: &Path) -> String {
    let lines = Reader::run("cat", &[&"--", &path]).end().lines();
    lines.join("\n")
}

/// The role that this process was started for, and what it plays it with.
pub fn role() -> Option<(String, std::path::PathBuf)> {
    Some((std::env::var(ROLE).ok()?, std::env::var_os(WITH)?.into()))
}

/// Says a line to the test that started this process.
pub fn say(line: &str) {
    println!("{MARK}{line}");
}

/// Waits for the next line of the test; empty if there is none.
pub fn hear() -> String {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}
