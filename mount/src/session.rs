//! A mounted tree being served.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};

use crate::adapter;
use crate::config::Config;
use crate::filesystem::{FileSystem, Report};
use crate::tree::Tree;

/// A session with the kernel whose first message was answered: from now on the mount answers.
pub struct Session {
    fs: Arc<FileSystem>,
    session: adapter::Session,
    threads: Vec<std::thread::JoinHandle<()>>,
}

/// Looks into a session and ends it, from any thread.
#[derive(Clone)]
pub struct Monitor(Weak<FileSystem>);

impl Session {
    /// Begins to show `tree` on `device`, a `/dev/fuse` that has been mounted.
    ///
    /// Fails if the kernel's protocol is too old or the mount is gone already.
    pub fn begin(tree: Arc<dyn Tree>, device: OwnedFd, config: Config) -> io::Result<Self> {
        let fs = FileSystem::new(tree, config);
        let session = adapter::Session::begin(&fs, device)?;
        let watch = {
            let waiters = fs.waiters.clone();
            thread("srcfs-signals", move || waiters.watch())?
        };
        let house = {
            let fs = fs.clone();
            thread("srcfs-house", move || fs.keep_house())?
        };
        Ok(Session { fs, session, threads: vec![watch, house] })
    }

    /// What looks into this session.
    pub fn monitor(&self) -> Monitor {
        Monitor(Arc::downgrade(&self.fs))
    }

    /// A handle on the device. While it is open the mount is not dead, even if nobody serves it.
    pub fn device(&self) -> io::Result<OwnedFd> {
        self.session.device()
    }

    /// Serves until the mount is gone and its last handle is closed.
    pub fn serve(self) -> io::Result<()> {
        let result = self.session.serve();
        self.fs.close();
        for thread in self.threads {
            // A thread that panicked has logged why; nothing depends on it any more.
            let _ = thread.join();
        }
        result
    }
}

impl Monitor {
    /// The mount at this moment; empty when the session is over.
    pub fn report(&self) -> Report {
        self.0.upgrade().map(|fs| fs.report()).unwrap_or_default()
    }

    /// The tree knows more than it did: those who wait for that are answered, on this thread.
    pub fn look_again(&self) {
        if let Some(fs) = self.0.upgrade() {
            fs.look_again();
        }
    }

    /// Answers every request that waits with EINTR, and those that would wait from now on.
    pub fn stop_waiting(&self) {
        if let Some(fs) = self.0.upgrade() {
            fs.close();
        }
    }
}

fn thread(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run)
}
