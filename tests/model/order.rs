//! Operations at once: what was answered, and what is seen afterwards, must be what some order of them
//! gives. There are so few of them that every order is tried.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::pure::{Model, Told};
use crate::seen::{Answer, Names, Strictness, Turn};
use crate::stage::{DOOMED, Stage};
use crate::steps::{Change, Name, Op};

/// How long somebody is waited for that may wait for one who is stopped. Whatever comes of it, some order
/// explains it.
const PATIENCE: Duration = Duration::from_millis(150);

/// One of several things that happen at once.
#[derive(Clone, Copy, Debug)]
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
        let mut events: Vec<_> = done.map(|(name, (op, answer))| Event::Does(name, op, answer)).collect();
        events.extend(change.map(Event::Changes));
        self.explain(&orders(&events))
    }

    /// Has a process do `op` that is stopped at a point of it, while others do one thing after the other.
    pub fn paused(&mut self, op: &Op, point: u32, others: &[Op]) -> Result<(), String> {
        let mut paused = self.start(op, &format!("{point}:stop"));
        let mut stopped = paused.stops();
        let mut answers = Vec::new();
        for (name, other) in others.iter().enumerate() {
            self.tell(name, other);
            let worker = self.workers.get_mut(&name).expect("it was told");
            // It may need a lock that the stopped one holds.
            if stopped && !worker.answers_within(PATIENCE) {
                paused.goes_on();
                stopped = false;
            }
            answers.push(worker.answer().ok_or("a process died")?);
        }
        if stopped {
            paused.goes_on();
        }
        let answer = paused.answer().ok_or("the stopped process died")?;
        paused.ends();
        let done = others.iter().zip(&answers).enumerate();
        let events: Vec<_> = done.map(|(name, (op, answer))| Event::Does(name, op, answer)).collect();
        let positions = 0..=events.len();
        let orders = positions.map(|position| {
            let mut order = events.clone();
            order.insert(position, Event::Does(DOOMED, op, &answer));
            order
        });
        self.explain(&orders.collect::<Vec<_>>())
    }

    /// Goes on with the model after the first of `orders` that explains what was answered and is seen.
    fn explain(&mut self, orders: &[Vec<Event<'_>>]) -> Result<(), String> {
        let events = &orders[0];
        let seen = self.look();
        // Nothing is built upon a generation that was found damaged: what borrowed from it comes again.
        let distrusted = events.iter().any(|event| matches!(event, Event::Does(_, Op::Distrust(_), _)));
        let fetched = |event: &&Event<'_>| match event {
            Event::Does(_, _, Answer::Snapshot(shown)) => shown.fetched,
            _ => false,
        };
        let buries = |event: &&Event<'_>| matches!(event, Event::Does(_, Op::Clear | Op::Distrust(_), _));
        let buried = events.iter().filter(buries).count();
        // An answer that a clear overtook is asked for again: if it is another one then that comes, and if
        // there is none any more then what came for the first came in vain.
        let moved = buried > 0 && events.iter().any(|event| matches!(event, Event::Changes(_)));
        let in_vain = |event: &&Event<'_>| moved && matches!(event, Event::Does(_, _, Answer::Failed(_)));
        let again = if distrusted || moved { events.iter().filter(fetched).count() } else { 0 };
        let again = again + events.iter().filter(in_vain).count();
        let asked_again = buried * (events.len() - buried);
        let mut reasons = Vec::new();
        for order in orders {
            match explains(order, self.model.clone(), self.names.clone()) {
                Ok((mut model, mut names)) => {
                    // One that was started for this alone has ended.
                    model.ends(DOOMED);
                    if (model.fetches..=model.fetches + again).contains(&seen.fetches) {
                        model.fetches = seen.fetches;
                    }
                    if (model.asks..=model.asks + asked_again).contains(&seen.asks) {
                        model.asks = seen.asks;
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
        Err(format!("no order explains {events:?}:\n{}", reasons.join("\n")))
    }
}

/// The model after these events in this order, if they would have been answered so.
fn explains(order: &[Event<'_>], mut model: Model, mut names: Names) -> Result<(Model, Names), String> {
    for event in order {
        match *event {
            Event::Changes(change) => drop(model.upstream(change)),
            Event::Does(name, op, answer) => {
                model.told = told(answer);
                let expected = model.does(name, op);
                if !names.agree(&expected, answer, Strictness::AtOnce) {
                    return Err(format!("{name} would have been answered {expected:?}"));
                }
            }
        }
    }
    Ok((model, names))
}

/// A gc may give way to whatever else happens.
fn told(answer: &Answer<String>) -> Told {
    match *answer {
        Answer::Collected { small, mirror, .. } => {
            Told { small, gave_way: mirror.filter(|turn| matches!(turn, Turn::Busy | Turn::Pinned)) }
        }
        _ => Told::default(),
    }
}

fn adopted<K: Ord + Copy>(seen: &BTreeMap<K, String>) -> BTreeMap<K, &'static str> {
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
