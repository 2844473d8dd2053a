//! One lock: alone, handed over between two processes, and after the death of its holder.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use srcfs::cache::{Cache, LockKind, Options};
use srcfs::config::locking::{Backend, Locking};
use srcfs::key::{GitUrl, Key};

use crate::harness::git_server::{Fault, Stage};
use crate::harness::repository::many_files;
use crate::{Sheet, now, part, repository, world};

fn key(url: &str) -> Key {
    Key::git(GitUrl::parse(url).expect("a url"))
}

/// Locks and unlocks, with nobody else there, on both sorts of locks by turns.
pub fn uncontended(sheet: &mut Sheet) {
    let key = key("https://example.org/a/b");
    let rows = [("lock-alone", Backend::Kernel), ("lock-lease", Backend::Lease)];
    let caches = rows.map(|(row, backend)| {
        let directory = tempfile::tempdir().expect("a directory");
        let locking = Locking { backend: Some(backend), ..Locking::default() };
        let options = Options { locking, ..Options::default() };
        let cache = Cache::open(directory.path(), options).expect("a cache");
        sheet.note(row, "each of 200 in a row; the holder's name is written and taken away each time");
        (row, cache, directory)
    });
    for _ in 0..sheet.rounds(50) {
        for (row, cache, _) in &caches {
            let (many, started) = (200, Instant::now());
            for _ in 0..many {
                drop(cache.hold_lock(&key, LockKind::Commit).expect("nobody else holds it"));
            }
            sheet.record(row, started.elapsed().as_secs_f64() / f64::from(many));
        }
    }
}

/// The part that another process plays: for each line that it hears it takes the fetch lock, says when
/// it had it, waits for the next line, lets it go and says when it began to.
pub fn hold(cache: &Path, url: &str) {
    let cache = Cache::open(cache, Options { reap: false, ..Options::default() }).expect("a cache");
    let key = key(url);
    let say = |time: Duration| {
        println!("{}", time.as_nanos());
        std::io::stdout().flush().expect("somebody listens");
    };
    let mut lines = std::io::stdin().lines();
    while let Some(Ok(_)) = lines.next() {
        let held = cache.hold_lock(&key, LockKind::Fetch).expect("it comes free");
        say(now());
        lines.next();
        let free = now();
        drop(held);
        say(free);
    }
}

/// A process that holds and waits.
struct Holder {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Holder {
    fn new(cache: &Path, url: &str) -> Holder {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.arg("--hold").arg(cache).arg(url).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("a process");
        let (input, output) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        Holder { child, input, output: BufReader::new(output) }
    }

    fn tell(&mut self) {
        self.input.write_all(b"\n").expect("it listens");
    }

    fn hear(&mut self) -> Duration {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it speaks");
        Duration::from_nanos(line.trim().parse().expect("a time"))
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lets a waiter wait for a while that is another each time, so that no phase of its polling is favoured.
fn wait_a_while(round: usize) {
    std::thread::sleep(Duration::from_micros(60_000 + (round as u64 * 7_919) % 60_000));
}

fn note_parts(sheet: &mut Sheet, row: &str, mut taken: Vec<f64>) {
    taken.sort_by(f64::total_cmp);
    let (median, high) = (1e3 * part(&taken, 0.5), 1e3 * part(&taken, 0.99));
    sheet.note(
        row,
        format!("median {median:.1} ms, p99 {high:.1} ms; the waiter had waited for 60 to 120 ms"),
    );
    taken.into_iter().for_each(|seconds| sheet.record(row, seconds));
}

/// From the moment before one process unlocks to the moment at which another, which waits, has the lock.
pub fn handed_over(sheet: &mut Sheet) {
    let (program, _server) = world();
    let url = "https://example.org/a/b";
    let mut pair = [Holder::new(&program.cache(), url), Holder::new(&program.cache(), url)];
    let mut taken = Vec::new();
    pair[0].tell();
    pair[0].hear();
    for round in 0..sheet.rounds(200) {
        let (holder, waiter) = (round % 2, (round + 1) % 2);
        pair[waiter].tell();
        wait_a_while(round);
        pair[holder].tell();
        let free = pair[holder].hear();
        taken.push((pair[waiter].hear().saturating_sub(free)).as_secs_f64());
    }
    note_parts(sheet, "lock-handover", taken);
}

/// From the SIGKILL of `srcfs get`, whose git is in the middle of a fetch, to the moment at which
/// another process has its fetch lock.
pub fn killed(sheet: &mut Sheet) {
    let (program, server) = world();
    let _repository = repository(&program, "stalls", &many_files(500, "one"));
    let (name, url) = ("team/stalls.git", server.url("team/stalls.git"));
    server.fail(name, Stage::Fetch, Fault::StallInBody(2_000));
    let mut waiter = Holder::new(&program.cache(), &url);
    let mut taken = Vec::new();
    for round in 0..sheet.rounds(40) {
        let mut command = program.command(&["get", "git/bench.test/team/stalls"]);
        let mut holder = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a process");
        // Its git has received a part of the pack.
        server.wait_for(name, |counts| counts.stalled == 1);
        waiter.tell();
        wait_a_while(round);
        let died = now();
        holder.kill().expect("it can be killed");
        taken.push(waiter.hear().saturating_sub(died).as_secs_f64());
        let _ = holder.wait();
        waiter.tell();
        waiter.hear();
        server.release();
        server.wait_for(name, |counts| counts.stalled == 0);
    }
    note_parts(sheet, "lock-killed", taken);
}
