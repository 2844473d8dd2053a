//! P14: what is cached is readable without network, also after a restart; and the failure is told.

use std::time::Duration;

use srcfs::cache::Freshness;
use srcfs::error::Kind;
use srcfs::key::Reference;

use crate::upstream::{World, key, version};

const STALE: Freshness = Freshness::NotOlderThan(Duration::ZERO);

#[test]
fn without_network_what_is_cached_is_served_and_the_failure_told() {
    let world = World::new();
    let cache = world.open();
    let first = world.get(&cache, Freshness::Cached).unwrap().snapshot;
    world.publish(2);
    world.disconnect();
    let served = world.get(&cache, STALE).unwrap();
    assert_eq!(version(&served.snapshot), 1);
    assert_eq!(served.failed.unwrap().kind(), Kind::Unreachable);
    assert_eq!(cache.failure(&key(), &Reference::Default).unwrap().kind, "Unreachable");
    // Who wants the present gets the truth, and loses nothing.
    assert_eq!(world.get(&cache, Freshness::Now).unwrap_err().kind(), Kind::Unreachable);
    let progress = std::sync::Arc::default();
    let resolved = cache.resolve(&world.source(), &key(), &Reference::Default, STALE, &progress).unwrap();
    assert_eq!(&resolved, first.resolved());

    let later = world.open();
    assert_eq!(version(&later.peek(&key(), &Reference::Default).unwrap().unwrap()), 1);
    world.reconnect();
    assert_eq!(version(&world.get(&later, STALE).unwrap().snapshot), 2);
    assert_eq!(later.failure(&key(), &Reference::Default), None);
}

#[test]
fn without_network_what_is_not_cached_fails_as_such() {
    let world = World::new();
    world.disconnect();
    let cache = world.open();
    let error = world.get(&cache, Freshness::Cached).unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable);
    world.assert_whole(&cache);
    world.reconnect();
    assert_eq!(version(&world.get(&cache, Freshness::Cached).unwrap().snapshot), 1);
}
