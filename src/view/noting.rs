//! What is done because views are used: their last use is noted, and what they show is asked for again if that
//! is due.
//!
//! Nobody waits for any of it. One thread notes; who is asked again has a thread for each of the two sorts, so that
//! a server that stalls holds up neither the notes nor the directories of this machine.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use super::Shared;
use super::binding::Binding;
use crate::config::Config;
use crate::error::{Error, Kind, Result};

/// How much may wait for a thread. What is beyond it is dropped: its next use is a minute away.
const MOST: usize = 256;

/// What there is to note.
enum Notice {
    /// A view is used.
    Used(Arc<Binding>),
    /// Something may have been moved.
    Moved,
}

/// What is due, and not to be older than that.
type Due = (Arc<Binding>, Duration);

/// The way to the thread that notes. It ends with this.
pub(super) struct Notes(SyncSender<Notice>);

impl Notes {
    /// Starts the threads. What `config` says of how often something is asked again counts, whatever changes in
    /// its file later.
    ///
    /// Fails if no thread can be started.
    pub fn new(shared: Arc<Shared>, config: Config) -> Result<Notes> {
        let refresh = |(binding, age): Due| binding.refresh(age);
        let servers = thread("srcfs-refresh", refresh)?;
        let directories = thread("srcfs-recheck", refresh)?;
        let note = move |notice| match notice {
            Notice::Used(binding) => {
                if let Some(age) = binding.note_use(&|kind| config.refresh_of(kind)) {
                    let asked =
                        if binding.what().key.kind().needs_network() { &servers } else { &directories };
                    let _ = asked.try_send((binding, age));
                }
            }
            Notice::Moved => shared.move_over(),
        };
        Ok(Notes(thread("srcfs-notes", note)?))
    }

    /// Notes the use of a view.
    pub fn used(&self, binding: Arc<Binding>) {
        let _ = self.0.try_send(Notice::Used(binding));
    }

    /// Has views follow what was moved; it is looked for now and then as well.
    pub fn moved(&self) {
        let _ = self.0.try_send(Notice::Moved);
    }
}

/// A thread that does `work` with all that it is sent, until nobody can send any more.
fn thread<T: Send + 'static>(name: &str, work: impl Fn(T) + Send + 'static) -> Result<SyncSender<T>> {
    let (sender, sent) = sync_channel(MOST);
    let started =
        std::thread::Builder::new().name(name.to_owned()).spawn(move || sent.into_iter().for_each(work));
    match started {
        Ok(_) => Ok(sender),
        Err(error) => {
            Err(Error::new(Kind::Exhausted, "start the threads that note what is used", error.to_string()))
        }
    }
}
