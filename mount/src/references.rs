//! What the kernel holds of one view: how often each node was handed out and not yet forgotten.
//!
//! Every LOOKUP and READDIRPLUS answer adds one to its node *before* it is sent, every FORGET takes
//! back; so a count of 0 means that no open file, mapping, working directory or cached name refers to
//! the node. The total is what keeps the view, and with it the pin of its snapshot.

use crate::sync::OnceLock;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

/// The kernel's references into one view.
#[derive(Default)]
pub(crate) struct References {
    total: AtomicU64,
    root: AtomicU64,
    nodes: OnceLock<Box<[AtomicU32]>>,
}

impl References {
    /// Makes room for a snapshot of `len` nodes. Before that only the root can be referred to.
    pub(crate) fn grow(&self, len: u32) {
        self.nodes.get_or_init(|| (0..len).map(|_| AtomicU32::new(0)).collect());
    }

    /// Counts one reference that is about to be handed out.
    pub(crate) fn take(&self, index: u32) {
        self.total.fetch_add(1, SeqCst);
        if index == 0 {
            self.root.fetch_add(1, SeqCst);
        } else if let Some(node) = self.nodes.get().and_then(|nodes| nodes.get(index as usize)) {
            node.fetch_add(1, SeqCst);
        }
    }

    /// Takes back `count` references and returns what is left of the total.
    ///
    /// A kernel that forgets more than it was given must not make a count wrap around, which would
    /// hold the view for ever: counts stop at 0.
    pub(crate) fn give_back(&self, index: u32, count: u64) -> u64 {
        let taken = if index == 0 {
            let before = self.root.fetch_update(SeqCst, SeqCst, |n| Some(n.saturating_sub(count)));
            before.unwrap_or(0).min(count)
        } else {
            match self.nodes.get().and_then(|nodes| nodes.get(index as usize)) {
                Some(node) => {
                    let count = u32::try_from(count).unwrap_or(u32::MAX);
                    let before = node.fetch_update(SeqCst, SeqCst, |n| Some(n.saturating_sub(count)));
                    u64::from(before.unwrap_or(0).min(count))
                }
                None => 0,
            }
        };
        self.total.fetch_sub(taken, SeqCst) - taken
    }

    /// All references into the view.
    pub(crate) fn total(&self) -> u64 {
        self.total.load(SeqCst)
    }

    /// The nodes that are referred to, from the last to the first: children before their parents.
    pub(crate) fn held(&self) -> impl Iterator<Item = u32> {
        let nodes = self.nodes.get().map_or(&[][..], |nodes| nodes);
        let below = (1..nodes.len() as u32).rev().filter(|&i| nodes[i as usize].load(SeqCst) > 0);
        below.chain((self.root.load(SeqCst) > 0).then_some(0))
    }
}

#[cfg(all(test, feature = "schedules"))]
mod schedules;

#[cfg(all(test, not(feature = "schedules")))]
mod tests {
    use super::References;

    #[test]
    fn counts_come_back_to_zero_and_never_below() {
        let references = References::default();
        references.take(0);
        references.grow(3);
        references.take(2);
        references.take(2);
        assert_eq!(references.total(), 3);
        assert_eq!(references.held().collect::<Vec<_>>(), [2, 0]);
        assert_eq!(references.give_back(2, 5), 1, "more than was taken gives back what was taken");
        assert_eq!(references.give_back(7, 1), 1, "an unknown node gives back nothing");
        assert_eq!(references.give_back(0, 1), 0);
        assert_eq!(references.held().count(), 0);
    }
}
