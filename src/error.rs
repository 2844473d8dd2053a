//! The one error of the crate: what was tried, on what, why it failed, and what to do.
//!
//! A [`Kind`] is decided where the failure is understood (the git that said 404, the disk that is
//! full) and is turned into an errno in exactly one place, [`Kind::errno`]. The sentence goes to
//! `srcfs explain`, `.srcfs/errors.json` and the terminal; only the number goes through the kernel.

use std::fmt;
use std::path::{Path, PathBuf};

pub(crate) mod failure;

pub use failure::Failure;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as far as a caller can act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// An authoritative answer says that it does not exist.
    NotFound,
    /// A forge answered "not for you" to somebody without a credential: absent or private.
    NotFoundOrPrivate,
    /// The name cannot exist: the grammar forbids it. Nobody was asked.
    Invalid,
    /// A credential was offered and refused.
    Denied,
    /// The host did not answer, or its name is not known.
    Unreachable,
    /// A bound was reached.
    TimedOut,
    /// The caller gave up.
    Interrupted,
    /// The network or the server failed in another way.
    Network,
    /// The server asks to come back later.
    RateLimited,
    /// Offline mode, and it is not cached.
    Offline,
    /// What came or what is stored is not what its hash says.
    Corrupt,
    /// The disk is full.
    Full,
    /// A limit on size, depth or number was passed.
    TooLarge,
    /// Somebody else holds what is needed.
    Busy,
    /// It changed under the operation, which was refused.
    Stale,
    /// No descriptors, memory or locks left.
    Exhausted,
    /// The configuration is wrong.
    Config,
    /// This machine lacks something srcfs needs.
    Unsupported,
    /// Any other failure of the operating system.
    Io,
}

impl Kind {
    /// The error number that a reader of the mount sees.
    pub fn errno(self) -> i32 {
        match self {
            Kind::NotFound | Kind::NotFoundOrPrivate | Kind::Invalid => libc::ENOENT,
            Kind::Denied => libc::EACCES,
            Kind::Unreachable => libc::EHOSTUNREACH,
            Kind::TimedOut => libc::ETIMEDOUT,
            Kind::Interrupted => libc::EINTR,
            Kind::RateLimited => libc::EAGAIN,
            Kind::Full => libc::ENOSPC,
            Kind::TooLarge => libc::EFBIG,
            Kind::Busy => libc::EBUSY,
            Kind::Exhausted => libc::EMFILE,
            Kind::Offline => libc::ENETUNREACH,
            Kind::Network | Kind::Corrupt | Kind::Stale | Kind::Config | Kind::Unsupported | Kind::Io => {
                libc::EIO
            }
        }
    }

    /// Whether asking the same again may help without anybody changing anything.
    pub fn passes(self) -> bool {
        matches!(
            self,
            Kind::Unreachable
                | Kind::TimedOut
                | Kind::Interrupted
                | Kind::Network
                | Kind::RateLimited
                | Kind::Busy
                | Kind::Stale
                | Kind::Exhausted
        )
    }
}

/// An error with its sentence. Cheap to clone, because one failed fetch answers many waiters.
#[derive(Clone)]
pub struct Error(std::sync::Arc<Inner>);

struct Inner {
    kind: Kind,
    what: String,
    why: String,
    hint: Option<String>,
    path: Option<PathBuf>,
}

impl Error {
    /// `what` was tried (`fetch git/example.org/a`), `why` it failed. Neither ends with a full stop.
    pub fn new(kind: Kind, what: impl Into<String>, why: impl Into<String>) -> Self {
        Error(std::sync::Arc::new(Inner { kind, what: what.into(), why: why.into(), hint: None, path: None }))
    }

    /// An error of the operating system on `path`; the kind follows from its number.
    pub fn io(what: impl fmt::Display, path: impl AsRef<Path>, error: &std::io::Error) -> Self {
        let path = path.as_ref();
        let kind = match error.raw_os_error() {
            Some(libc::ENOSPC | libc::EDQUOT) => Kind::Full,
            Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOLCK) => Kind::Exhausted,
            Some(libc::ETIMEDOUT) => Kind::TimedOut,
            Some(libc::EFBIG) => Kind::TooLarge,
            _ => Kind::Io,
        };
        let mut inner = Self::new(kind, format!("{what} {}", path.display()), error.to_string());
        inner.edit(|inner| inner.path = Some(path.to_owned()));
        match kind {
            Kind::Full => inner.hint("free some space there, or choose another --cache-dir"),
            _ => inner,
        }
    }

    /// `what` needs the network, which the configuration forbids.
    pub fn offline(what: impl Into<String>) -> Self {
        Error::new(Kind::Offline, what, "srcfs is offline")
            .hint("set offline = false in the configuration to let it use the network")
    }

    fn edit(&mut self, edit: impl FnOnce(&mut Inner)) {
        if std::sync::Arc::get_mut(&mut self.0).is_none() {
            let Inner { kind, what, why, hint, path } = &*self.0;
            self.0 = std::sync::Arc::new(Inner {
                kind: *kind,
                what: what.clone(),
                why: why.clone(),
                hint: hint.clone(),
                path: path.clone(),
            });
        }
        if let Some(inner) = std::sync::Arc::get_mut(&mut self.0) {
            edit(inner);
        }
    }

    /// Says what to do about it, as an imperative without a full stop.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.edit(|inner| inner.hint = Some(hint.into()));
        self
    }

    /// The same failure, seen as part of a larger attempt.
    #[must_use]
    pub fn during(mut self, what: impl fmt::Display) -> Self {
        self.edit(|inner| inner.what = format!("{what}: {}", inner.what));
        self
    }

    /// What a caller can act on.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// What was tried.
    pub fn what(&self) -> &str {
        &self.0.what
    }

    /// Why it failed.
    pub fn why(&self) -> &str {
        &self.0.why
    }

    /// What to do, if anything can be said.
    pub fn advice(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The file it is about, if it is about one.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.what, self.0.why)?;
        if let Some(hint) = &self.0.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)
    }
}

impl std::error::Error for Error {}
