//! The rule, as a function.

use super::*;

const BOUNDS: Bounds = Bounds { quiet: Duration::from_secs(30), max_drain: Duration::from_secs(600) };

fn process(tgid: u32, start: u64) -> Asker {
    Asker::Process(Identity { tgid, start })
}
fn choose(name: &mut Name, asker: Asker, instant: Instant) -> SlotNumber {
    name.choose(asker, BOUNDS, Moment { instant, tick: 1_000_000, second: 100 }).0
}
/// The kernel is told at `tick` and `instant`, and nobody holds anything.
fn told(name: &mut Name, tick: u64, instant: Instant) {
    name.told(tick, instant);
    name.held_by([], instant);
}
/// A name that `walker` was seen at, which changed from 1 to 2 at `t`, tick 100.
fn changed(walker: Asker, t: Instant) -> Name {
    let mut name = Name::new(1, t);
    choose(&mut name, walker, t);
    name.rebind(2, t);
    told(&mut name, 100, t);
    name
}
fn seconds(s: f64) -> Duration {
    Duration::from_secs_f64(s)
}

#[test]
fn a_walker_keeps_its_view_and_a_new_process_gets_the_newest() {
    let t = Instant::now();
    let mut name = Name::new(1, t);
    assert_eq!(choose(&mut name, process(10, 50), t), 1);
    name.rebind(2, t);
    told(&mut name, 100, t);
    assert_eq!(name.ttl(), Duration::ZERO);
    for step in 0..100 {
        let now = t + seconds(f64::from(step));
        assert_eq!(choose(&mut name, process(10, 50), now), 1);
        assert_eq!(choose(&mut name, process(11, 101), now), 2);
        assert!(name.settle(BOUNDS, now, |_| true).is_empty());
    }
}

#[test]
fn a_process_nobody_saw_keeps_the_stable_view_for_the_ttl_it_walked_under() {
    let t = Instant::now();
    let mut name = changed(process(9, 50), t);
    assert_eq!(choose(&mut name, process(10, 50), t + seconds(0.9)), 1);
    assert_eq!(choose(&mut name, process(11, 50), t + seconds(1.2)), 2);
    assert_eq!(choose(&mut name, process(10, 50), t + seconds(5.0)), 1, "seen now, so it keeps it");
    assert_eq!(choose(&mut name, process(12, 100), t + seconds(0.5)), 1, "the same tick is before");
}

#[test]
fn quiet_time_ends_a_walk_and_halted_time_does_not_count() {
    let t = Instant::now();
    let mut name = Name::new(1, t);
    choose(&mut name, process(10, 50), t);
    choose(&mut name, process(20, 50), t);
    name.rebind(2, t);
    told(&mut name, 100, t);
    for s in 1..40 {
        name.still_walking(Identity { tgid: 20, start: 50 }, t + seconds(f64::from(s)));
    }
    assert_eq!(choose(&mut name, process(10, 50), t + seconds(40.0)), 2);
    assert_eq!(choose(&mut name, process(20, 50), t + seconds(40.0)), 1);
}

#[test]
fn nobody_keeps_a_replaced_view_for_ever() {
    let t = Instant::now();
    let mut name = changed(process(10, 50), t);
    for s in (0..=600).step_by(10) {
        let expected = if s < 600 { 1 } else { 2 };
        assert_eq!(choose(&mut name, process(10, 50), t + seconds(f64::from(s))), expected, "{s}");
    }
    assert_eq!(name.settle(BOUNDS, t + seconds(601.0), |_| true), [1]);
    assert!(!name.is_draining());
}

#[test]
fn a_chain_of_changes_keeps_each_process_on_its_own_view() {
    let t = Instant::now();
    let mut name = changed(process(10, 50), t);
    choose(&mut name, process(11, 150), t + seconds(0.1));
    name.rebind(3, t + seconds(0.2));
    told(&mut name, 200, t);
    assert_eq!(choose(&mut name, process(10, 50), t + seconds(0.3)), 1);
    assert_eq!(choose(&mut name, process(11, 150), t + seconds(0.3)), 2);
    assert_eq!(choose(&mut name, process(12, 250), t + seconds(0.3)), 3);
    assert_eq!(choose(&mut name, process(13, 50), t + seconds(0.3)), 1, "unseen: what was stable");
    assert_eq!(name.settle(BOUNDS, t + seconds(2.0), |who| who.tgid == 12), [1, 2]);
    assert_eq!(name.ttl(), STABLE_TTL);
}

#[test]
fn who_cannot_be_seen_keeps_the_stable_view_for_a_minute_together() {
    let t = Instant::now();
    let mut name = Name::new(1, t);
    choose(&mut name, Asker::Crowd, t);
    name.rebind(2, t);
    told(&mut name, 100, t);
    for s in 0..59 {
        let now = t + seconds(f64::from(s));
        assert!(name.is_draining());
        assert_eq!(choose(&mut name, Asker::Crowd, now), 1);
        name.settle(BOUNDS, now, |_| true);
    }
    assert_eq!(choose(&mut name, Asker::Crowd, t + seconds(61.0)), 2);
    assert_eq!(name.settle(BOUNDS, t + seconds(61.0), |_| true), [1], "and nothing is left to drain");
}

#[test]
fn who_holds_something_of_the_view_counts_as_seen_on_it() {
    let t = Instant::now();
    let mut name = Name::new(1, t);
    name.rebind(2, t);
    name.told(100, t);
    name.held_by([(Identity { tgid: 10, start: 50 }, 1), (Identity { tgid: 11, start: 50 }, 9)], t);
    assert_eq!(choose(&mut name, process(10, 50), t + seconds(20.0)), 1);
    assert_eq!(choose(&mut name, process(11, 50), t + seconds(20.0)), 2, "a view of another name");
}

#[test]
fn a_reused_pid_is_another_process() {
    let t = Instant::now();
    let mut name = changed(process(10, 50), t);
    assert_eq!(choose(&mut name, process(10, 101), t), 2);
}

#[test]
fn before_the_kernel_was_told_only_the_end_of_its_cache_tells_who_may_have_walked() {
    let t = Instant::now();
    let mut name = Name::new(1, t);
    name.choose(process(9, 0), BOUNDS, Moment { instant: t, tick: 500, second: 100 });
    name.rebind(2, t);
    assert_eq!(choose(&mut name, process(10, 700), t), 1, "it may have walked by the cached name");
    assert_eq!(choose(&mut name, process(11, 701), t), 2, "nothing was cached any more when it started");
    told(&mut name, 550, t);
    assert_eq!(choose(&mut name, process(12, 551), t), 2);
    assert_eq!(choose(&mut name, process(13, 550), t), 1);
}

#[test]
fn nobody_goes_back_behind_one_who_started_before_and_was_given_the_newest() {
    let t = Instant::now();
    let mut name = Name::new(1, t);
    name.choose(process(9, 0), BOUNDS, Moment { instant: t, tick: 500, second: 100 });
    name.rebind(2, t);
    assert_eq!(choose(&mut name, process(10, 701), t), 2);
    told(&mut name, 800, t);
    assert_eq!(choose(&mut name, process(11, 702), t + seconds(0.3)), 2);
}

#[test]
fn until_the_kernel_was_told_and_holders_are_known_nobody_who_walks_is_moved() {
    let t = Instant::now();
    let mut name = Name::new(1, t);
    choose(&mut name, process(9, 50), t);
    name.rebind(2, t);
    assert!(!name.wants_holders(), "the kernel may still answer by itself");
    assert_eq!(choose(&mut name, process(10, 50), t + seconds(1.5)), 1);
    name.told(100, t + seconds(2.0));
    assert!(name.wants_holders());
    assert_eq!(choose(&mut name, process(11, 50), t + seconds(3.0)), 1, "the time runs from then on");
    assert!(name.settle(BOUNDS, t + seconds(4.0), |_| false).is_empty(), "who holds it is not known yet");
    assert_eq!(choose(&mut name, process(12, 50), t + seconds(4.0)), 1);
    assert_eq!(choose(&mut name, process(13, 101), t + seconds(4.0)), 2, "it started after the change");
    name.held_by([(Identity { tgid: 14, start: 50 }, 1)], t + seconds(5.0));
    assert!(!name.wants_holders());
    assert_eq!(choose(&mut name, process(14, 50), t + seconds(20.0)), 1);
    assert_eq!(
        choose(&mut name, process(15, 50), t + seconds(5.1)),
        2,
        "nobody is left that nobody has seen"
    );
}

#[test]
fn a_search_for_holders_that_does_not_end_keeps_nobody_on_the_old_for_ever() {
    let t = Instant::now();
    let mut name = Name::new(1, t);
    choose(&mut name, process(9, 50), t);
    name.rebind(2, t);
    name.told(100, t);
    assert_eq!(choose(&mut name, process(10, 50), t + seconds(59.0)), 1);
    assert_eq!(choose(&mut name, process(11, 50), t + seconds(60.0)), 2);
    assert_eq!(name.settle(BOUNDS, t + seconds(60.0), |_| false), [1]);
}
