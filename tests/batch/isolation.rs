//! A source that panics is a failure of one key. (In this process: no program panics on request.)

use std::num::NonZeroUsize;
use std::sync::Arc;

use srcfs::cache::{self, Cache};
use srcfs::config::Config;
use srcfs::config::environment::Environment;
use srcfs::error::Result;
use srcfs::key::{Key, Reference};
use srcfs::operation::Context;
use srcfs::operation::get::{self, Batch, Keys, Spectator};
use srcfs::operation::target::Target;
use srcfs::source::git::Git;
use srcfs::source::{Prepared, Progress, Resolved, Revision, Source, Workplace};

use crate::harness::git_source::plain;
use crate::{prepared, with_repositories};

/// Panics when it has prepared one of the repositories.
struct Panicking(Git, String);

impl Source for Panicking {
    fn resolve(&self, key: &Key, r: &Reference, known: &[Revision], p: &Progress) -> Result<Resolved> {
        self.0.resolve(key, r, known, p)
    }

    fn prepare(&self, key: &Key, r: &Resolved, place: Workplace<'_>, p: &Progress) -> Result<Prepared> {
        let prepared = self.0.prepare(key, r, place, p)?;
        assert!(!key.to_string().ends_with(&self.1), "a bug in a source");
        Ok(prepared)
    }
}

struct Nobody;

impl Spectator for Nobody {
    fn begins(&self, _: &str) -> Arc<Progress> {
        Arc::default()
    }

    fn ends(&self, _: &Arc<Progress>) {}
}

#[test]
fn a_panic_reaches_its_own_key_alone_and_leaves_nothing() {
    let (setting, keys) = with_repositories(4);
    let config = Config::load(&setting.program.config()).unwrap();
    let targets = keys.iter().map(|key| Target::parse(key, &config, &[]).unwrap()).collect();
    let cache = Cache::open(&setting.program.cache(), cache::Options::default()).unwrap();
    let source = Box::new(Panicking(plain(), "team/r1".to_owned()));
    let context = Context { config, cache, source, environment: Environment::read() };
    let batch = Batch { jobs: NonZeroUsize::new(2).unwrap(), spectator: &Nobody, interrupted: &|| false };
    let mut told = Vec::new();
    let total = get::get(&context, Keys::Given(targets), &batch, &mut |got| {
        told.push((got.key, got.error.map(|error| error.why)));
        Ok(())
    });
    let total = total.unwrap();
    assert_eq!((total.fetched, total.failed), (3, 1));
    let failures: Vec<Option<&str>> = told.iter().map(|(_, why)| why.as_deref()).collect();
    assert_eq!(failures, [None, Some("srcfs panicked"), None, None]);
    assert_eq!(told.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>(), keys);
    assert_eq!(prepared(&setting), 0);
    assert!(setting.leftovers().is_empty());
    assert!(context.cache.lock_holders().is_empty());
}
