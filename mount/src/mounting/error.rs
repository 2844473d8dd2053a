//! Why a mount or an unmount failed, each with what, why and what to do, and an exit code of its own.
//!
//! | code | mounting | unmounting |
//! |---|---|---|
//! | 1 | [`MountError::Busy`], [`MountError::System`] | [`UnmountError::System`] |
//! | 10 | the mount point is missing | |
//! | 11 | it is not a directory | |
//! | 12 | it is not empty | |
//! | 13 | it is not ours: we may not write there | |
//! | 14 | srcfs is mounted there already | |
//! | 15 | something else is mounted there | |
//! | 16 | no FUSE device | |
//! | 17 | the FUSE device is not permitted | |
//! | 18 | no fusermount3 | the same |
//! | 19 | no right to mount (a container) | the same |
//! | 20 | fusermount3 refused | the same |
//! | 21 | | nothing of ours is mounted there |
//! | 22 | | what is mounted there is not ours, or covers ours |
//! | 23 | | it is in use |

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why nothing was mounted. Whatever it says, nothing was left behind.
#[derive(Debug)]
#[non_exhaustive]
pub enum MountError {
    /// The mount point does not exist.
    Missing {
        /// The mount point.
        directory: PathBuf,
    },
    /// It, or something on the way to it, is not a directory.
    NotADirectory {
        /// The mount point.
        directory: PathBuf,
    },
    /// Something is in it, which the mount would hide.
    NotEmpty {
        /// The mount point.
        directory: PathBuf,
        /// One of the names in it.
        example: OsString,
    },
    /// This user may not mount there.
    NotOurs {
        /// The mount point.
        directory: PathBuf,
        /// What exactly is denied.
        why: String,
    },
    /// A living mount of ours is there.
    AlreadyMounted {
        /// The mount point.
        directory: PathBuf,
        /// Its source: `srcfs:<id of the cache>`.
        source: OsString,
        /// Whether it answered within [`super::PROBE_BOUND`].
        answers: bool,
    },
    /// Another file system, or srcfs of another user, is mounted there.
    Foreign {
        /// The mount point.
        directory: PathBuf,
        /// Its type.
        fs_type: OsString,
        /// Its source.
        source: OsString,
    },
    /// The kernel has no FUSE, or there is no /dev/fuse.
    NoDevice {
        /// What the kernel said.
        error: io::Error,
    },
    /// There is a /dev/fuse that this process may not use.
    DeviceDenied {
        /// What the kernel said.
        error: io::Error,
    },
    /// Only fusermount3 can mount for an ordinary user, and it cannot be run.
    NoFusermount {
        /// Why not.
        why: String,
    },
    /// The right to mount is missing although the way to it is there.
    NotPermitted {
        /// Who said so: the kernel or fusermount3.
        said: String,
    },
    /// fusermount3 refused for a reason of its own.
    Refused {
        /// Its words.
        said: String,
    },
    /// Another process is mounting or unmounting there and does not finish.
    Busy {
        /// The mount point.
        directory: PathBuf,
    },
    /// The operating system failed in another way.
    System {
        /// What was tried.
        what: String,
        /// What the kernel said.
        error: io::Error,
    },
}

impl MountError {
    pub(super) fn system(what: impl Into<String>, error: impl Into<io::Error>) -> Self {
        MountError::System { what: what.into(), error: error.into() }
    }

    /// The exit code of a command that failed so; see the module.
    pub fn exit_code(&self) -> u8 {
        match self {
            MountError::Missing { .. } => 10,
            MountError::NotADirectory { .. } => 11,
            MountError::NotEmpty { .. } => 12,
            MountError::NotOurs { .. } => 13,
            MountError::AlreadyMounted { .. } => 14,
            MountError::Foreign { .. } => 15,
            MountError::NoDevice { .. } => 16,
            MountError::DeviceDenied { .. } => 17,
            MountError::NoFusermount { .. } => 18,
            MountError::NotPermitted { .. } => 19,
            MountError::Refused { .. } => 20,
            MountError::Busy { .. } | MountError::System { .. } => 1,
        }
    }

    /// What was tried.
    pub fn what(&self) -> String {
        match self {
            MountError::Missing { directory }
            | MountError::NotADirectory { directory }
            | MountError::NotEmpty { directory, .. }
            | MountError::NotOurs { directory, .. }
            | MountError::AlreadyMounted { directory, .. }
            | MountError::Foreign { directory, .. }
            | MountError::Busy { directory } => format!("mount on {}", directory.display()),
            MountError::NoDevice { .. } | MountError::DeviceDenied { .. } => {
                "mount: open /dev/fuse".to_owned()
            }
            MountError::NoFusermount { .. } => "mount: run fusermount3".to_owned(),
            MountError::NotPermitted { .. } | MountError::Refused { .. } => "mount".to_owned(),
            MountError::System { what, .. } => format!("mount: {what}"),
        }
    }

    /// Why it failed.
    pub fn why(&self) -> String {
        match self {
            MountError::Missing { .. } => "there is no such directory".to_owned(),
            MountError::NotADirectory { .. } => "it is not a directory".to_owned(),
            MountError::NotEmpty { example, .. } => {
                format!("it is not empty (it holds {:?}, which the mount would hide)", example.display())
            }
            MountError::NotOurs { why, .. } => why.clone(),
            MountError::AlreadyMounted { source, answers, .. } => {
                let but = if *answers { "" } else { ", but it does not answer" };
                format!("{} is mounted there already{but}", source.display())
            }
            MountError::Foreign { fs_type, source, .. } => {
                format!("{} ({}), which is not ours, is mounted there", source.display(), fs_type.display())
            }
            MountError::NoDevice { error } | MountError::DeviceDenied { error } => error.to_string(),
            MountError::NoFusermount { why } => why.clone(),
            MountError::NotPermitted { said } | MountError::Refused { said } => said.clone(),
            MountError::Busy { .. } => "another process is just mounting or unmounting there".to_owned(),
            MountError::System { error, .. } => error.to_string(),
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            MountError::Missing { .. } => "create it with mkdir -p",
            MountError::NotADirectory { .. } => "name a directory",
            MountError::NotEmpty { .. } => "choose or make an empty directory",
            MountError::NotOurs { .. } => "choose a directory that you own and may write to",
            MountError::AlreadyMounted { answers: true, .. } => {
                "use it, or unmount it first with srcfs unmount"
            }
            MountError::AlreadyMounted { answers: false, .. } => {
                "wait a moment if it is just starting, or end it with srcfs unmount --force"
            }
            MountError::Foreign { .. } => "choose another directory, or unmount that one yourself",
            MountError::NoDevice { .. } => {
                "load the kernel module (modprobe fuse), or start the container with --device /dev/fuse"
            }
            MountError::DeviceDenied { .. } => {
                "let this user read and write /dev/fuse (mode 0666), or start the container with --device /dev/fuse"
            }
            MountError::NoFusermount { .. } => "install the package fuse3, or run as root",
            MountError::NotPermitted { .. } => {
                "in a container, start it with --cap-add SYS_ADMIN --device /dev/fuse (and without a profile that \
                 denies mounts); elsewhere see that fusermount3 is owned by root and setuid"
            }
            MountError::Refused { .. } => "do what fusermount3 asks for; its settings are in /etc/fuse.conf",
            MountError::Busy { .. } => "try again when that process is done",
            MountError::System { .. } => "see srcfs doctor",
        }
    }
}

/// Why nothing was unmounted.
#[derive(Debug)]
#[non_exhaustive]
pub enum UnmountError {
    /// Nothing of ours is mounted just there, or the mount that was meant is gone.
    NotMounted {
        /// The directory.
        directory: PathBuf,
    },
    /// Another mount is there, perhaps over the one that was meant. It was not touched.
    NotOurs {
        /// The directory.
        directory: PathBuf,
        /// The other mount's type.
        fs_type: OsString,
        /// The other mount's source.
        source: OsString,
    },
    /// It is in use and was not to be detached.
    InUse {
        /// The directory.
        directory: PathBuf,
    },
    /// Only fusermount3 can unmount for an ordinary user, and it cannot be run.
    NoFusermount {
        /// Why not.
        why: String,
    },
    /// The right to unmount is missing.
    NotPermitted {
        /// Who said so: the kernel or fusermount3.
        said: String,
    },
    /// fusermount3 refused for a reason of its own.
    Refused {
        /// Its words.
        said: String,
    },
    /// The operating system failed in another way.
    System {
        /// What was tried.
        what: String,
        /// What the kernel said.
        error: io::Error,
    },
}

impl UnmountError {
    /// The exit code of a command that failed so; see the module.
    pub fn exit_code(&self) -> u8 {
        match self {
            UnmountError::NoFusermount { .. } => 18,
            UnmountError::NotPermitted { .. } => 19,
            UnmountError::Refused { .. } => 20,
            UnmountError::NotMounted { .. } => 21,
            UnmountError::NotOurs { .. } => 22,
            UnmountError::InUse { .. } => 23,
            UnmountError::System { .. } => 1,
        }
    }

    /// What was tried.
    pub fn what(&self) -> String {
        match self {
            UnmountError::NotMounted { directory }
            | UnmountError::NotOurs { directory, .. }
            | UnmountError::InUse { directory } => format!("unmount {}", directory.display()),
            UnmountError::NoFusermount { .. } => "unmount: run fusermount3".to_owned(),
            UnmountError::NotPermitted { .. } | UnmountError::Refused { .. } => "unmount".to_owned(),
            UnmountError::System { what, .. } => format!("unmount: {what}"),
        }
    }

    /// Why it failed.
    pub fn why(&self) -> String {
        match self {
            UnmountError::NotMounted { .. } => "srcfs is not mounted there".to_owned(),
            UnmountError::NotOurs { fs_type, source, .. } => {
                format!("{} ({}), which is not ours, is mounted there", source.display(), fs_type.display())
            }
            UnmountError::InUse { .. } => "something there is in use".to_owned(),
            UnmountError::NoFusermount { why } => why.clone(),
            UnmountError::NotPermitted { said } | UnmountError::Refused { said } => said.clone(),
            UnmountError::System { error, .. } => error.to_string(),
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            UnmountError::NotMounted { .. } => "srcfs status lists what is mounted",
            UnmountError::NotOurs { .. } => "unmount that one first, if it is yours",
            UnmountError::InUse { .. } => "end what uses it, or detach it",
            UnmountError::NoFusermount { .. } => "install the package fuse3, or run as root",
            UnmountError::NotPermitted { .. } => "run it as the user who mounted it, or as root",
            UnmountError::Refused { .. } => "do what fusermount3 asks for",
            UnmountError::System { .. } => "see srcfs doctor",
        }
    }
}

impl fmt::Display for MountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.what(), self.why(), self.hint())
    }
}

impl fmt::Display for UnmountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.what(), self.why(), self.hint())
    }
}

impl std::error::Error for MountError {}
impl std::error::Error for UnmountError {}
