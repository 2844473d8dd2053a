//! What a mount is told at its start.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::holders::Target;
use crate::mounting::MountId;

/// Looks up paths of the mount (relative to its root), all at once, from processes that may hang without
/// harm. It must return within a few seconds, whatever the mount does.
pub type Park = Arc<dyn Fn(&[PathBuf]) + Send + Sync>;

/// The settings of a mount. [`Config::default`] gives those of the field's comments.
#[derive(Clone)]
pub struct Config {
    /// Event-loop threads. More than cores, so that one large file
    /// being decoded does not hold up the next name. Default: the number of cores, between 4 and 8.
    pub threads: usize,
    /// Views that may be fetched at the same time. Default: 8.
    pub fetch_threads: usize,
    /// A process that has not asked for a name for this long has ended its walk. Default: 30 s.
    pub quiet: Duration,
    /// Nobody is kept on a replaced view for longer. Default: 10 min.
    pub max_drain: Duration,
    /// A view nobody asked for by name for this long is given back. Default: 10 min.
    pub idle: Duration,
    /// How often the use of one view is told to the tree. Default: 1 min.
    pub note_use: Duration,
    /// No request waits longer. Must stay below the kernel's own request timeout. Default: 60 s.
    pub reply_bound: Duration,
    /// Owner and group of everything shown. Default: those of this process.
    pub owner: (u32, u32),
    /// With a mount that lets others in: whether only root is meant (the kernel cannot tell). Default: no.
    pub only_root_besides: bool,
    /// Whether to use FUSE_NOTIFY_PRUNE where the kernel has it. Default: true.
    pub prune: bool,
    /// How to look up paths of the mount from outside of the daemon. Default: not at all; then getcwd
    /// may fail in the root of a view whose name has come to show another one.
    pub park: Option<Park>,
    mount: Arc<OnceLock<Target>>,
}

impl Default for Config {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Config {
            threads: cores.clamp(4, 8),
            fetch_threads: 8,
            quiet: Duration::from_secs(30),
            max_drain: Duration::from_secs(600),
            idle: Duration::from_secs(600),
            note_use: Duration::from_secs(60),
            reply_bound: Duration::from_secs(60),
            owner: (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw()),
            only_root_besides: false,
            prune: true,
            park: None,
            mount: Arc::default(),
        }
    }
}

impl Config {
    /// Tells the mount which one it is, by which it recognises what processes hold of it. Said once.
    pub fn set_mount(&self, id: MountId) {
        let _ = self.mount.set(Target { mount_id: id.id, device: id.device });
    }

    /// What to look for in /proc, if the mount knows which one it is.
    pub(crate) fn mount(&self) -> Option<Target> {
        self.mount.get().copied()
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("threads", &self.threads)
            .field("fetch_threads", &self.fetch_threads)
            .field("quiet", &self.quiet)
            .field("max_drain", &self.max_drain)
            .field("idle", &self.idle)
            .field("reply_bound", &self.reply_bound)
            .finish_non_exhaustive()
    }
}
