//! Whether a registry that a project names is the one that the user's own client asks anyway.
//!
//! Then what comes from there is what every other name of it is, in one mirror. Whoever knows it ([`Clients`])
//! reads files and may have to start a client, so it is found out when somebody first asks for such a pin, and the
//! answer is kept: who may wait asks ([`Own::find_out`]), who may not takes what is known ([`Own::known`]) and has
//! the rest found out by a thread ([`Own::look`]), which also sees whether what was said still holds. It never fails:
//! what nobody can say is no.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::latest::Rounds;
use super::pin::{Ecosystem, Location};

/// How many answers are kept: of more registries than any project has.
const MOST: usize = 1024;

/// A registry that a project names for some of its packages.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Named {
    /// Whose packages they are.
    pub ecosystem: Ecosystem,
    /// Of which scope of npm, with its `@`; empty for all others.
    pub scope: String,
    /// The registry, as it is written.
    pub registry: Location,
    /// Whether a lockfile says so, which names whichever mirror its client asked; else the project's configuration.
    pub by_lockfile: bool,
}

impl Named {
    /// `registry` for the package `name`.
    pub fn new(ecosystem: Ecosystem, name: &str, registry: &Location, by_lockfile: bool) -> Self {
        let scope = name.split_once('/').map_or("", |(scope, _)| scope).to_owned();
        Named { ecosystem, scope, registry: registry.clone(), by_lockfile }
    }
}

/// Who knows which registries the user's clients ask.
pub trait Clients: std::fmt::Debug + Send + Sync {
    /// Whether the user's client would ask this very registry; `None` if that cannot be said now. It may take its time.
    fn ask(&self, named: &Named) -> Option<bool>;
}

/// What is known of the user's own registries. Clones share it; one that was told of no clients knows of none.
#[derive(Clone, Debug, Default)]
pub struct Own(Option<Arc<Asked>>);

#[derive(Debug)]
struct Asked {
    clients: Arc<dyn Clients>,
    /// None is not found out yet.
    answers: Mutex<BTreeMap<Named, Option<bool>>>,
    /// Of each ecosystem, in their order: a client that hangs holds up the others as little as anybody.
    rounds: [Rounds; Ecosystem::ALL.len()],
}

impl Own {
    /// What `clients` say; they are not asked yet.
    pub fn told_by(clients: Arc<dyn Clients>) -> Self {
        Own(Some(Arc::new(Asked { clients, answers: Mutex::default(), rounds: Default::default() })))
    }

    /// Whether it is the user's own, as far as that is known. Waits for nobody; the next [`Own::look`] finds it out.
    pub fn known(&self, named: &Named) -> Option<bool> {
        let Some(asked) = &self.0 else { return Some(false) };
        let mut answers = asked.answers();
        match answers.get(named) {
            Some(answer) => *answer,
            None if answers.len() >= MOST => Some(false),
            None => *answers.entry(named.clone()).or_default(),
        }
    }

    /// The same, but it is found out if it is not known.
    pub fn find_out(&self, named: &Named) -> bool {
        if let Some(known) = self.known(named) {
            return known;
        }
        self.0.as_ref().is_some_and(|asked| asked.ask(named))
    }

    /// Has what somebody wanted to know found out, and all that was said asked again, on other threads; there is one
    /// of an ecosystem at most. It calls `told` when that is done.
    pub fn look(&self, told: impl Fn() + Clone + Send + 'static) {
        let Some(asked) = &self.0 else { return };
        for (at, ecosystem) in Ecosystem::ALL.into_iter().enumerate() {
            let rounds = &asked.rounds[at];
            if asked.of(ecosystem).is_empty() || !rounds.ask().1 {
                continue;
            }
            let (this, told) = (asked.clone(), told.clone());
            let started = std::thread::Builder::new()
                .name("srcfs-registry".to_owned())
                .spawn(move || this.look(ecosystem, &this.rounds[at], &told));
            if let Err(error) = started {
                rounds.abandon();
                log::warn!("no thread to ask the client of {} for its registry: {error}", ecosystem.kind());
            }
        }
    }
}

impl Asked {
    fn look(&self, ecosystem: Ecosystem, rounds: &Rounds, told: &impl Fn()) {
        while let Some(round) = rounds.next() {
            for named in self.of(ecosystem) {
                self.ask(&named);
            }
            rounds.end(round);
            // Whoever is told must not be the end of this thread.
            if catch_unwind(AssertUnwindSafe(told)).is_err() {
                log::error!("what follows from the registry of {} panicked", ecosystem.kind());
            }
        }
    }

    /// What somebody wanted to know of an ecosystem.
    fn of(&self, ecosystem: Ecosystem) -> Vec<Named> {
        self.answers().keys().filter(|named| named.ecosystem == ecosystem).cloned().collect()
    }

    fn ask(&self, named: &Named) -> bool {
        // Whoever waits for it must be told something.
        let said = catch_unwind(AssertUnwindSafe(|| self.clients.ask(named))).unwrap_or_default();
        let mut answers = self.answers();
        let answer = answers.entry(named.clone()).or_default();
        // Trouble with a client is no news of what it said.
        *answer.insert(said.or(*answer).unwrap_or(false))
    }

    fn answers(&self) -> MutexGuard<'_, BTreeMap<Named, Option<bool>>> {
        // Each answer is right by itself.
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who is asked is no part of what is configured.
impl PartialEq for Own {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Own {}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    /// Says what it was last told to say.
    #[derive(Debug, Default)]
    struct Said(Mutex<Option<bool>>);

    impl Clients for Said {
        fn ask(&self, _: &Named) -> Option<bool> {
            *self.0.lock().unwrap()
        }
    }

    fn named(registry: &str) -> Named {
        let registry = Location::new(registry);
        Named { ecosystem: Ecosystem::Npm, scope: String::new(), registry, by_lockfile: false }
    }

    #[test]
    fn who_must_not_wait_is_told_what_is_known_and_a_thread_finds_out_the_rest() {
        let said = Arc::new(Said::default());
        let own = Own::told_by(said.clone());
        let one = named("https://one.example");
        let look = || {
            let (sender, told) = channel();
            own.look(move || {
                let _ = sender.send(());
            });
            told.recv()
        };
        assert!(look().is_err(), "nobody wants to know anything");
        assert_eq!((own.known(&one), own.known(&one)), (None, None));
        look().unwrap();
        assert_eq!(own.known(&one), Some(false));
        *said.0.lock().unwrap() = Some(true);
        assert!(!own.find_out(&one), "it is known");
        assert!(own.find_out(&named("https://other.example")));
        while own.known(&one) != Some(true) {
            // The thread of the last look may be about to end.
            let _ = look();
        }
        *said.0.lock().unwrap() = None;
        while look().is_err() {}
        assert_eq!(own.known(&one), Some(true), "that nobody can say it is no news");
    }

    #[test]
    fn more_than_is_kept_are_not_the_users_and_without_clients_none_is() {
        let own = Own::told_by(Arc::new(Said(Mutex::new(Some(true)))));
        for at in 0..MOST {
            assert_eq!(own.known(&named(&format!("https://h{at}.example"))), None);
        }
        assert_eq!(own.known(&named("https://further.example")), Some(false));
        assert!(!Own::default().find_out(&named("https://one.example")));
    }
}
