//! fusermount3, which mounts and unmounts for ordinary users: the only program this crate runs.
//!
//! It opens /dev/fuse itself, mounts, and passes the descriptor back over a socket. The socket is its
//! standard input (`_FUSE_COMMFD=0`), so that no descriptor of this process has to be made inheritable,
//! which a child that another thread starts just then would inherit as well. It runs in `/`, because
//! the working directory may lie in a dead mount.

use std::ffi::{OsStr, OsString};
use std::io::{self, IoSliceMut, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};

use super::device::above_stdio;
use super::options::{Access, MountOptions};

/// How long it may take. It asks nobody but the kernel; a mount point on a network file system that
/// hangs may hold it up.
const BOUND: Duration = Duration::from_secs(10);

/// How fusermount3 failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// It cannot be run.
    Absent(String),
    /// It said no, in these words.
    Said(String),
    /// The operating system failed around it.
    System(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::System(error)
    }
}

/// Mounts on `path` (absolute) and returns the descriptor of the device.
pub(super) fn mount(path: &Path, source: &str, options: MountOptions) -> Result<OwnedFd, Failure> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_read_timeout(Some(BOUND))?;
    let options = option_text(source, options);
    let mut child =
        spawn(&["-o".as_ref(), options.as_ref(), "--".as_ref(), path.as_os_str()], Some(theirs.into()))?;
    let received = receive(&ours);
    if matches!(&received, Err(error) if is_timeout(error)) {
        // Ends it in the middle at worst; then the caller finds the mount and takes it back.
        let _ = child.kill();
    }
    // Closed before the wait: one that is just sending must not wait for a reader.
    drop(ours);
    let said = finish(child);
    match received {
        Ok(Some(device)) => Ok(above_stdio(device)?),
        Ok(None) => Err(Failure::Said(said.err().unwrap_or_else(|| "it passed no descriptor".to_owned()))),
        Err(error) if is_timeout(&error) => {
            Err(Failure::Said(format!("it did not finish within {} s", BOUND.as_secs())))
        }
        Err(error) => Err(Failure::System(error)),
    }
}

/// Unmounts the topmost mount on `path` (absolute); with `detach` even if it is in use.
pub(super) fn unmount(path: &Path, detach: bool) -> Result<(), Failure> {
    let flags = if detach { "-uz" } else { "-u" };
    let child = spawn(&[flags.as_ref(), "--".as_ref(), path.as_os_str()], None)?;
    finish(child).map_err(Failure::Said)
}

/// `-o` of the mount. A comma in the source would begin another option.
fn option_text(source: &str, options: MountOptions) -> OsString {
    let mut text = b"ro,nosuid,nodev,default_permissions,subtype=srcfs".to_vec();
    if options.noexec {
        text.extend(b",noexec");
    }
    if options.access != Access::Owner {
        text.extend(b",allow_other");
    }
    text.extend(b",fsname=");
    for byte in source.bytes() {
        if matches!(byte, b',' | b'\\') {
            text.push(b'\\');
        }
        text.push(byte);
    }
    OsString::from_vec(text)
}

fn spawn(arguments: &[&OsStr], socket: Option<OwnedFd>) -> Result<Child, Failure> {
    if arguments.iter().any(|argument| argument.as_bytes().contains(&0)) {
        return Err(Failure::System(io::ErrorKind::InvalidInput.into()));
    }
    let mut why = String::new();
    for program in ["fusermount3", "fusermount"] {
        let input = match &socket {
            Some(socket) => Stdio::from(socket.try_clone()?),
            None => Stdio::null(),
        };
        #[allow(clippy::disallowed_methods)] // Not git: this is the one place that runs fusermount3.
        let spawned = Command::new(program)
            .args(arguments)
            .env("_FUSE_COMMFD", "0")
            .env("LC_ALL", "C")
            .current_dir("/")
            .stdin(input)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        match spawned {
            Ok(child) => return Ok(child),
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) =>
            {
                if why.is_empty() {
                    why = match error.kind() {
                        io::ErrorKind::NotFound => format!("there is no {program} in the PATH"),
                        _ => format!("this user may not run {program} ({error})"),
                    };
                }
            }
            Err(error) => return Err(Failure::System(error)),
        }
    }
    Err(Failure::Absent(why))
}

/// Waits for its end; fails with what it said.
fn finish(mut child: Child) -> Result<(), String> {
    let mut said = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        // It says a line or two. What cannot be read is not missed.
        let _ = stderr.take(4096).read_to_end(&mut said);
    }
    let status = child.wait();
    let said = String::from_utf8_lossy(&said);
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) if said.trim().is_empty() => Err(format!("fusermount3 ended with {status}")),
        // Where SIGCHLD is ignored nobody can know its status; what it said decides.
        Err(_) if said.trim().is_empty() => Ok(()),
        _ => Err(said.trim().to_owned()),
    }
}

/// The descriptor that comes over the socket; `None` if its other end was closed without one.
fn receive(socket: &UnixStream) -> io::Result<Option<OwnedFd>> {
    let mut byte = [0];
    let mut control = nix::cmsg_space!([i32; 1]);
    loop {
        let mut data = [IoSliceMut::new(&mut byte)];
        match recvmsg::<()>(socket.as_raw_fd(), &mut data, Some(&mut control), MsgFlags::MSG_CMSG_CLOEXEC) {
            Err(nix::Error::EINTR) => {}
            Err(error) => return Err(error.into()),
            Ok(message) => {
                let mut descriptors = Vec::new();
                for part in message.cmsgs()? {
                    if let ControlMessageOwned::ScmRights(passed) = part {
                        // SAFETY: the kernel has just made these descriptors for this message, so
                        // nothing else in this process knows or owns them.
                        descriptors
                            .extend(passed.into_iter().map(|number| unsafe { OwnedFd::from_raw_fd(number) }));
                    }
                }
                return Ok(descriptors.into_iter().next());
            }
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_cannot_add_an_option() {
        let options = MountOptions { access: Access::OwnerAndRoot, noexec: true };
        assert_eq!(
            option_text("a,allow_other\\", options),
            "ro,nosuid,nodev,default_permissions,subtype=srcfs,noexec,allow_other,fsname=a\\,allow_other\\\\"
        );
    }

    #[test]
    fn a_closed_socket_is_no_descriptor_and_a_silent_one_a_timeout() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        assert!(is_timeout(&receive(&ours).unwrap_err()));
        drop(theirs);
        assert!(receive(&ours).unwrap().is_none());
    }
}
