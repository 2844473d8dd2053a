//! P1 and P2 for what changes under our hands: each file that is shown is one that was there as a whole,
//! every change is seen, and what did not change is not read again.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use super::mounted2::wait_until;
use super::place::{KEY, Place};

/// Waits until the times of its files are so old that they may be trusted.
fn settle(place: &Place, path: &str) {
    let old = || SystemTime::now() - Duration::from_millis(2_100);
    let changed = fs::metadata(place.path().join(path)).unwrap();
    let changed = SystemTime::UNIX_EPOCH + Duration::new(changed.ctime() as u64, changed.ctime_nsec() as u32);
    wait_until("the file is two seconds old", || changed < old());
}

#[test]
fn the_same_content_is_the_same_revision_whatever_its_time() {
    let place = Place::new();
    place.write_all(&["a", "b"]);
    place.add(&[]);
    let before = place.update();
    place.write_all(&["a"]);
    let file = File::options().write(true).open(place.path().join("b")).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(place.update(), before);
    place.write("a", "another");
    assert_ne!(place.update(), before);
    assert_eq!(place.content("a"), "another");
}

#[test]
fn a_file_rewritten_with_its_size_and_time_is_seen() {
    let place = Place::new();
    place.write("a", "content 00");
    place.add(&[]);
    for n in 1..20 {
        let path = place.path().join("a");
        let time = fs::metadata(&path).unwrap().modified().unwrap();
        place.write("a", format!("content {n:02}"));
        // Many of these come within one tick of the clock, and each has the time of the one before.
        File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        place.update();
        assert_eq!(place.content("a"), format!("content {n:02}"));
    }
}

#[test]
fn what_did_not_change_is_not_read_again() {
    let place = Place::new();
    place.write_all(&["a", "b"]);
    place.add(&[]);
    let before = place.update();
    settle(&place, "b");
    place.update();
    // What is remembered is believed: so a file is not opened that cannot be told to be another.
    let memory = fs::read(place.memory()).unwrap();
    place.update();
    assert_eq!(fs::read(place.memory()).unwrap(), memory, "nothing was read, so nothing was written");
    place.write_all(&["c"]);
    assert_ne!(place.update(), before);
    assert_eq!(place.shown(), ["a", "b", "c"]);
}

#[test]
fn a_damaged_foreign_or_lost_memory_costs_a_reading_and_nothing_else() {
    let place = Place::new();
    place.write_all(&["a", "b"]);
    place.add(&[]);
    let before = place.update();
    settle(&place, "b");
    place.update();
    let whole = fs::read(place.memory()).unwrap();
    assert!(whole.len() > 100, "something is remembered");
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    let mut damaged: Vec<Vec<u8>> = vec![Vec::new(), b"rubbish".to_vec(), whole[..whole.len() - 1].to_vec()];
    damaged.extend((0..whole.len()).step_by(17).map(flipped));
    for bytes in damaged {
        fs::write(place.memory(), bytes).unwrap();
        assert_eq!(place.update(), before);
        assert_eq!(fs::read(place.memory()).unwrap(), whole, "it is whole again");
    }
    fs::remove_file(place.memory()).unwrap();
    assert_eq!(place.update(), before);
    // It is in nobody's way either.
    fs::remove_file(place.memory()).unwrap();
    fs::create_dir(place.site.program.cache().join("v1/sources/x")).unwrap();
    assert_eq!(place.update(), before);
}

#[test]
fn edits_while_it_is_imported_never_show_half_of_a_file() {
    let place = Place::new();
    let text = |letter: u8| String::from_utf8(vec![letter; 300_000]).unwrap();
    for n in 0..30 {
        place.write(format!("d/{n:02}"), text(b'a'));
    }
    place.add(&["--no-check"]);
    let (over, path) = (AtomicBool::new(false), place.path());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut letter = b'a';
            while !over.load(Ordering::Relaxed) {
                letter = if letter == b'z' { b'a' } else { letter + 1 };
                for n in 0..30 {
                    // In place, as an editor does that keeps the inode.
                    let mut file = File::options().write(true).open(path.join(format!("d/{n:02}"))).unwrap();
                    file.write_all(text(letter).as_bytes()).unwrap();
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                }
                std::thread::sleep(Duration::from_millis(30));
            }
        });
        let mut states = 0;
        for _ in 0..12 {
            // It may be told that something does not hold still; half of it is never shown.
            if place.run(&["update", KEY]).code != 0 && place.generations().is_empty() {
                continue;
            }
            for n in 0..30 {
                let content = place.content(&format!("d/{n:02}"));
                assert_eq!(content.len(), 300_000);
                let first = content.as_bytes()[0];
                assert!(content.bytes().all(|byte| byte == first), "torn: d/{n:02}");
            }
            states += 1;
        }
        over.store(true, Ordering::Relaxed);
        assert!(states > 0, "nothing was ever shown");
    });
}

#[test]
fn a_log_that_grows_for_ever_ends_in_an_error_that_names_it() {
    let place = Place::new();
    place.write_all(&["a"]);
    place.add(&["--no-check"]);
    let path = place.path().join("busy.log");
    File::create(&path).unwrap().set_len(8 << 20).unwrap();
    let over = AtomicBool::new(false);
    let refused = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut log = File::options().append(true).open(&path).unwrap();
            while !over.load(Ordering::Relaxed) {
                log.write_all(b"one more line\n").unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        // Where the writer has to wait for the processor, a look may find it quiet.
        let looks = (0..50).map(|_| place.run(&["update", KEY]));
        let refused = looks.map(|run| run.err + &run.out).find(|said| said.contains("busy.log"));
        over.store(true, Ordering::Relaxed);
        refused
    });
    let refused = refused.unwrap();
    assert!(refused.contains("changes while it is read") && refused.contains("`ignore`"), "{refused}");
    // The way out that it names.
    let path = place.path();
    place.json(&["add", "quiet", "--path", path.to_str().unwrap(), "--ignore", "*.log"]);
    assert_eq!(place.json(&["get", "local/quiet"])["trees"][0]["tree"]["files"], 1);
}

#[test]
fn files_and_directories_that_vanish_meanwhile_are_no_error() {
    let place = Place::new();
    place.write_all(&["stays"]);
    place.add(&[]);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                place.write_all(&["x/1", "x/2/3", "y"]);
                fs::remove_dir_all(place.path().join("x")).unwrap();
                fs::remove_file(place.path().join("y")).unwrap();
            }
        });
        let runs: Vec<_> = (0..20).map(|_| place.run(&["update", KEY])).collect();
        over.store(true, Ordering::Relaxed);
        for run in runs {
            // One that never gets older than a tick of the clock does not hold still either.
            assert!(run.code == 0 || run.out.contains("changes while it is read"), "{run:?}");
        }
    });
    assert_eq!(place.shown(), ["stays"]);
}

#[test]
fn a_directory_that_was_replaced_by_a_link_leads_nobody_out() {
    for repository in [false, true] {
        let place = Place::new();
        place.write_all(&["sub/a", "b"]);
        if repository {
            place.commit();
        }
        place.add(&[]);
        assert_eq!(place.shown(), ["b", "sub/a"]);
        let outside = place.site.program.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("a"), "secret").unwrap();
        fs::remove_dir_all(place.path().join("sub")).unwrap();
        std::os::unix::fs::symlink(&outside, place.path().join("sub")).unwrap();
        assert_eq!(place.shown(), ["b", "sub"]);
        assert_eq!(place.content("sub"), outside.to_str().unwrap());
    }
}

#[test]
fn many_processes_at_once_make_one_state() {
    let place = Place::new();
    for n in 0..200 {
        place.write(format!("d{}/f{n}", n % 7), format!("file {n}"));
    }
    place.add(&["--no-check"]);
    let mut running: Vec<_> = (0..12)
        .map(|n| {
            let verb: &[&str] = if n % 2 == 0 { &["get", KEY] } else { &["update", KEY] };
            place.command(verb).stdout(std::process::Stdio::null()).spawn().unwrap()
        })
        .collect();
    assert!(running.iter_mut().all(|process| process.wait().unwrap().success()));
    assert_eq!(place.generations().len(), 1);
    assert_eq!(place.shown().len(), 200);
    let packs = fs::read_dir(place.generations()[0].join("objects/pack")).unwrap().flatten();
    let packs = packs.filter(|entry| entry.path().extension().is_some_and(|end| end == "pack")).count();
    assert_eq!(packs, 1, "it was written once");
}

#[test]
fn an_update_stores_only_what_is_new() {
    let place = Place::new();
    let large: Vec<u8> = (0..400_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    place.write("large", &large);
    place.write_all(&["small"]);
    place.add(&[]);
    place.update();
    let size = || -> u64 {
        let packs = fs::read_dir(place.generations()[0].join("objects/pack")).unwrap();
        packs.map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
    };
    let before = size();
    assert!(before > 1_000_000);
    place.write("small", "changed");
    // Another name, and another time: still the same content.
    fs::rename(place.path().join("large"), place.path().join("renamed")).unwrap();
    place.update();
    assert!(size() - before < 10_000, "{before} became {}", size());
    assert_eq!(place.shown(), ["renamed", "small"]);
}
