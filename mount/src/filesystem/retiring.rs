//! Giving back what only the kernel's caches hold.
//!
//! A view that is not offered any more, or that nobody has asked for in a while, is held by two things:
//! by readers (open files, mappings, working directories), which must not notice anything, and by the
//! kernel's caches of names, which are of no more use. A pass gives back the second, children before
//! parents and in small batches, and is repeated once a second while anything is left: a walk that is
//! still under way adds more, and each last close gives its node back by itself.

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use super::FileSystem;
use crate::holders;
use crate::ino::{Ino, SlotNumber};
use crate::kernel::{Kernel, PRUNE_BATCH};
use crate::slot::Slot;
use crate::sync::atomic::Ordering::SeqCst;
use crate::tree::{NodeKind, Snapshot};

impl FileSystem {
    /// Starts a pass over `slot` on a thread of its own, unless one is under way.
    pub(super) fn retire(self: &Arc<Self>, slot: Arc<Slot>) {
        if slot.references.total() == 0 {
            return self.drop_if_over(slot);
        }
        if slot.retiring.swap(true, SeqCst) {
            return;
        }
        let this = self.clone();
        let retired = slot.clone();
        let started = self.notifications.run(move || {
            if let Some(kernel) = this.kernel.get()
                && let Err(error) = this.give_back(&**kernel, &retired)
            {
                log::warn!("the kernel did not give back {}: {error}", retired.path.display());
            }
            retired.retiring.store(false, SeqCst);
            this.drop_if_over(retired);
        });
        if started.is_err() {
            slot.retiring.store(false, SeqCst);
        }
    }

    fn give_back(&self, kernel: &dyn Kernel, slot: &Slot) -> std::io::Result<()> {
        // A remembered miss keeps its directory, so misses go first.
        for (directory, name) in slot.misses.take() {
            kernel.drop_entry(slot.ino(directory), &name)?;
        }
        let held: Vec<u32> = slot.references.held().collect();
        for batch in held.chunks(PRUNE_BATCH) {
            let nodes: Vec<Ino> = batch.iter().map(|&index| slot.ino(index)).collect();
            if !kernel.prune(&nodes)? {
                return self.give_back_by_name(kernel, slot, &held);
            }
        }
        Ok(())
    }

    /// For kernels that cannot prune. A directory is dropped only while nobody works anywhere in the
    /// view: it would lose its name, and getcwd would fail. The root is dropped by a name under which the
    /// kernel may by now have another view, so nobody may work in that either.
    fn give_back_by_name(&self, kernel: &dyn Kernel, slot: &Slot, held: &[u32]) -> std::io::Result<()> {
        let worked_in: Option<HashSet<SlotNumber>> = self.config.mount().map(|mount| {
            holders::directories_of(mount).found.iter().map(|holder| Ino(holder.ino).slot()).collect()
        });
        let works_here = worked_in.as_ref().is_none_or(|slots| slots.contains(&slot.number));
        if let Some(snapshot) = slot.snapshot() {
            self.drop_below(kernel, slot, &*snapshot, held, works_here)?;
        }
        let named_so = |number| self.slots.get(number).is_some_and(|other| other.path == slot.path);
        let under_this_name = worked_in.is_none_or(|slots| slots.into_iter().any(named_so));
        if under_this_name || !held.contains(&0) {
            return Ok(());
        }
        self.drop_root(kernel, slot)
    }

    /// Drops the entries of `held` below the root; of directories only if nobody works in the view.
    fn drop_below(
        &self,
        kernel: &dyn Kernel,
        slot: &Slot,
        snapshot: &dyn Snapshot,
        held: &[u32],
        works_here: bool,
    ) -> std::io::Result<()> {
        for &index in held.iter().filter(|&&index| index != 0) {
            let Some(node) = snapshot.node(index) else { continue };
            if node.kind == NodeKind::Directory && works_here {
                continue;
            }
            kernel.drop_entry(slot.ino(node.parent), snapshot.name(index))?;
        }
        Ok(())
    }

    fn drop_root(&self, kernel: &dyn Kernel, slot: &Slot) -> std::io::Result<()> {
        let parent = slot.path.parent().and_then(|parent| self.namespace.known(parent));
        let Some(parent) = parent else { return Ok(()) };
        debug_assert!(!slot.name().as_bytes().is_empty());
        kernel.drop_entry(parent, &slot.name())
    }
}
