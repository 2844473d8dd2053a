//! Those who do the work of a batch, and the one who tells of it.
//!
//! Each worker takes an entry, has the cache fulfil it when its turn comes, and hands the outcome to the
//! caller's thread, which tells it when all earlier ones are told. A failure is an outcome, also a
//! panic, so it reaches its own entry alone.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::queue::{Entry, Queue, Wanted};
use super::{Batch, Context, Failure, Got, GotTree, Spectator, Target, Total, shown};
use crate::cache::{Order, Turn};
use crate::error::{Error, Kind, Result};
use crate::operation::who;

/// How often it is asked whether the batch is to end.
const LOOK: Duration = Duration::from_millis(50);

/// Does all of `queue` with `jobs` threads, and tells it in order.
pub(super) fn run(
    context: &Context,
    queue: &Queue<'_>,
    batch: &Batch<'_>,
    jobs: usize,
    tell: &mut dyn FnMut(Got) -> Result<()>,
) -> Result<Total> {
    std::thread::scope(|scope| {
        let (outcomes, arrived) = sync_channel(jobs.min(64));
        for number in 0..jobs {
            let outcomes = outcomes.clone();
            let spectator = batch.spectator;
            let work = move || work(context, queue, spectator, &outcomes);
            let spawned = std::thread::Builder::new().name(format!("srcfs-get-{number}"));
            match spawned.spawn_scoped(scope, work) {
                Ok(_) => {}
                // Fewer do it too.
                Err(error) if number > 0 => log::warn!("only {number} jobs: {error}"),
                Err(error) => {
                    return Err(Error::new(Kind::Exhausted, "start a thread", error.to_string()));
                }
            }
        }
        drop(outcomes);
        tell_in_order(queue, batch, &arrived, tell)
    })
}

fn tell_in_order(
    queue: &Queue<'_>,
    batch: &Batch<'_>,
    arrived: &Receiver<(u64, Got)>,
    tell: &mut dyn FnMut(Got) -> Result<()>,
) -> Result<Total> {
    let (mut total, mut failed) = (Total::default(), None);
    let mut told = |got: Got, total: &mut Total| {
        total.add(&got);
        if failed.is_none()
            && let Err(error) = tell(got)
        {
            // Nobody hears it any more, so it is not worth going on.
            failed = Some(error);
            queue.stop();
        }
    };
    let (mut early, mut next) = (BTreeMap::new(), 0);
    loop {
        match arrived.recv_timeout(LOOK) {
            Ok((number, got)) => {
                early.insert(number, got);
                while let Some(got) = early.remove(&next) {
                    next += 1;
                    told(got, &mut total);
                }
                queue.told(next);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if !total.interrupted && (batch.interrupted)() {
            total.interrupted = true;
            queue.stop();
        }
    }
    // Behind one that was never begun, because the batch was ended.
    for got in early.into_values() {
        told(got, &mut total);
    }
    failed.map_or(Ok(total), Err)
}

fn work(context: &Context, queue: &Queue<'_>, spectator: &dyn Spectator, outcomes: &SyncSender<(u64, Got)>) {
    while let Some(Entry { wanted, turn, mirror }) = queue.take() {
        let number = turn.number();
        let got = match wanted {
            Wanted::Tree(target) => tree(context, queue, spectator, &target, &turn),
            Wanted::Unreadable(text, error) => {
                Got { key: text, url: None, tree: None, error: Some(Failure::from(&error)), seconds: 0.0 }
            }
        };
        drop(turn);
        queue.finish(number, &mirror);
        let fetched = got.tree.as_ref().is_some_and(|tree| tree.fetched);
        if outcomes.send((number, got)).is_err() {
            return;
        }
        if fetched {
            context.cache.tend();
        }
    }
}

fn tree(
    context: &Context,
    queue: &Queue<'_>,
    spectator: &dyn Spectator,
    target: &Target,
    turn: &Turn,
) -> Got {
    let started = Instant::now();
    let progress = spectator.begins(&target.text);
    queue.runs(turn.number(), &progress);
    let order = Order {
        source: &*context.source,
        key: &target.key,
        reference: &target.reference,
        // What is there already is good enough if the upstream cannot be reached; then both are told.
        freshness: context.freshness(&target.key),
        who: &who("get"),
        progress: &progress,
        turn: Some(turn),
    };
    let fulfil = || -> Result<(GotTree, Option<Error>)> {
        let fetched = context.cache.fulfil(&order)?;
        Ok((shown(target, &fetched)?, fetched.failed))
    };
    let outcome = catch_unwind(AssertUnwindSafe(fulfil)).unwrap_or_else(|_| {
        let what = format!("get {}", target.text);
        Err(Error::new(Kind::Io, what, "srcfs panicked").hint("this is a bug: please report it"))
    });
    spectator.ends(&progress);
    let (tree, error) = match outcome {
        Ok((tree, error)) => (Some(tree), error),
        Err(error) => (None, Some(error)),
    };
    Got {
        key: target.text.clone(),
        url: Some(target.key.source().to_owned()),
        tree,
        error: error.map(|error| target.told(Failure::from(&error), &context.config)),
        seconds: started.elapsed().as_secs_f64(),
    }
}
