//! Answers: what an upstream said that a reference is, and since when that may be believed.
//!
//! An answer is older than a clear if it was asked for before it: whoever comes after the clear is to see
//! what the upstream has then. So it remembers what the last clear was when it was asked, and a commit
//! compares. That is not a matter of clocks alone, because a clear may come from another host.

use super::Cache;
use super::clock::{Changed, boot_id, ticks, unix_now};
use super::materialize::{Freshness, Order};
use super::state::State;
use crate::error::Result;
use crate::key::{Key, Reference};
use crate::source::{Resolved, Revision};

/// How many answers are remembered that are not written down: a bound for a process that is asked for
/// ever new names.
const REMEMBERED: usize = 4096;

/// What a reference is.
#[derive(Clone)]
pub(super) struct Answer {
    pub resolved: Resolved,
    /// When the upstream was asked, in seconds since 1970.
    pub checked: u64,
    /// The last clear that was known when it was asked.
    cleared: Option<Changed>,
    /// When that was, on this boot.
    ticks: u64,
}

impl Answer {
    /// Whether its mirror was cleared after it was asked for.
    pub fn is_overtaken(&self, state: &State) -> bool {
        let Some(cleared) = &state.cleared else { return false };
        // A clear in the tick of the question may have come after it.
        let later = cleared.boot_id == boot_id() && cleared.ticks >= self.ticks;
        later || self.cleared.as_ref() != Some(cleared)
    }
}

impl Cache {
    /// An answer that is fresh enough, published or remembered.
    pub(super) fn resolved(
        &self,
        key: &Key,
        reference: &Reference,
        freshness: Freshness,
    ) -> Result<Option<Answer>> {
        let state = self.state(key)?;
        if let Some(state) = &state
            && let Some((resolved, _, checked)) = state.find(reference)
            && freshness.allows(&resolved, checked)
        {
            // What is published came after every clear before it.
            let cleared = state.cleared.clone();
            return Ok(Some(Answer { resolved, checked, cleared, ticks: u64::MAX }));
        }
        let remembered = self.remembered.get(&(key.digest(), reference.clone())).map(|found| found.clone());
        Ok(remembered.filter(|answer| {
            // A clear takes the memory with it, also that of other processes.
            let overtaken = state.is_some_and(|state| answer.is_overtaken(&state));
            !overtaken && freshness.allows(&answer.resolved, answer.checked)
        }))
    }

    /// Asks the source.
    pub(super) fn ask(&self, order: &Order<'_>) -> Result<Answer> {
        let (key, reference) = (order.key, order.reference);
        let state = self.state(key)?;
        let known: Vec<Revision> =
            state.iter().flat_map(|state| state.snapshots.keys()).map(Revision::new).collect();
        let cleared = state.as_ref().and_then(|state| state.cleared.clone());
        let (checked, ticks) = (unix_now(), ticks());
        let resolved = order.source.resolve(key, reference, &known, order.progress)?;
        let answer = Answer { resolved, checked, cleared, ticks };
        if self.remembered.len() > REMEMBERED {
            self.remembered.clear();
        }
        self.remembered.insert((key.digest(), reference.clone()), answer.clone());
        Ok(answer)
    }
}
