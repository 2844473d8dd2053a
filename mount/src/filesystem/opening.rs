//! A view on its way to its snapshot.
//!
//! Whoever needs the snapshot of a view that is not open is parked. The first one starts the work, the
//! others join; all are answered when it ends. What is cached is opened on the local lane, what must be
//! fetched on the fetch lane. Work that nobody waits for any more by the time a thread takes it up is
//! dropped; work that has begun goes on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::FileSystem;
use crate::locked;
use crate::slot::Slot;
use crate::tree::{Caller, Entry, Errno, Existence, Snapshot};
use crate::waiters::WaiterId;

/// What a job found out: `None` if another lane must go on.
type Outcome<T> = Result<Option<T>, Errno>;

impl FileSystem {
    /// Calls `answer` with the snapshot of `slot`, as soon as it is open or that failed.
    pub(super) fn when_open(
        self: &Arc<Self>,
        slot: Arc<Slot>,
        caller: Caller,
        answer: impl FnOnce(Result<(Arc<Slot>, Arc<dyn Snapshot>), Errno>) + Send + 'static,
    ) {
        let (waiting, this) = (slot.clone(), self.clone());
        let id = self.waiters.enter(
            caller,
            Box::new(move |result| {
                let goes_on = locked(&waiting.opening).opening.is_some();
                this.note_bound(&waiting, caller, result, goes_on);
                let snapshot = waiting.snapshot();
                answer(result.and_then(|()| Ok((waiting, snapshot.ok_or(Errno(libc::EIO))?))));
            }),
        );
        let start = {
            let mut opening = locked(&slot.opening);
            if slot.snapshot().is_some() {
                drop(opening);
                return self.waiters.finish(id, Ok(()));
            }
            let start = opening.opening.is_none();
            opening.opening.get_or_insert_default().push(id);
            start
        };
        if start {
            self.open(slot, caller, false);
        }
    }

    fn open(self: &Arc<Self>, slot: Arc<Slot>, caller: Caller, fetch: bool) {
        let this = self.clone();
        let opened = slot.clone();
        let lane = if fetch { &self.fetch } else { &self.local };
        let started = lane.run(move || {
            if this.nobody_waits(&mut locked(&opened.opening).opening) {
                return;
            }
            let view = &opened.view;
            let outcome: Outcome<_> =
                guarded(|| if fetch { view.open(caller).map(Some) } else { view.local() });
            match outcome {
                Ok(Some(snapshot)) => {
                    this.opened(&opened, Ok(snapshot));
                    this.note_first_use(&opened.path, caller);
                }
                Ok(None) => this.open(opened, caller, true),
                Err(error) => this.opened(&opened, Err(error)),
            }
        });
        if started.is_err() {
            self.opened(&slot, Err(Errno(libc::EAGAIN)));
        }
    }

    /// Whether everybody who waited has gone meanwhile; then the next one starts the work anew. Called
    /// with the lock under which waiters are added, so that nobody is left waiting for nothing.
    fn nobody_waits(&self, waiting: &mut Option<Vec<WaiterId>>) -> bool {
        let nobody = !waiting.iter().flatten().any(|&id| self.waiters.waits(id));
        if nobody {
            *waiting = None;
        }
        nobody
    }

    fn opened(&self, slot: &Slot, result: Result<Arc<dyn Snapshot>, Errno>) {
        let (waiting, result) = {
            let mut opening = locked(&slot.opening);
            let result = result.map(|snapshot| slot.open(snapshot));
            (opening.opening.take(), result)
        };
        self.answer_all(waiting, result);
    }

    /// Calls `answer` when it is known whether the view of `slot` exists.
    pub(super) fn when_known(
        self: &Arc<Self>,
        slot: Arc<Slot>,
        caller: Caller,
        answer: impl FnOnce(Result<(Arc<Slot>, Existence), Errno>) + Send + 'static,
    ) {
        let found_out = locked(&slot.opening).existence;
        let unknown_time = Existence { modified: None };
        if let Some(existence) = slot.view.known().or(found_out) {
            return answer(Ok((slot, existence)));
        }
        let (waiting, this) = (slot.clone(), self.clone());
        let id = self.waiters.enter(
            caller,
            Box::new(move |result| {
                let (existence, goes_on) = {
                    let opening = locked(&waiting.opening);
                    (opening.existence, opening.asking.is_some())
                };
                this.note_bound(&waiting, caller, result, goes_on);
                answer(result.map(|()| (waiting, existence.unwrap_or(unknown_time))));
            }),
        );
        let start = {
            let mut opening = locked(&slot.opening);
            if opening.existence.is_some() {
                drop(opening);
                return self.waiters.finish(id, Ok(()));
            }
            let start = opening.asking.is_none();
            opening.asking.get_or_insert_default().push(id);
            start
        };
        if start {
            self.ask(slot, caller);
        }
    }

    fn ask(self: &Arc<Self>, slot: Arc<Slot>, caller: Caller) {
        let this = self.clone();
        let asked = slot.clone();
        let started = self.fetch.run(move || {
            if this.nobody_waits(&mut locked(&asked.opening).asking) {
                return;
            }
            this.asked(&asked, guarded(|| asked.view.exists(caller)));
        });
        if started.is_err() {
            self.asked(&slot, Err(Errno(libc::EAGAIN)));
        }
    }

    fn asked(&self, slot: &Slot, result: Result<Existence, Errno>) {
        let waiting = {
            let mut opening = locked(&slot.opening);
            if let Ok(existence) = result {
                opening.existence = Some(existence);
            }
            opening.asking.take()
        };
        self.answer_all(waiting, result.map(|_| ()));
    }

    /// Lets the view note that a caller had to be sent away while the work for it goes on. A timeout of
    /// the work itself comes when that is over, and is the view's own.
    fn note_bound(&self, slot: &Arc<Slot>, caller: Caller, result: Result<(), Errno>, goes_on: bool) {
        if goes_on && result == Err(Errno(libc::ETIMEDOUT)) {
            let slot = slot.clone();
            let _ = self.local.run(move || slot.view.kept_waiting(caller));
        }
    }

    /// Calls `answer` when the tree can say what stands at `path`, or the wait for that ends.
    pub(super) fn when_more_is_known(
        &self,
        path: PathBuf,
        caller: Caller,
        answer: impl FnOnce(Result<(), Errno>) + Send + 'static,
    ) {
        let id = self.waiters.enter(caller, Box::new(answer));
        {
            let mut later = locked(&self.later);
            later.retain(|&(id, _)| self.waiters.waits(id));
            later.push((id, path.clone()));
        }
        // It may have become known in between.
        if self.is_known(&path) {
            self.waiters.finish(id, Ok(()));
        }
    }

    /// Answers those who wait for what the tree now knows.
    pub(crate) fn look_again(&self) {
        let known: Vec<_> = locked(&self.later).extract_if(.., |(_, path)| self.is_known(path)).collect();
        for (id, _) in known {
            self.waiters.finish(id, Ok(()));
        }
    }

    fn is_known(&self, path: &Path) -> bool {
        !matches!(self.tree.entry(path), Entry::Later) && self.names_in(path).is_some()
    }

    fn answer_all(&self, waiting: Option<Vec<WaiterId>>, result: Result<(), Errno>) {
        for id in waiting.into_iter().flatten() {
            self.waiters.finish(id, result);
        }
    }
}

/// A panic below is an input/output error for those who wait, and for nobody else.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        log::error!("the work for a request panicked");
        Err(Errno(libc::EIO))
    })
}
