//! A git process with everything it starts: one session and process group, whose life is bound to ours.
//!
//! PR_SET_PDEATHSIG would end git alone: after a `kill -9` its `git-remote-https` was seen to stay for
//! as long as the server stalled, because the signal is not inherited by what git starts. So a small
//! shell stands in front, a child of which waits on a pipe whose other end only this process holds.
//! However this process ends, the pipe is closed, and the group is killed at once. That also does away
//! with the rule that the spawning thread must live on.
//!
//! Nothing of a user or a server is text of the script: the command comes as its arguments.
//!
//! The lease, if there is one, is descriptor 9 of every member: it is free only when all are gone.
//! It is given by a file action of posix_spawn, so that no other child can inherit it by chance.

use std::ffi::CString;
use std::io::{PipeReader, PipeWriter};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc::POSIX_SPAWN_SETSID;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::{SigSet, Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;

use super::command::Command;

const LEASE: i32 = 9;

/// Descriptor 0 is the pipe of our life. The last lines end the watcher without a word and keep
/// git's own exit status.
const SCRIPT: &str = r#"cd / || exit 126
exec 8<&0 </dev/null
{ read -r end <&8 || kill -KILL 0; } >/dev/null 2>&1 9>&- &
"$@" 8<&-
status=$?
exec 2>/dev/null
kill -KILL $!
wait $!
exit $status
"#;

/// A running group. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Group {
    leader: Pid,
    reaped: bool,
    /// The standard output of git; does not block.
    pub(super) output: PipeReader,
    /// The standard error of git; does not block.
    pub(super) errors: PipeReader,
    // Only its being open matters.
    _life: PipeWriter,
}

impl Group {
    /// Starts `command`.
    pub(super) fn start(command: &Command, lease: Option<BorrowedFd<'_>>) -> std::io::Result<Self> {
        let (life, our_life) = std::io::pipe()?;
        let (output, their_output) = std::io::pipe()?;
        let (errors, their_errors) = std::io::pipe()?;
        for reader in [&output, &errors] {
            fcntl(reader.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }

        let mut actions = PosixSpawnFileActions::init()?;
        actions.add_dup2(life.as_raw_fd(), 0)?;
        actions.add_dup2(their_output.as_raw_fd(), 1)?;
        actions.add_dup2(their_errors.as_raw_fd(), 2)?;
        if let Some(lease) = lease {
            // Last, because 9 may be the number of one of the others in this process.
            actions.add_dup2(lease.as_raw_fd(), LEASE)?;
        }

        let mut attributes = PosixSpawnAttr::init()?;
        // Rust ignores SIGPIPE and a daemon may block what it reads by signalfd; git must do neither.
        attributes.set_sigdefault(&SigSet::all())?;
        attributes.set_sigmask(&SigSet::empty())?;
        // A session of its own has no terminal that anybody could be asked on.
        let session = PosixSpawnFlags::from_bits_retain(POSIX_SPAWN_SETSID.into());
        attributes.set_flags(
            session | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK,
        )?;

        let mut arguments = vec![c_string(b"sh")?, c_string(b"-c")?, c_string(SCRIPT.as_bytes())?];
        arguments.push(c_string(b"srcfs")?);
        for argument in command.arguments() {
            arguments.push(c_string(argument.as_bytes())?);
        }
        let environment = command
            .environment()
            .iter()
            .map(|(name, value)| c_string(&[name.as_bytes(), b"=", value.as_bytes()].concat()))
            .collect::<std::io::Result<Vec<_>>>()?;
        let leader = posix_spawn(c"/bin/sh", &actions, &attributes, &arguments, &environment)?;
        Ok(Group { leader, reaped: false, output, errors, _life: our_life })
    }

    /// Whether the leader has ended. It stays a zombie, so that the number of the group stays its own.
    pub(super) fn has_ended(&self) -> bool {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        loop {
            match waitid(Id::Pid(self.leader), flags) {
                Ok(WaitStatus::StillAlive) => return false,
                Err(Errno::EINTR) => {}
                // Any error: there is nothing to wait for.
                Ok(_) | Err(_) => return true,
            }
        }
    }

    /// Sends `signal` to every member.
    pub(super) fn signal(&self, signal: Signal) {
        if !self.reaped {
            // It may be gone, which is what was wanted.
            let _ = killpg(self.leader, signal);
        }
    }

    /// The exit code of git, once [`Group::has_ended`]; none if it died by a signal.
    ///
    /// What a successful git left running on purpose (a credential cache) goes on; what a failed one
    /// left is killed.
    pub(super) fn finish(mut self) -> Option<i32> {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        let code = loop {
            match waitid(Id::Pid(self.leader), flags) {
                Ok(WaitStatus::Exited(_, code)) => break Some(code),
                Err(Errno::EINTR) => {}
                Ok(_) | Err(_) => break None,
            }
        };
        if code != Some(0) {
            self.signal(Signal::SIGKILL);
        }
        self.reap();
        // Above 128 it is a signal, in the words of a shell, except for git's own "fatal".
        code.filter(|code| *code <= 129)
    }

    fn reap(&mut self) {
        while !self.reaped {
            self.reaped = waitpid(self.leader, None) != Err(Errno::EINTR);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
        self.reap();
    }
}

fn c_string(bytes: &[u8]) -> std::io::Result<CString> {
    Ok(CString::new(bytes)?)
}
