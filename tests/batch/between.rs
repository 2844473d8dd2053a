//! Several batches at once, in processes of their own.

use nix::sys::signal::Signal;

use crate::harness::git_server::{Fault, Stage};
use crate::reader::{Reader, wait_until};
use crate::setting::Setting;
use crate::{get, repository, told, with_repositories};

/// Who holds the fetch lock of a key, by the account of the holder.
fn holder(setting: &Setting, key: &str) -> Option<i64> {
    let repository = repository(key);
    let name = repository.trim_end_matches(".git");
    let locks = std::fs::read_dir(setting.program.cache().join("v1/locks")).ok()?.flatten();
    let fetch =
        locks.map(|lock| lock.path()).filter(|path| path.extension().is_some_and(|end| end == "fetch"));
    fetch.into_iter().find_map(|path| {
        let holder: serde_json::Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
        holder["key"].as_str()?.ends_with(name).then(|| holder["pid"].as_i64())?
    })
}

fn holds(setting: &Setting, reader: &Reader, key: &str) -> bool {
    holder(setting, key) == Some(reader.pid().as_raw().into())
}

/// One has the second of its keys and waits for its first, which the other has and holds while it waits
/// for what the one has. If each waited for its turn, both would wait until their bounds.
#[test]
fn two_batches_in_opposite_order_do_not_wait_for_each_other() {
    let (setting, keys) = with_repositories(2);
    let [x, y] = [&keys[0], &keys[1]];
    for key in &keys {
        setting.server.fail(&repository(key), Stage::Hello, Fault::StallBeforeHeaders);
    }
    // Others hold both, so that who comes next is decided here.
    let [of_x, of_y] = [x, y].map(|key| Reader::start(&mut setting.program.command(&["get", key])));
    wait_until("both are held", || holds(&setting, &of_x, x) && holds(&setting, &of_y, y));
    for key in &keys {
        setting.server.wait_for(&repository(key), |counts| counts.stalled == 1);
        setting.server.mend(&repository(key));
    }
    let forth = Reader::start(&mut setting.program.command(&["get", "--jobs", "2", x, y]));
    of_y.signal(Signal::SIGKILL);
    wait_until("one has its second", || holds(&setting, &forth, y));
    forth.signal(Signal::SIGSTOP);
    let back = Reader::start(&mut setting.program.command(&["get", "--jobs", "2", y, x]));
    of_x.signal(Signal::SIGKILL);
    wait_until("the other has its second", || holds(&setting, &back, x));
    forth.signal(Signal::SIGCONT);
    assert_eq!(told(&forth.end().lines()), [x, y]);
    assert_eq!(told(&back.end().lines()), [y, x]);
    for key in &keys {
        assert_eq!(setting.server.counts(&repository(key)).fetches, 1);
    }
}

#[test]
fn two_batches_of_the_same_keys_fetch_each_once() {
    let (setting, keys) = with_repositories(8);
    let start = || Reader::start(&mut setting.program.command(&get(&["--jobs", "3"], &keys)));
    for batch in [start(), start()] {
        assert_eq!(told(&batch.end().lines()), keys);
    }
    for key in &keys {
        assert_eq!(setting.server.counts(&repository(key)).fetches, 1, "{key}");
    }
    assert!(setting.leftovers().is_empty());
}
