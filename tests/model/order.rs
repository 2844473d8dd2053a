//! Operations at once: what was answered, and what is seen afterwards, must be what some order of them
//! gives. There are so few of them that every order is tried.

use crate::pure::Model;
use crate::seen::{Answer, Names, Strictness};
use crate::stage::Stage;
use crate::steps::{Change, Name, Op};

/// One of several things that happen at once.
#[derive(Clone, Copy)]
enum Event<'a> {
    Does(Name, &'a Op, &'a Answer<String>),
    Changes(&'a Change),
}

impl Stage {
    /// Has processes 0, 1, 2 do one thing each while the upstream changes.
    pub fn together(&mut self, ops: &[Op], change: Option<&Change>) -> Result<(), String> {
        for (name, op) in ops.iter().enumerate() {
            self.tell(name, op);
        }
        if let Some(change) = change {
            // What a version is does not depend on the order.
            let version = self.model.clone().upstream(change);
            self.change_for_real(change, version);
        }
        let mut answers = Vec::new();
        for name in 0..ops.len() {
            let answer = self.workers.get_mut(&name).expect("it was told").answer();
            answers.push(answer.ok_or("a process died")?);
        }
        let done = ops.iter().zip(&answers).enumerate();
        let mut events: Vec<Event<'_>> =
            done.map(|(name, (op, answer))| Event::Does(name, op, answer)).collect();
        events.extend(change.map(Event::Changes));
        let seen = self.look();
        // Nothing is built upon a generation that was found damaged: what borrowed from it comes again.
        let distrusted = ops.iter().any(|op| matches!(op, Op::Distrust(_)));
        let fetched = |answer: &&Answer<String>| matches!(answer, Answer::Snapshot(shown) if shown.fetched);
        let again = if distrusted { answers.iter().filter(fetched).count() } else { 0 };
        let mut reasons = Vec::new();
        for order in orders(&events) {
            match explains(&order, self.model.clone(), self.names.clone()) {
                Ok((mut model, mut names)) => {
                    if (model.fetches..=model.fetches + again).contains(&seen.fetches) {
                        model.fetches = seen.fetches;
                    }
                    let differences = names.differences(&model, &seen, Strictness::AtOnce);
                    if differences.is_empty() {
                        model.failures = adopted(&seen.failures);
                        (self.model, self.names) = (model, names);
                        return Ok(());
                    }
                    reasons.push(differences.join("; "));
                }
                Err(reason) => reasons.push(reason),
            }
        }
        Err(format!("no order explains {answers:?}:\n{}", reasons.join("\n")))
    }
}

/// The model after these events in this order, if they would have been answered so.
fn explains(order: &[Event<'_>], mut model: Model, mut names: Names) -> Result<(Model, Names), String> {
    for event in order {
        match *event {
            Event::Changes(change) => drop(model.upstream(change)),
            Event::Does(name, op, answer) => {
                let expected = model.does(name, op);
                if !names.agree(&expected, answer, Strictness::AtOnce) {
                    return Err(format!("{name} would have been answered {expected:?}"));
                }
            }
        }
    }
    Ok((model, names))
}

fn adopted<K: Ord + Copy>(
    seen: &std::collections::BTreeMap<K, String>,
) -> std::collections::BTreeMap<K, &'static str> {
    let kind = |kind: &str| if kind == "NotFound" { "NotFound" } else { "Unreachable" };
    seen.iter().map(|(meant, seen)| (*meant, kind(seen))).collect()
}

/// All orders of `all`.
fn orders<T: Copy>(all: &[T]) -> Vec<Vec<T>> {
    if all.is_empty() {
        return vec![Vec::new()];
    }
    let mut found = Vec::new();
    for first in 0..all.len() {
        let mut rest = all.to_vec();
        let one = rest.remove(first);
        for mut order in orders(&rest) {
            order.insert(0, one);
            found.push(order);
        }
    }
    found
}
