//! Runs one git command: reads what it says, and ends it when it stalls, takes too long or is not
//! wanted any more.
//!
//! Every wait is bounded: the deadline counts always, the stall clock while something must come over
//! the network. A command that has to end gets SIGTERM, and after a grace all of its group SIGKILL.
//! Calls [`super::group`] for the processes; fails with `TimedOut`, `Interrupted`, `TooLarge`, or with
//! the error of the operating system that kept it from starting. How git itself failed is not judged
//! here: see [`super::failure`].

use std::io::{ErrorKind, PipeReader, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use super::command::Command;
use super::group::Group;
use super::transcript::Transcript;
use crate::error::{Error, Kind, Result};
use crate::fault;
use crate::source::Progress;

/// How often the wish to stop is looked at.
const TICK: Duration = Duration::from_millis(50);
/// How long the pipes of a killed group may take to close: they close with its last member.
const LAST_BREATH: Duration = Duration::from_secs(1);
/// All branches and tags of the largest public repositories are a fifth of this.
const MOST_OUTPUT: usize = 64 << 20;

/// What bounds a command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// When it has to be over.
    pub(super) deadline: Instant,
    /// How long nothing may happen.
    pub(super) stall: Duration,
    /// How long after SIGTERM comes SIGKILL.
    pub(super) grace: Duration,
    /// What nothing is.
    pub(super) patience: Patience,
}

/// What keeps the stall clock from running out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// The first sign of an answer; then the deadline alone counts.
    FirstAnswer,
    /// Steady progress, until all has been received.
    Progress,
}

/// A command that has ended by itself.
#[derive(Debug)]
pub(super) struct Ended {
    /// Its exit code; none if it died by a signal.
    pub(super) code: Option<i32>,
    /// Its standard output.
    pub(super) output: Vec<u8>,
    /// What it said.
    pub(super) transcript: Transcript,
}

impl Ended {
    /// Whether it did what was asked.
    pub(super) fn succeeded(&self) -> bool {
        self.code == Some(0)
    }
}

/// Runs `command` to its end. `what` is what it is for, in errors.
pub(super) fn run(
    what: &str,
    command: &Command,
    bounds: Bounds,
    lease: Option<BorrowedFd<'_>>,
    progress: &Progress,
) -> Result<Ended> {
    fault!("git.start")?;
    let mut group = Group::start(command, lease)
        .map_err(|error| Error::io(format_args!("{what}: start git by"), "/bin/sh", &error))?;
    fault!("git.started")?;
    let mut said = Said::default();
    let mut last_advance = (0, Instant::now());
    loop {
        if said.transcript.advances != last_advance.0 {
            last_advance = (said.transcript.advances, Instant::now());
        }
        let now = Instant::now();
        let ending = if progress.is_cancelled() {
            Some(Error::new(Kind::Interrupted, what, "nobody waits for it any more"))
        } else if now >= bounds.deadline {
            Some(timed_out(what, "it was not done when its time was up"))
        } else if said.may_stall(bounds.patience) && now >= last_advance.1 + bounds.stall {
            let silence = bounds.stall.as_secs_f32();
            Some(timed_out(what, &format!("nothing came for {silence} s")))
        } else if said.output.len() > MOST_OUTPUT {
            Some(Error::new(Kind::TooLarge, what, format!("git printed more than {MOST_OUTPUT} bytes")))
        } else {
            None
        };
        if let Some(error) = ending {
            log::debug!("{error}: ending git");
            end(group, &mut said, bounds.grace);
            return Err(error);
        }
        let wait = bounds.deadline.saturating_duration_since(now).min(TICK);
        said.read(&mut group, wait);
        let received = said.transcript.received;
        if received.total_objects > 0 {
            progress.set(received.bytes, received.objects, received.total_objects);
        }
        if group.has_ended() {
            break;
        }
    }
    // What it wrote is in the pipes by now; that they close is not waited for, because a helper that
    // stays (a credential cache) may hold them open.
    said.read(&mut group, Duration::ZERO);
    said.transcript.finish();
    let received = said.transcript.received;
    if received.total_objects > 0 {
        progress.set(received.bytes, received.objects, received.total_objects);
    }
    let code = group.finish();
    fault!("git.ended")?;
    Ok(Ended { code, output: said.output, transcript: said.transcript })
}

fn timed_out(what: &str, why: &str) -> Error {
    Error::new(Kind::TimedOut, what, why).hint("check the network and the server, then try again")
}

fn end(mut group: Group, said: &mut Said, grace: Duration) {
    group.signal(Signal::SIGTERM);
    let until = Instant::now() + grace;
    while !said.closed() && Instant::now() < until {
        said.read(&mut group, TICK.min(grace));
    }
    group.signal(Signal::SIGKILL);
    let until = Instant::now() + LAST_BREATH;
    while !said.closed() && Instant::now() < until {
        said.read(&mut group, TICK);
    }
}

/// What came out of the two pipes so far.
#[derive(Debug, Default)]
struct Said {
    output: Vec<u8>,
    output_closed: bool,
    transcript: Transcript,
    errors_closed: bool,
}

impl Said {
    fn may_stall(&self, patience: Patience) -> bool {
        match patience {
            Patience::FirstAnswer => self.transcript.http.status.is_none() && self.output.is_empty(),
            Patience::Progress => !self.transcript.received.complete,
        }
    }

    fn closed(&self) -> bool {
        self.output_closed && self.errors_closed
    }

    /// Waits at most `wait` for more, then takes what is there.
    fn read(&mut self, group: &mut Group, wait: Duration) {
        let mut open = Vec::with_capacity(2);
        if !self.output_closed {
            open.push(PollFd::new(group.output.as_fd(), PollFlags::POLLIN));
        }
        if !self.errors_closed {
            open.push(PollFd::new(group.errors.as_fd(), PollFlags::POLLIN));
        }
        // With both pipes closed it is about to end.
        let wait = if open.is_empty() { wait.min(Duration::from_millis(1)) } else { wait };
        // An interrupted or failed poll is a short one: the pipes do not block.
        let _ = poll(&mut open, PollTimeout::try_from(wait).unwrap_or(PollTimeout::ZERO));
        if !self.output_closed {
            let output = &mut self.output;
            self.output_closed = drain(&mut group.output, |bytes| {
                if output.len() <= MOST_OUTPUT {
                    output.extend_from_slice(bytes);
                }
            });
        }
        if !self.errors_closed {
            let transcript = &mut self.transcript;
            self.errors_closed = drain(&mut group.errors, |bytes| transcript.push(bytes));
        }
    }
}

/// Takes what is in the pipe, a bounded amount at once; true if it is closed.
fn drain(pipe: &mut PipeReader, mut take: impl FnMut(&[u8])) -> bool {
    let mut buffer = [0; 16 << 10];
    for _ in 0..64 {
        match pipe.read(&mut buffer) {
            Ok(0) => return true,
            Ok(size) => take(&buffer[..size]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return error.kind() != ErrorKind::WouldBlock,
        }
    }
    false
}
