//! A process under a watchdog: it is to say something, or to end, before [`STALL`] is over.
//!
//! If it does not, what every process of the run does is printed (state, kernel stack, what the daemons
//! say, who holds which lock), the run has failed, and the daemons are ended, so that whoever hangs in
//! them comes free.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::soak::{STALL, Soak};

/// How a process ended.
pub struct Ended {
    pub status: ExitStatus,
    pub complaints: String,
}

/// When a process is killed.
pub enum Kill<'a> {
    /// Not.
    Never,
    /// After this time; the server knows it by this name.
    After(Duration, &'a str),
    /// So long after this has become true.
    Once(Duration, &'a dyn Fn() -> bool),
}

impl Kill<'_> {
    fn is_due(&self, started: Instant, since: &mut Option<Instant>) -> bool {
        match self {
            Kill::Never => false,
            Kill::After(after, _) => started.elapsed() >= *after,
            Kill::Once(after, reason) => {
                if since.is_none() && reason() {
                    *since = Some(Instant::now());
                }
                since.is_some_and(|since| since.elapsed() >= *after)
            }
        }
    }
}

/// Runs `command`, gives each line that it prints to `line`, and kills it if it is to be killed. `None`
/// if it had to be given up.
pub fn run(
    soak: &Soak,
    what: &str,
    command: &mut Command,
    kill: &Kill<'_>,
    mut line: impl FnMut(&str),
) -> Option<Ended> {
    let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            soak.error(&format!("{what} was not started: {error}"));
            return None;
        }
    };
    let output = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut complaints = child.stderr.take().expect("a pipe");
    let (to, lines) = channel();
    std::thread::spawn(move || {
        for line in output.split(b'\n').map_while(Result::ok) {
            if to.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                return;
            }
        }
    });
    let complaints = std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = complaints.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    let started = Instant::now();
    let mut progress = started;
    let (mut killed, mut since) = (false, None);
    let mut silent = false;
    loop {
        let step = Duration::from_millis(if matches!(kill, Kill::After(..)) { 2 } else { 50 });
        match lines.recv_timeout(step) {
            Ok(said) => {
                progress = Instant::now();
                line(&said);
                continue;
            }
            Err(RecvTimeoutError::Timeout) => {}
            // It has closed its output: it may still be working, as a verb's last words are not its end.
            Err(RecvTimeoutError::Disconnected) if !silent => silent = true,
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(step),
        }
        if let Ok(Some(status)) = child.try_wait() {
            // What it said last may be on its way.
            while let Ok(said) = lines.recv_timeout(Duration::from_secs(5)) {
                line(&said);
            }
            return Some(Ended { status, complaints: complaints.join().unwrap_or_default() });
        }
        if !killed && kill.is_due(started, &mut since) {
            killed = true;
            if let Kill::After(_, agent) = kill {
                soak.was_killed(agent);
            }
            let _ = child.kill();
        }
        if progress.elapsed() > STALL {
            give_up(soak, what, &mut child);
            return None;
        }
    }
}

fn give_up(soak: &Soak, what: &str, child: &mut Child) {
    let first = !soak.stalled.swap(true, Ordering::SeqCst);
    soak.error(&format!("stalled: {what} (process {}) has done nothing for {STALL:?}", child.id()));
    if first {
        println!("{}", everything(soak));
    }
    soak.over.store(true, Ordering::SeqCst);
    let _ = child.kill();
    // One that waits for a daemon cannot be killed; it ends with the daemon.
    let until = Instant::now() + Duration::from_secs(5);
    while child.try_wait().is_ok_and(|ended| ended.is_none()) {
        if Instant::now() > until {
            for mount in &soak.mounts {
                mount.kill(soak);
            }
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The processes that were started with the environment of this run, and what becomes of them.
pub fn processes(soak: &Soak) -> Vec<u32> {
    let mark = soak.program.path().display().to_string();
    let own = std::process::id();
    let numbers = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let ours = |pid: &u32| {
        ["environ", "cmdline"].iter().any(|file| {
            let text = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            text.windows(mark.len()).any(|window| window == mark.as_bytes())
        })
    };
    numbers.filter(|pid| *pid != own).filter(ours).collect()
}

/// What process `pid` is, in a line.
pub fn describe(pid: u32) -> String {
    let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    format!("process {pid}: {}", read("cmdline").replace('\0', " "))
}

fn everything(soak: &Soak) -> String {
    let mut text = String::new();
    for pid in processes(soak) {
        let _ = writeln!(text, "--- {}", describe(pid));
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        for task in tasks {
            let read = |file: &str| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
            let (name, stack) = (read("comm"), read("stack"));
            let state = read("status").lines().find(|line| line.starts_with("State")).map(str::to_owned);
            let state = state.unwrap_or_default();
            let _ = writeln!(text, "{} {state} {}\n{stack}", name.trim_end(), read("wchan"));
        }
    }
    for mount in &soak.mounts {
        let _ = writeln!(text, "--- {}\n{}", mount.place.display(), bounded_cat(&mount.place));
    }
    let locks = std::fs::read_dir(soak.v1("locks")).into_iter().flatten().flatten();
    for lock in locks {
        let holder = std::fs::read_to_string(lock.path()).unwrap_or_default();
        let _ = writeln!(text, "--- {}: {holder}", lock.file_name().display());
    }
    text
}

fn bounded_cat(place: &Path) -> String {
    let output = Command::new("timeout").args(["5", "cat"]).arg(place.join(".srcfs/status.json")).output();
    output
        .map_or_else(|error| error.to_string(), |output| String::from_utf8_lossy(&output.stdout).into_owned())
}
