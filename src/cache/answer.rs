//! Answers: what an upstream said that a reference is, and since when that may be believed.
//!
//! An answer is older than a clear if it was asked for before it: whoever comes after the clear is to see
//! what the upstream has then. So it remembers what the last clear was when it was asked, and a commit
//! compares. That is not a matter of clocks alone, because a clear may come from another host.

use super::Cache;
use super::clock::{Changed, boot_id, ticks, unix_now};
use super::materialize::{Freshness, Order};
use super::state::{ReferenceState, State};
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
    /// What was published of the reference by then: older, whatever the clock of its host said.
    known: Option<ReferenceState>,
    /// The last clear that was known when it was asked.
    cleared: Option<Changed>,
    /// When that was, on this boot.
    ticks: u64,
}

impl Answer {
    /// Whether what is published was asked of the upstream before this was.
    pub fn is_later_than(&self, published: &ReferenceState) -> bool {
        self.known.as_ref() == Some(published) || !is_newer(published.checked, self.checked, unix_now())
    }

    /// Whether its mirror was cleared after it was asked for.
    pub fn is_overtaken(&self, state: &State) -> bool {
        let Some(cleared) = &state.cleared else { return false };
        // One in the tick of the question may hide another, which came after it. One that was known and
        // is dated later still is of somebody whose clock is another one, in a time namespace.
        let hidden = || cleared.ticks == self.ticks && cleared.boot_id == boot_id();
        self.cleared.as_ref() != Some(cleared) || hidden()
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
            let known = state.references.get(&reference.to_string()).cloned();
            return Ok(Some(Answer { resolved, checked, known, cleared, ticks: u64::MAX }));
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
        // So that none hides in the same tick: see `is_overtaken`.
        cleared.iter().for_each(Changed::wait_until_past);
        let name = reference.to_string();
        let published = state.as_ref().and_then(|state| state.references.get(&name).cloned());
        let (checked, ticks) = (unix_now(), ticks());
        let resolved = order.source.resolve(key, reference, &known, order.progress)?;
        let answer = Answer { resolved, checked, known: published, cleared, ticks };
        if self.remembered.len() > REMEMBERED {
            self.remembered.clear();
        }
        self.remembered.insert((key.digest(), reference.clone()), answer.clone());
        Ok(answer)
    }
}

/// Whether what is `published` was asked of the upstream after `ours` was. A time in the future is that
/// of a clock that was wrong, and says nothing.
fn is_newer(published: u64, ours: u64, now: u64) -> bool {
    ours < published && published <= now
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(checked: u64, known: Option<ReferenceState>) -> Answer {
        let resolved = Resolved { revision: Revision::new("1"), full_name: None, moving: true };
        Answer { resolved, checked, known, cleared: None, ticks: 7 }
    }

    fn published(checked: u64) -> ReferenceState {
        let changed = Changed::default();
        ReferenceState { revision: "2".into(), full_name: None, moving: true, checked, changed }
    }

    #[test]
    fn a_later_answer_keeps_the_name_unless_its_clock_was_wrong() {
        assert!(is_newer(101, 100, 101) && is_newer(101, 100, 200));
        assert!(!is_newer(100, 100, 200) && !is_newer(99, 100, 200));
        // From the future: believed, it would keep the name until the clock gets there.
        assert!(!is_newer(201, 100, 200) && !is_newer(u64::MAX, 100, 200));
    }

    #[test]
    fn what_was_published_when_it_was_asked_is_older_also_by_a_clock_that_is_ahead() {
        assert!(!answer(100, None).is_later_than(&published(105)));
        assert!(!answer(100, Some(published(104))).is_later_than(&published(105)));
        assert!(answer(100, Some(published(105))).is_later_than(&published(105)));
    }

    #[test]
    fn a_clear_that_was_known_overtakes_only_from_the_tick_of_the_question() {
        let cleared = |ticks| Some(Changed { boot_id: boot_id(), ticks, unix: 0 });
        let url = crate::key::GitUrl::parse("https://example.org/a/b").unwrap();
        let is_overtaken = |known, now| {
            let mut state = State::empty(&Key::git(url.clone()));
            state.cleared = now;
            Answer { cleared: known, ..answer(100, None) }.is_overtaken(&state)
        };
        assert!(!is_overtaken(None, None) && !is_overtaken(cleared(6), cleared(6)));
        assert!(is_overtaken(None, cleared(6)) && is_overtaken(cleared(6), cleared(8)));
        assert!(is_overtaken(cleared(7), cleared(7)), "another one may have come in that tick");
        // Asked again for ever, if it were compared with the clock of another time namespace.
        assert!(!is_overtaken(cleared(9), cleared(9)));
    }
}
