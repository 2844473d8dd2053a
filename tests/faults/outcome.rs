//! One case of the matrix: an operation, a point, and what happens there; and all that must hold then.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Output};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use srcfs::cache::check::{Checked, Flaw, Thoroughness};
use srcfs::key::Reference;

use crate::locking::Locks;
use crate::operations::{Backend, Beside, Operation};
use crate::reader::pid;
use crate::stage::{Case, Stage, Start, Upstream, content, key, read};

/// What happens at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// SIGKILL.
    Kill,
    /// The step fails.
    Error,
    /// SIGSTOP, and after a while SIGCONT.
    Stop,
    /// SIGSTOP, and after a while SIGKILL, with somebody who waits.
    StopKill,
    /// It hesitates, while somebody else does the opposite.
    Delay,
}

impl Mode {
    pub const ALL: [Mode; 5] = [Mode::Kill, Mode::Error, Mode::Stop, Mode::StopKill, Mode::Delay];

    fn at_the_point(self) -> &'static str {
        match self {
            Mode::Kill => "kill",
            Mode::Error => "error",
            Mode::Stop | Mode::StopKill => "stop",
            Mode::Delay => "delay",
        }
    }
}

/// What came of a case.
pub struct Outcome {
    /// The points that were reached, in order.
    pub points: Vec<String>,
    /// Whether the one that was meant was among them.
    pub hit: Option<String>,
    /// What must not be.
    pub violations: Vec<String>,
}

/// Nothing may take longer; no test asserts a time below it.
const BOUND: Duration = Duration::from_secs(90);

/// Does an operation without any fault; the points that it reaches.
pub fn undisturbed(stage: &Stage, operation: &Operation) -> Outcome {
    run(stage, operation, None)
}

/// Does it with `mode` at its `number`th point.
pub fn disturbed(stage: &Stage, operation: &Operation, number: usize, mode: Mode) -> Outcome {
    run(stage, operation, Some((number, mode)))
}

fn run(stage: &Stage, operation: &Operation, fault: Option<(usize, Mode)>) -> Outcome {
    let locks = match (operation.backend, fault) {
        (Backend::Kernel, _) => Locks::Kernel,
        // Two that live contend for it.
        (Backend::Leases, Some((_, Mode::Delay))) => Locks::LastingLeases,
        (Backend::Leases, _) => Locks::BriefLeases,
    };
    let case = stage.case_with(operation.start, locks);
    let mut violations = Vec::new();
    play(&case, operation, fault, &mut violations);
    let trace = case.trace();
    // What stopped an overtaken one is part of the operation.
    let overtaken =
        |point: &str, mode: &str| operation.beside == Beside::Clear && point == OVERTAKEN && mode == "stop";
    let planned = |(point, mode): &&(String, String)| !mode.is_empty() && !overtaken(point, mode);
    let hit = trace.iter().find(planned).map(|(point, _)| point.clone());
    let points = trace.iter().map(|(point, _)| point.clone()).collect();
    let place = hit.clone().unwrap_or_default();
    let violations = violations
        .into_iter()
        .map(|why| match fault {
            Some((number, mode)) => format!("{}, {mode:?} at {number} {place}: {why}", operation.name),
            None => format!("{}: {why}", operation.name),
        })
        .collect();
    Outcome { points, hit, violations }
}

/// Where an operation waits for the clear that overtakes it.
pub const OVERTAKEN: &str = "verify.synced";

fn play(case: &Case<'_>, operation: &Operation, fault: Option<(usize, Mode)>, wrong: &mut Vec<String>) {
    let reader = (operation.beside == Beside::Reader).then(|| {
        let cache = case.open();
        let snapshot = cache.peek(&key(), &Reference::Default).unwrap().expect("it is cached");
        (cache, snapshot)
    });
    let mode = fault.map(|(_, mode)| mode);
    // A flaw that was there at the start is gone when it was asked for again.
    let flawed = matches!(operation.start, Start::Damaged | Start::Torn);
    let mut child = begin(case, operation, fault);
    let mut survived = true;
    match mode {
        None | Some(Mode::Kill | Mode::Error) => {}
        Some(Mode::Delay) => {
            let rival = case.command(operation.upstream, operation.rival).spawn().unwrap();
            let rival = end(rival, wrong);
            if !rival.status.success() {
                wrong.push(format!("the rival failed: {}", told(&rival)));
            }
        }
        Some(mode @ (Mode::Stop | Mode::StopKill)) => {
            if stops(&mut child) {
                if !flawed {
                    see(&case.look(Thoroughness::default()), "while it is stopped", wrong);
                }
                if mode == Mode::StopKill {
                    survived = false;
                    let next = case.command(operation.upstream, operation.verb).spawn().unwrap();
                    kill(pid(&child), Signal::SIGKILL).unwrap();
                    let next = end(next, wrong);
                    if next.status.code() != Some(operation.code) {
                        wrong.push(format!("who waited for it failed: {}", told(&next)));
                    }
                } else {
                    kill(pid(&child), Signal::SIGCONT).unwrap();
                }
            }
        }
    }
    let ended = end(child, wrong);
    judge(&ended, operation, mode, survived, wrong);
    if mode == Some(Mode::Error) && operation.start == Start::Old {
        // Without any reap: it is the same process that has to go on.
        let deep = Thoroughness { deep: true, settled: false };
        see(&case.look(deep), "after the error", wrong);
    }
    // What the dead one before left may still count.
    if operation.beside == Beside::Nobody && operation.start != Start::Held && !flawed {
        leaves_nothing(case, mode, wrong);
    }
    if let Some((cache, snapshot)) = reader {
        if read(&snapshot).ok() != Some(content("old")) {
            wrong.push("the reader does not see what it saw".to_owned());
        }
        drop((snapshot, cache));
    }
    if !flawed {
        see_settled(case, "afterwards", wrong);
        let raced = mode == Some(Mode::Delay);
        is_one_of(
            case,
            operation,
            if raced { &["", "old", "new", "topic"] } else { operation.allowed },
            wrong,
        );
    }
    if mode.is_some() {
        let again = case.command(operation.upstream, operation.verb).spawn().unwrap();
        let again = end(again, wrong);
        if again.status.code() != Some(operation.code) {
            wrong.push(format!("done again it fails: {}", told(&again)));
        }
    }
    if operation.verb != ["list"] || mode != Some(Mode::Delay) {
        // What the rival has used again is not old enough to go.
        let raced = mode == Some(Mode::Delay) && (operation.code != 0 || operation.verb == ["gc"]);
        let done = if !raced { &[operation.done][..] } else { &["", "old"] };
        is_one_of(case, operation, done, wrong);
    }
    // Reaped again: a reader that went deletes in a thread of its own.
    see_settled(case, "at the end", wrong);
}

/// Starts the operation, up to where it may go on by itself.
fn begin(case: &Case<'_>, operation: &Operation, fault: Option<(usize, Mode)>) -> Child {
    let mut faults: Vec<String> =
        fault.iter().map(|(number, mode)| format!("{number}:{}", mode.at_the_point())).collect();
    if operation.beside == Beside::Clear {
        faults.insert(0, format!("{OVERTAKEN}:stop"));
    }
    let mut child = case.with_faults(operation.upstream, operation.verb, &faults.join(",")).spawn().unwrap();
    if operation.beside == Beside::Clear && stops(&mut child) {
        // Not by the verb, which gives who holds the old one seconds to let go.
        case.open().clear(&key()).unwrap();
        kill(pid(&child), Signal::SIGCONT).unwrap();
    }
    child
}

/// Waits until it stops; false if it ends without.
pub fn stops(child: &mut Child) -> bool {
    let until = Instant::now() + BOUND;
    while Instant::now() < until {
        // Not reaped if it ends: the output is still to be taken.
        let flags =
            WaitPidFlag::WSTOPPED | WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        match nix::sys::wait::waitid(nix::sys::wait::Id::Pid(pid(child)), flags).unwrap() {
            WaitStatus::Stopped(..) => {
                // Taken, so that the next stop is another one.
                let _ = waitpid(pid(child), Some(WaitPidFlag::WUNTRACED));
                return true;
            }
            WaitStatus::StillAlive => std::thread::sleep(Duration::from_millis(2)),
            _ => return false,
        }
    }
    panic!("it neither stops nor ends")
}

/// Waits for its end.
fn end(mut child: Child, wrong: &mut Vec<String>) -> Output {
    let until = Instant::now() + BOUND;
    // What verbs print fits into a pipe.
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > until {
            wrong.push("it did not end".to_owned());
            child.kill().unwrap();
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.wait_with_output().unwrap()
}

fn told(output: &Output) -> String {
    let texts =
        [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).trim_end().to_owned());
    format!("{} {}", output.status, texts.join(" "))
}

/// How it may end.
fn judge(ended: &Output, operation: &Operation, mode: Option<Mode>, survived: bool, wrong: &mut Vec<String>) {
    let killed = ended.status.signal() == Some(Signal::SIGKILL as i32);
    let right = match (mode, ended.status.code()) {
        (Some(Mode::Kill), None) => killed,
        (Some(Mode::StopKill), None) => killed && !survived,
        // It says what failed, or it could do without.
        (Some(Mode::Error), Some(1)) => {
            ["srcfs:", "failed", "stays:"].iter().any(|word| told(ended).contains(word))
        }
        (_, Some(code)) => code == operation.code,
        (_, None) => false,
    };
    if !right || told(ended).contains("panicked") {
        wrong.push(format!("it ended so: {}", told(ended)));
    }
}

/// Who was not killed leaves nothing that it was writing, unless it is the tidying that failed.
fn leaves_nothing(case: &Case<'_>, mode: Option<Mode>, wrong: &mut Vec<String>) {
    /// Where a failure leaves what is there.
    const TIDYING: &[&str] =
        &["delete.", "reap.", "staging.leased", "staging.removed", "trash.", "pin.dropped"];
    let trace = case.trace();
    let hit = trace.iter().find(|(_, mode)| !mode.is_empty()).map_or("", |(point, _)| point);
    if mode.is_some_and(|mode| mode != Mode::Error) || TIDYING.iter().any(|tidying| hit.starts_with(tidying))
    {
        return;
    }
    let mut checked = case.look(Thoroughness { settled: true, deep: false });
    // A generation after its tombstone, and what is in the trash, may wait for a reap after a failure.
    checked.violations.retain(|one| matches!(one.flaw, Flaw::Staging | Flaw::Unfinished | Flaw::Held));
    see(&checked, "left behind", wrong);
}

fn see(checked: &Checked, when: &str, wrong: &mut Vec<String>) {
    for one in &checked.violations {
        wrong.push(format!("{when}: {:?} {}: {}", one.flaw, one.path.display(), one.why));
    }
}

/// A fresh process reaps, and then finds nothing.
pub fn see_settled(case: &Case<'_>, when: &str, wrong: &mut Vec<String>) {
    let arguments = ["__check", "--json", "--reap", "--settled", "--deep"];
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let checked = case.command(Upstream::Old, &arguments).output().unwrap();
        if checked.status.success() {
            return;
        }
        // The git of one that was killed holds the lease of its staging for the moment in which it is
        // killed too. The reap passes that by, and then sees it held; or sees it free, if the git died
        // between the reap and the look. Either is gone with a later reap. With leases the dead count
        // for a time, with all that they held.
        let report: serde_json::Value = serde_json::from_slice(&checked.stdout).unwrap_or_default();
        let flaws = report["violations"].as_array().cloned().unwrap_or_default();
        let passes: &[&str] = match case.locks().are_leases() {
            true => &["held", "staging", "orphan"],
            false => &["held", "staging"],
        };
        let passing = |one: &serde_json::Value| passes.iter().any(|flaw| one["flaw"] == *flaw);
        let dying = !flaws.is_empty() && flaws.iter().all(passing);
        if !dying || Instant::now() > until {
            return wrong.push(format!("{when}: {}", told(&checked)));
        }
        std::thread::sleep(Duration::from_millis(if case.locks().are_leases() { 100 } else { 20 }));
    }
}

fn is_one_of(case: &Case<'_>, operation: &Operation, versions: &[&str], wrong: &mut Vec<String>) {
    let published = match case.published(operation.reference) {
        Ok(published) => published,
        Err(why) => return wrong.push(format!("it cannot be read: {why}")),
    };
    let known = versions.iter().any(|version| match &published {
        None => version.is_empty(),
        Some(found) => !version.is_empty() && *found == content(version),
    });
    if !known {
        let names = published.map(|found| found.into_keys().collect::<Vec<_>>());
        wrong.push(format!("it shows none of {versions:?} but {names:?}"));
    }
}
