//! Room after a batch: however quickly it was done, it does not leave the cache larger than it may be.

use crate::reader::Reader;
use crate::{get, with_repositories};

#[test]
fn a_batch_that_passes_the_high_mark_between_two_looks_makes_room_at_its_end() {
    let (setting, keys) = with_repositories(6);
    // The first one that is done is looked at, and nobody looks again within a minute.
    setting.configure("max_size = \"1MB\"\nhigh_watermark = 30\nlow_watermark = 25\nkeep_free = \"none\"\n");
    let out = Reader::start(&mut setting.program.command(&get(&["--jobs", "2"], &keys))).end().lines();
    assert!(out.last().unwrap().starts_with("total: 6 fetched, 0 cached, 0 failed; "), "{out:?}");
    let rehearsal = setting.program.json(&["gc", "--dry-run"]);
    assert!(rehearsal["before"].as_u64().unwrap() <= 300_000, "{rehearsal}");
    let left = setting.generations().len();
    assert!((1..6).contains(&left), "{left} are left");
}
