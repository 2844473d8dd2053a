//! Sequences that every run tries, whatever the seed: the shortest by which a mistake was seen. None is
//! changed or taken out; the next one gets the next number.

use crate::stage::play;
use crate::steps::{Age, Branch, Change, Fate, Op, Room, Step, Wanted};

const GET: Op = Op::Get { wanted: Wanted::Default, age: Age::Cached, hold: false };
const HOLD: Op = Op::Get { wanted: Wanted::Default, age: Age::Cached, hold: true };
const NOW: Op = Op::Get { wanted: Wanted::Default, age: Age::Now, hold: false };
const TOPIC: Op = Op::Get { wanted: Wanted::Topic, age: Age::Zero, hold: false };

fn hold(steps: &[Step]) {
    play(steps).unwrap_or_else(|what| panic!("{what}"));
}

#[test]
fn case_1_a_deleted_branch_is_not_there_however_well_it_is_cached() {
    hold(&[
        Step::Upstream(Change::Commit(Branch::Topic)),
        Step::Do(0, TOPIC),
        Step::Upstream(Change::DeleteTopic),
        Step::Do(1, TOPIC),
        Step::Do(1, Op::Peek { wanted: Wanted::Topic, hold: false }),
    ]);
}

#[test]
fn case_2_who_distrusts_what_was_cleared_long_ago_harms_nothing_new() {
    hold(&[
        Step::Do(0, HOLD),
        Step::Do(1, Op::Clear),
        Step::Do(1, GET),
        Step::Do(0, Op::Distrust(0)),
        Step::Do(1, GET),
    ]);
}

#[test]
fn case_3_one_who_died_pins_nothing_and_the_next_who_fetches_takes_it_away() {
    hold(&[Step::Do(0, HOLD), Step::Do(1, Op::Clear), Step::Kill(0), Step::Do(2, GET)]);
}

#[test]
fn case_4_two_who_miss_the_same_ask_once() {
    for _ in 0..5 {
        hold(&[Step::Together(vec![GET, HOLD, GET], None)]);
    }
}

/// What is written into the state is there, wherever the writer dies.
#[test]
fn case_5_an_update_that_dies_at_any_point_leaves_the_old_or_the_new() {
    let update = Op::Get { wanted: Wanted::Default, age: Age::Now, hold: false };
    let mut steps = vec![Step::Do(0, HOLD)];
    for point in (8..40).step_by(3) {
        steps.push(Step::Upstream(Change::Commit(Branch::Main)));
        steps.push(Step::Doomed(update.clone(), point, Fate::Kill));
        steps.push(Step::Do(1, update.clone()));
    }
    hold(&steps);
}

/// Whoever begins to hold something, and is overtaken by a clear at any point of it, holds what is there.
#[test]
fn case_6_a_reader_overtaken_by_a_clear_at_any_point() {
    for point in 1..8 {
        hold(&[Step::Do(1, GET), Step::Paused(HOLD, point, vec![Op::Clear, GET])]);
        let peek = Op::Peek { wanted: Wanted::Default, hold: true };
        hold(&[Step::Do(1, GET), Step::Paused(peek, point, vec![Op::Clear])]);
    }
}

/// What came for an answer that a clear overtook comes in vain if the branch is gone when it is asked for
/// again.
#[test]
fn case_7_a_branch_deleted_while_a_clear_overtakes_its_fetch() {
    let get = Op::Get { wanted: Wanted::Topic, age: Age::Now, hold: true };
    for _ in 0..5 {
        hold(&[
            Step::Upstream(Change::Commit(Branch::Topic)),
            Step::Do(0, GET),
            Step::Do(1, GET),
            Step::Do(2, GET),
            Step::Together(vec![Op::Clear, get.clone(), get.clone()], Some(Change::DeleteTopic)),
        ]);
    }
}

/// Who reads a superseded revision reads on when it is dropped, and it can be had again.
#[test]
fn case_8_a_superseded_revision_goes_and_no_reader_notices() {
    hold(&[
        Step::Do(0, HOLD),
        Step::Upstream(Change::Commit(Branch::Main)),
        Step::Do(1, NOW),
        Step::Do(1, Op::Gc(Room::Superseded)),
        Step::Hours,
        Step::Do(1, Op::Gc(Room::Superseded)),
        Step::Do(0, Op::Read(0)),
        Step::Do(0, Op::Get { wanted: Wanted::Version(0), age: Age::Cached, hold: true }),
        Step::Do(0, Op::Read(1)),
        Step::Do(0, Op::Drop(0)),
    ]);
}

#[test]
fn case_9_what_is_kept_stays_until_it_is_released() {
    let version = Wanted::Version(0);
    let all = Step::Do(1, Op::Gc(Room::Everything));
    hold(&[
        Step::Do(0, GET),
        Step::Do(0, Op::Keep(version)),
        Step::Upstream(Change::Commit(Branch::Main)),
        Step::Do(0, NOW),
        Step::Hours,
        Step::Do(1, Op::Gc(Room::Superseded)),
        Step::Do(1, Op::Gc(Room::Age)),
        all.clone(),
        Step::Do(0, Op::Release(version)),
        all,
        Step::Do(0, GET),
    ]);
}

#[test]
fn case_10_what_somebody_holds_stays_and_comes_again_when_it_went() {
    let all = Step::Do(1, Op::Gc(Room::Everything));
    let read = Step::Do(0, Op::Read(0));
    hold(&[Step::Do(0, HOLD), all.clone(), read, Step::Do(0, Op::Drop(0)), all, Step::Do(0, HOLD)]);
}

/// Whoever begins to hold something, or to keep it, at any point of a gc, has it or gets it anew.
#[test]
fn case_11_a_gc_overtaken_at_any_point() {
    for point in 1..12 {
        hold(&[Step::Do(1, GET), Step::Paused(Op::Gc(Room::Everything), point, vec![HOLD, NOW])]);
        let keep = vec![Op::Keep(Wanted::Default), GET];
        hold(&[Step::Do(1, GET), Step::Paused(Op::Gc(Room::Everything), point, keep)]);
    }
}
