//! Making room: what nobody uses goes, and whoever reads anything notices nothing.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::harness::repository::File as Content;
use crate::mounted::Mounted;
use crate::reader::{Reader, wait_until};
use crate::role::hash_of;
use crate::setting::{DOCS, KEY, ONE, Setting, few, one};

const TWO_HOURS: Duration = Duration::from_secs(7200);

/// Something that does not compress.
fn noise(seed: u32) -> Vec<u8> {
    (0..100_000_u32)
        .flat_map(|n| (n ^ seed).wrapping_mul(2_654_435_761).rotate_left(seed).to_le_bytes())
        .collect()
}

/// Makes unused whatever lies below `directory` and ends so.
fn age(directory: &Path, ending: &str) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            age(&path, ending);
        } else if path.to_string_lossy().ends_with(ending) {
            File::open(path).unwrap().set_modified(SystemTime::now() - TWO_HOURS).unwrap();
        }
    }
}

/// A cache with two revisions: a large one that nothing means any more, and the present one.
fn two_revisions() -> Setting {
    let mut setting =
        Setting::with("quiet = \"200ms\"\n", &[few("one"), vec![Content::new("own", noise(1))]].concat());
    setting.program.json(&["get", KEY]);
    setting.docs.commit(&few("two"));
    setting.change("update");
    age(&setting.program.cache(), ".table");
    setting
}

fn items(report: &Value) -> &Vec<Value> {
    report["items"].as_array().unwrap()
}

fn generation(setting: &Setting) -> String {
    let generations: Vec<PathBuf> = setting.generations();
    assert_eq!(generations.len(), 1, "{generations:?}");
    generations[0].file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn a_walk_and_an_open_file_go_on_while_old_revisions_leave_the_disk() {
    let setting = two_revisions();
    let mount = Mounted::new(&setting.program);
    let mut open = Reader::play("hold", &mount.path(KEY).join(ONE));
    let mut walk = Reader::play("walk in steps", &mount.path(KEY));
    assert_eq!((open.line(), walk.line()), ("held".into(), "1 quarters".into()));
    let before = generation(&setting);
    assert_eq!(mount.views(KEY)[0]["generation"], before.as_str());

    let rehearsal = setting.program.json(&["gc", "--dry-run"]);
    assert_eq!(setting.program.json(&["status"])["cache"]["bytes"], rehearsal["before"], "one definition");
    assert_eq!(generation(&setting), before);
    let report = setting.program.json(&["gc"]);
    for report in [&rehearsal, &report] {
        let [item] = items(report).as_slice() else { panic!("{report}") };
        assert_eq!(
            (&item["why"], &item["revisions"][0]),
            (&"superseded".into(), &setting.first.as_str().into())
        );
        assert!(item["freed"].as_u64().unwrap() > 300_000 && item["being_freed"] == 0, "{report}");
    }
    // The mount shows the view and lets go of its old place; nobody has ended or closed anything.
    let after = generation(&setting);
    assert_ne!(after, before);
    wait_until("the trash is empty", || setting.leftovers().is_empty());
    walk.tell("go on");
    assert_eq!(walk.line(), "2 quarters");
    walk.tell("go on");
    assert_eq!(walk.line(), "3 quarters");
    walk.tell("go on");
    assert_eq!(walk.line(), "two 60");
    open.tell("go on");
    assert_eq!(open.end().lines(), [hash_of(format!("{}\n", one("two")).as_bytes())]);
    let views = mount.views(KEY);
    assert_eq!((views.len(), &views[0]["generation"]), (1, &after.as_str().into()), "the same view");
    assert_eq!(Reader::play("walk", &mount.path(KEY)).end().lines(), ["two 60"]);
    assert_eq!(setting.server.counts(DOCS).fetches, 2);
}

#[test]
fn who_reads_what_was_dropped_keeps_it_and_is_named() {
    let setting = two_revisions();
    let mount = Mounted::new(&setting.program);
    let old = format!("{KEY}@{}", setting.first);
    let mut open = Reader::play("hold", &mount.path(&old).join("own"));
    let mut present = Reader::play("walk in steps", &mount.path(KEY));
    assert_eq!((open.line(), present.line()), ("held".into(), "1 quarters".into()));
    let before = generation(&setting);
    // Its use is noted on a thread of its own, and a name that was used lately still means it.
    let mut report = Value::Null;
    wait_until("it is unused and nothing means it", || {
        let state = setting.generations()[0].parent().unwrap().join("state.json");
        let text = fs::read_to_string(&state).unwrap();
        let mut json: Value = serde_json::from_str(&text).unwrap();
        if json["references"].as_object_mut().unwrap().remove(&setting.first).is_some() {
            fs::write(&state, json.to_string()).unwrap();
        }
        age(&setting.program.cache(), ".table");
        report = setting.program.json(&["gc"]);
        !items(&report).is_empty()
    });
    let [item] = items(&report).as_slice() else { panic!("{report}") };
    assert!(item["being_freed"].as_u64().unwrap() > 300_000 && item["freed"] == 0, "{report}");
    assert_eq!(item["readers"][0]["pid"], open.pid().as_raw(), "{report}");
    assert_eq!(item["shown_by"][0], mount.place().to_str().unwrap());
    assert!(setting.generations().len() == 2 && mount.views(KEY)[0]["generation"] != before.as_str());
    for _ in 0..3 {
        present.tell("go on");
        present.line();
    }
    open.tell("go on");
    assert_eq!(open.end().lines(), [hash_of(&noise(1))]);
    setting.change("update");
    wait_until("the old place is gone", || setting.generations().len() == 1);
}

#[test]
fn what_a_mount_shows_stays_and_goes_when_it_is_given_back() {
    let setting = Setting::with("idle = \"200ms\"\nkeep_free = \"90%\"\n", &few("one"));
    let mount = Mounted::new(&setting.program);
    let mut open = Reader::play("hold", &mount.path(KEY).join(ONE));
    open.line();
    let report = setting.program.json(&["gc"]);
    if report["must_be_free"].as_u64() < report["free"].as_u64() {
        eprintln!("skipped: this disk is nearly empty");
        return;
    }
    let [item] = items(&report).as_slice() else { panic!("{report}") };
    assert_eq!(
        (&item["stays"], &item["readers"][0]["pid"]),
        (&"pinned".into(), &open.pid().as_raw().into()),
        "{report}"
    );
    assert_eq!(item["shown_by"][0], mount.place().to_str().unwrap());
    assert_eq!(report["within_bounds"], false);
    let text = setting.program.run(&["gc"]).out;
    assert!(text.contains("stays: somebody reads it") && text.contains("read by process"), "{text}");
    open.tell("go on");
    assert_eq!(open.end().lines(), [hash_of(format!("{}\n", one("one")).as_bytes())]);
    wait_until("it goes", || {
        setting.program.json(&["gc"]);
        setting.generations().is_empty()
    });
    // What went comes again.
    assert_eq!(Reader::play("walk", &mount.path(KEY)).end().lines(), ["one 60"]);
    assert_eq!(setting.server.counts(DOCS).fetches, 2);
}

#[test]
fn what_is_kept_is_shown_as_kept_and_a_clear_says_so() {
    let setting = Setting::with("keep_free = \"90%\"\n", &few("one"));
    let run = setting.program.run(&["keep", "--json", &format!("{KEY}@nope"), KEY]);
    assert_eq!(run.code, 1, "{run:?}");
    let kept = run.json();
    let [nope, docs] = kept["references"].as_array().unwrap().as_slice() else { panic!("{kept}") };
    assert_eq!((&nope["kept"], &nope["error"]["kind"]), (&false.into(), &"not_found".into()));
    assert_eq!(
        (&docs["kept"], &docs["was_kept"], &docs["fetched"]),
        (&true.into(), &false.into(), &true.into())
    );
    let text = setting.program.run(&["keep", KEY]).out;
    assert_eq!(text, format!("{KEY}  kept already, {}\n", &setting.first[..12]));
    assert_eq!(setting.program.json(&["status"])["cache"]["kept"], 1);
    assert!(setting.program.run(&["status"]).out.contains("1 kept"));
    let row = |list: Value| list["resources"][0].clone();
    assert_eq!(row(setting.program.json(&["list"]))["kept"], true);

    let report = setting.program.json(&["gc"]);
    let stays: Vec<&Value> = items(&report).iter().map(|item| &item["stays"]).collect();
    assert!(stays.iter().all(|stays| **stays == "kept"), "{report}");
    let cleared = setting.program.run(&["clear", KEY]).out;
    assert!(
        cleared.contains(&format!("{KEY} stays kept, and is fetched again at its next use")),
        "{cleared}"
    );
    let listed = row(setting.program.json(&["list"]));
    assert_eq!((&listed["kept"], &listed["revision"]), (&true.into(), &Value::Null), "{listed}");
    assert_eq!(setting.program.run(&["release", KEY]).out, format!("{KEY}  released\n"));
    assert_eq!(setting.program.run(&["release", KEY]).out, format!("{KEY}  was not kept\n"));
    assert_eq!(setting.program.json(&["list"])["resources"], Value::Array(Vec::new()));
}

#[test]
fn above_its_high_mark_a_cache_makes_room_by_itself_in_verbs_and_mounts() {
    let setting =
        Setting::with("idle = \"200ms\"\nmax_size = \"1.6 MB\"\nkeep_free = \"none\"\n", &few("one"));
    let name = |number: u32| format!("git/github.com/team/n{number}");
    let repositories: Vec<_> =
        (0..6).map(|n| setting.repository(&format!("n{n}"), &[Content::new("own", noise(n))])).collect();
    assert_eq!(repositories.len(), 6);
    // As if nobody had looked for a minute.
    let due = || age(&setting.program.cache().join("v1"), "v1/gc");
    for number in 0..4 {
        due();
        setting.program.json(&["get", &name(number)]);
    }
    let cached = || -> Vec<String> {
        let list = setting.program.json(&["list"]);
        list["resources"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["key"].as_str().unwrap().to_owned())
            .collect()
    };
    let now = cached();
    assert!(now.len() < 4 && now.contains(&name(3)) && !now.contains(&name(0)), "{now:?}");

    let mount = Mounted::new(&setting.program);
    let mut known = now.len();
    for number in 4..6 {
        assert_eq!(fs::read(mount.path(&name(number)).join("own")).unwrap(), noise(number));
        known += 1;
    }
    wait_until("the mount makes room", || {
        due();
        cached().len() < known
    });
    assert!(cached().contains(&name(5)));
}
