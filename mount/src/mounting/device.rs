//! /dev/fuse: opening it, and keeping descriptors off the numbers of standard input and output.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use super::error::MountError;

/// Opens the device, close-on-exec and above standard error.
pub(super) fn open() -> Result<OwnedFd, MountError> {
    match OpenOptions::new().read(true).write(true).open("/dev/fuse") {
        Ok(device) => above_stdio(device.into()).map_err(|error| MountError::system("open /dev/fuse", error)),
        Err(error) => Err(match error.raw_os_error() {
            Some(libc::EACCES | libc::EPERM) => MountError::DeviceDenied { error },
            // No file, a file without a driver behind it.
            Some(libc::ENOENT | libc::ENODEV | libc::ENXIO | libc::ENOTDIR) => MountError::NoDevice { error },
            _ => MountError::system("open /dev/fuse", error),
        }),
    }
}

/// The same open file under a number above 2: a daemon that was started with a closed standard output
/// and prints a line would write it into the kernel's request queue otherwise.
pub(super) fn above_stdio(descriptor: OwnedFd) -> io::Result<OwnedFd> {
    if descriptor.as_raw_fd() > libc::STDERR_FILENO {
        return Ok(descriptor);
    }
    // `try_clone` never gives a number below 3 (F_DUPFD_CLOEXEC, 3); this checks it.
    let higher = descriptor.try_clone()?;
    if higher.as_raw_fd() > libc::STDERR_FILENO {
        return Ok(higher);
    }
    Err(io::Error::other("every descriptor above standard error is taken"))
}
