//! P6 pins: nothing that a live reader uses is deleted by anyone, and what nobody uses any more leaves
//! the disk.

use crate::harness::repository::{File, many_files};
use crate::mounted::Mounted;
use crate::reader::{Reader, cat, wait_until};
use crate::role::hash_of;
use crate::setting::{KEY, ONE, Setting, few, one, only_root_can};

/// Waits until only `count` generations are on the disk. The mount lives.
fn wait_for_generations(setting: &Setting, count: usize) {
    wait_until("what nobody uses leaves the disk", || setting.generations().len() == count);
    wait_until("the trash is empty", || setting.leftovers().is_empty());
}

#[test]
fn open_mapped_and_executed_files_outlive_a_clear() {
    let large: Vec<u8> = (0..900_000_u32).flat_map(u32::to_le_bytes).collect();
    let cat_program = std::fs::read("/bin/cat").unwrap();
    let files = [File::new("large", large.clone()), File::executable("bin/cat", cat_program)];
    let mut setting = Setting::with("", &files);
    let mount = Mounted::new(&setting.program);
    let view = mount.path(KEY);
    let mut open = Reader::play("hold", &view.join("large"));
    let mut mapped = Reader::play("map", &view.join("large"));
    let mut executed = Reader::run(view.join("bin/cat").to_str().unwrap(), &[]);
    executed.tell("before");
    assert_eq!(
        (open.line(), mapped.line(), executed.line()),
        ("held".into(), "held".into(), "before".into())
    );

    setting.docs.commit(&few("two"));
    let cleared = setting.change("clear");
    let held: Vec<String> = cleared["mirrors"][0]["readers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|reader| format!("{} {}", reader["pid"], reader["holds"].as_str().unwrap()))
        .collect();
    for expected in [format!("{} file", open.pid()), format!("{} mapping", mapped.pid())] {
        assert!(held.contains(&expected), "{expected}: {cleared}");
    }
    assert!(held.iter().any(|reader| reader.starts_with(&executed.pid().to_string())), "{cleared}");
    assert!(cleared["mirrors"][0]["held"].as_u64().unwrap() > 0, "{cleared}");
    assert_eq!(cat(&view.join(ONE)), one("two"), "who comes later sees what is new");
    assert_eq!(setting.generations().len(), 2, "the old one is still read");

    executed.tell("after");
    assert_eq!(executed.line(), "after");
    open.tell("go on");
    mapped.tell("go on");
    assert_eq!(open.end().lines(), [hash_of(&large)]);
    assert_eq!(mapped.end().lines(), [hash_of(&large)]);
    executed.end().lines();
    wait_for_generations(&setting, 1);
}

#[test]
fn who_clears_is_not_told_of_what_it_inherited_itself() {
    let setting = Setting::with("", &few("one"));
    let mount = Mounted::new(&setting.program);
    let inherited = std::fs::File::open(mount.path(KEY).join(ONE)).unwrap();
    let mut command = setting.program.command(&["--json", "clear", KEY]);
    let out = command.stdin(inherited).output().unwrap();
    drop(command);
    let report: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let readers = report["mirrors"][0]["readers"].as_array().unwrap();
    let here = std::process::id();
    assert!(!readers.is_empty() && readers.iter().all(|reader| reader["pid"] == here), "{report}");
}

#[test]
fn a_working_directory_in_a_retired_view_goes_on_working() {
    let mut setting = Setting::with("quiet = \"200ms\"\n", &few("one"));
    let mount = Mounted::new(&setting.program);
    let view = mount.path(KEY);
    let script = "cd \"$1\" && echo ready && read go && /bin/pwd && cat f00000.txt && cat ../d001/f00050.txt \
                  && cd .. && /bin/pwd && grep -rh 'of' . | sort | uniq -c | wc -l && ls | wc -l && cd d001 \
                  && /bin/pwd && echo left && cd / && read go";
    let mut inside = Reader::shell(script, &view.join("d000"));
    let mut at_the_root = Reader::shell(
        "cd \"$1\" && echo ready && read go && /bin/pwd && cat d000/f00000.txt && grep -rl 'of one' . | wc -l \
         && cd / && echo left && read go",
        &view,
    );
    assert_eq!((inside.line(), at_the_root.line()), ("ready".into(), "ready".into()));
    for (round, verb) in ["update", "clear", "clear"].into_iter().enumerate() {
        let version = format!("v{round}");
        setting.docs.commit(&few(&version));
        setting.change(verb);
        assert_eq!(cat(&view.join(ONE)), one(&version), "others see the change");
        Reader::run("grep", &[&"-rq", &"nothing", &view]).end();
    }
    inside.tell("go");
    let where_it_is = inside.line();
    assert!(where_it_is.ends_with("/d000"), "{where_it_is}");
    assert_eq!([inside.line(), inside.line()], [one("one"), "file 50 of one".to_owned()]);
    inside.line();
    assert_eq!([inside.line(), inside.line()], ["60", "2"]);
    let where_it_is = inside.line();
    assert!(where_it_is.ends_with("/d001"), "{where_it_is}");
    assert_eq!(inside.line(), "left");
    at_the_root.tell("go");
    at_the_root.line();
    assert_eq!([at_the_root.line(), at_the_root.line(), at_the_root.line()], [&one("one")[..], "60", "left"]);
    // Both are still there, but hold nothing any more.
    wait_for_generations(&setting, 1);
}

#[test]
fn after_a_full_walk_and_a_clear_the_bytes_leave_while_the_mount_lives() {
    let setting = Setting::with("quiet = \"200ms\"\n", &many_files(500, "one"));
    let mount = Mounted::new(&setting.program);
    let mut shell = Reader::shell(
        "cd \"$1\" && grep -rc of . | wc -l && read go && grep -rc of . | wc -l && cd / && echo left && read go",
        &mount.path(KEY),
    );
    assert_eq!(shell.line(), "500");
    let cleared = setting.change("clear");
    assert_eq!(cleared["mirrors"][0]["freed"], 0, "somebody works there: {cleared}");
    shell.tell("go");
    assert_eq!([shell.line(), shell.line()], ["500", "left"]);
    wait_for_generations(&setting, 0);
    assert_eq!(mount.references(KEY), 0);
    assert!(mount.views(KEY).iter().all(|view| view["generation"] == ""), "{}", mount.status());
}

#[test]
fn what_only_the_kernel_remembers_is_freed_by_the_clear_itself() {
    let setting = Setting::with("", &many_files(500, "one"));
    let mount = Mounted::new(&setting.program);
    Reader::run("grep", &[&"-rq", &"nothing", &mount.path(KEY)]).end();
    assert!(mount.references(KEY) > 500);
    setting.change("clear");
    wait_for_generations(&setting, 0);
}

#[test]
fn a_view_that_nobody_asks_for_is_given_back() {
    let setting = Setting::with("idle = \"200ms\"\n", &many_files(300, "one"));
    let mount = Mounted::new(&setting.program);
    let mut open = Reader::play("hold", &mount.path(KEY).join(ONE));
    open.line();
    Reader::run("grep", &[&"-rq", &"nothing", &mount.path(KEY)]).end();
    wait_until("all but what is held is given back", || mount.references(KEY) < 10);
    assert!(mount.references(KEY) > 0, "somebody reads");
    open.tell("go on");
    assert_eq!(open.end().lines(), [hash_of(format!("{}\n", one("one")).as_bytes())]);
    wait_until("the view is gone", || mount.views(KEY).is_empty());
    assert_eq!(Reader::play("walk", &mount.path(KEY)).end().lines(), ["one 300"]);
    assert_eq!(setting.server.counts(crate::setting::DOCS).fetches, 1, "it stays in the cache");
}

#[test]
fn counts_come_back_to_nothing_when_the_kernel_drops_its_caches() {
    if !only_root_can("drop the kernel's caches") {
        return;
    }
    let setting = Setting::with("", &many_files(500, "one"));
    let mount = Mounted::new(&setting.program);
    // Names and inodes alone: the pages of other programs are none of our business.
    let drop_caches = || std::fs::write("/proc/sys/vm/drop_caches", "2").unwrap();
    for _ in 0..6 {
        let walk = Reader::play("walk", &mount.path(KEY));
        drop_caches();
        assert_eq!(walk.end().lines(), ["one 500"]);
        drop_caches();
        let listed = Reader::shell("ls -U \"$1\" | sort | uniq -c | wc -l", &mount.path(KEY)).end();
        assert_eq!(listed.lines(), ["10"]);
    }
    assert!(mount.status()["requests"]["LOOKUP"].as_u64().unwrap() > 0);
    wait_until("no reference is left", || {
        drop_caches();
        mount.references(KEY) == 0
    });
    assert_eq!(Reader::play("walk", &mount.path(KEY)).end().lines(), ["one 500"]);
}

#[test]
fn git_gc_in_a_mirror_takes_nothing_away() {
    let mut setting = Setting::new();
    setting.program.json(&["get", KEY]);
    setting.docs.commit(&few("two"));
    setting.change("update");
    let old = format!("{KEY}@{}", setting.first);
    let mount = Mounted::new(&setting.program);
    assert_eq!(cat(&mount.path(&old).join(ONE)), one("one"));
    let generation = setting.generations().remove(0);
    for arguments in [&["gc", "--prune=now"][..], &["gc", "--aggressive", "--prune=now"], &["repack", "-adq"]]
    {
        let mut git = crate::harness::repository::hermetic("git");
        let git = git.arg("--git-dir").arg(&generation).args(arguments).output().unwrap();
        assert!(git.status.success(), "{arguments:?}: {git:?}");
        for (name, version) in [(KEY, "two"), (old.as_str(), "one")] {
            let seen = Reader::play("walk", &mount.path(name)).end().lines();
            assert_eq!(seen, [format!("{version} 60")], "after {arguments:?}");
        }
    }
    drop(mount);
    let mount = Mounted::new(&setting.program);
    for (name, version) in [(KEY, "two"), (old.as_str(), "one")] {
        let seen = Reader::play("walk", &mount.path(name)).end().lines();
        assert_eq!(seen, [format!("{version} 60")], "from another daemon");
    }
    assert_eq!(setting.server.counts(crate::setting::DOCS).fetches, 2, "nothing was fetched again");
}
