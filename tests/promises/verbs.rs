//! The verbs through a live mount: what one returns from, whoever starts after it sees.

use std::process::{Child, Command, Stdio};

use super::harness::git_server::{Fault, Stage};
use super::harness::repository::File;
use super::mounted2::{Site, errno, wait_until};

const KEY: &str = "git/forge.test/team/docs";

fn files(version: &str) -> Vec<File> {
    vec![
        File::new("guide/intro.md", format!("intro, {version}\n")),
        File::new("src/main.rs", "fn main() {}\n"),
    ]
}

/// A process that holds a file of the mount open, until it is dropped.
struct Holder(Child);

impl Holder {
    fn of(path: &std::path::Path) -> Holder {
        let mut holder = Command::new("sh")
            .args(["-c", "exec 3<\"$0\" && echo ready && read end"])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(holder.stdout.as_mut().unwrap()), &mut line)
            .unwrap();
        assert_eq!(line, "ready\n");
        Holder(holder)
    }

    fn pid(&self) -> u64 {
        u64::from(self.0.id())
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // Its input ends.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

#[test]
fn path_tells_where_a_tree_is_and_pin_names_what_never_changes() {
    let site = Site::mounted("quiet = \"100ms\"");
    let mut docs = site.repository("team/docs");
    let first = docs.commit(&files("one"));
    let located = site.json(&["path", KEY]);
    assert_eq!(located["path"], site.path(KEY).to_str().unwrap());
    let pinned = site.json(&["path", "--pin", KEY]);
    assert_eq!(pinned["revision"], first.as_str());
    let path = std::path::PathBuf::from(pinned["path"].as_str().unwrap());
    assert_eq!(path, site.path(&format!("{KEY}@{first}")));
    assert_eq!(site.cat(&path.join("guide/intro.md")), "intro, one\n");
    docs.commit(&files("two"));
    site.json(&["get", KEY]);
    site.json(&["update", KEY]);
    assert_eq!(site.cat(&path.join("guide/intro.md")), "intro, one\n");
    assert_eq!(site.cat(&site.path(KEY).join("guide/intro.md")), "intro, two\n");
}

#[test]
fn add_and_remove_are_seen_as_soon_as_they_return() {
    let site = Site::mounted("quiet = \"100ms\"");
    let mut docs = site.repository("team/docs");
    let first = docs.commit(&files("one"));
    let url = site.server().url("team/docs.git");
    for (arguments, kind) in [
        (&["add", "docs", &url, "--ref", "nope"][..], "not_found"),
        (&["add", "docs", &url, "--subpath", "nope"], "not_found"),
        (&["add", "docs", &site.server().url("team/absent.git")], "not_found"),
        (&["add", "git", &url], "invalid"),
    ] {
        let (code, report) = site.report(arguments);
        assert!(code != 0 && report["error"]["kind"] == kind, "{arguments:?}: {report}");
        assert!(report["error"]["hint"].is_string(), "{report}");
        assert!(site.sh("ls").out.lines().all(|name| name != "docs"));
    }
    let added =
        site.json(&["add", "docs", &url, "--ref", "main", "--subpath", "guide", "--note", "start there"]);
    assert_eq!(added["revision"], first.as_str());
    assert!(added["unanswered"].is_null(), "{added}");
    assert_eq!(
        site.sh("ls; ls docs; cat docs/guide/intro.md").out,
        "README.md\ncrates\ndocs\ngit\nlocal\nnpm\nprojects\npypi\nguide\nintro, one\n"
    );

    let removed = site.json(&["remove", "docs"]);
    assert_eq!(removed["cleared"]["mirrors"][0]["was_cached"], true);
    let after = site.sh("ls; cat docs/guide/intro.md");
    assert_eq!(after.out, "README.md\ncrates\ngit\nlocal\nnpm\nprojects\npypi\n");
    assert!(after.err.contains("No such file"), "{after:?}");
}

#[test]
fn list_names_what_is_there_and_who_reads_it() {
    let mut site = Site::new("");
    let mut docs = site.repository("team/docs");
    let first = docs.commit(&files("one"));
    let url = site.server().url("team/docs.git");
    site.configure(&format!("[[resource]]\nname = \"docs\"\ngit = \"{url}\"\nnote = \"start there\""));
    site.mount();
    let row = |key: &str| {
        let listed = site.json(&["list"]);
        let rows = listed["resources"].as_array().unwrap().clone();
        rows.into_iter().find(|row| row["key"] == key).unwrap_or_else(|| panic!("no {key} in {listed}"))
    };
    let before = row("docs");
    assert_eq!((&before["revision"], &before["note"]), (&serde_json::Value::Null, &"start there".into()));
    let holder = Holder::of(&site.path("docs/src/main.rs"));
    let after = row("docs");
    assert_eq!((&after["revision"], &after["files"]), (&first.as_str().into(), &2.into()));
    assert!(after["disk"].as_u64().unwrap() > 0 && after["fetched"].is_u64(), "{after}");
    let readers = after["readers"].as_array().unwrap();
    let found = readers.iter().find(|reader| reader["pid"] == holder.pid());
    let found = found.unwrap_or_else(|| panic!("{} is not among {readers:?}", holder.pid()));
    assert_eq!(found["holds"], "file", "{found}");
    assert!(readers.iter().all(|reader| reader["pid"] != site.daemon()), "the daemon is no reader");
    site.json(&["get", &format!("{KEY}@main")]);
    assert_eq!(row(&format!("{KEY}@main"))["revision"], first.as_str());
}

#[test]
fn update_is_seen_by_who_starts_after_it_and_names_who_still_sees_the_old() {
    let site = Site::mounted("");
    let mut docs = site.repository("team/docs");
    let first = docs.commit(&files("one"));
    let path = site.path(KEY).join("guide/intro.md");
    assert_eq!(site.cat(&path), "intro, one\n");
    let nothing = site.json(&["update", KEY]);
    let nothing = &nothing["references"][0];
    assert_eq!((&nothing["moved"], &nothing["transferred"]), (&false.into(), &0.into()));

    let holder = Holder::of(&path);
    let second = docs.commit(&files("two"));
    let report = site.json(&["update", KEY]);
    let updated = &report["references"][0];
    assert_eq!(
        (&updated["before"], &updated["revision"], &updated["moved"]),
        (&first.as_str().into(), &second.as_str().into(), &true.into())
    );
    let readers = updated["readers"].as_array().unwrap();
    assert!(readers.iter().any(|reader| reader["pid"] == holder.pid()), "{updated}");
    assert_eq!(site.cat(&path), "intro, two\n");
}

/// How many generations the only mirror has on the disk.
fn generations(site: &Site) -> usize {
    let mirror = std::fs::read_dir(site.program.cache().join("v1/mirrors/git")).unwrap();
    let mirror = mirror.flatten().next().unwrap().path();
    std::fs::read_dir(mirror).unwrap().flatten().filter(|entry| entry.path().is_dir()).count()
}

#[test]
fn clear_frees_what_nobody_reads_and_names_who_holds_the_rest() {
    let site = Site::mounted("");
    let mut docs = site.repository("team/docs");
    docs.commit(&files("one"));
    let path = site.path(KEY).join("guide/intro.md");
    assert_eq!(site.cat(&path), "intro, one\n");
    let holder = Holder::of(&path);
    let fetched = site.server().counts("team/docs.git").fetches;
    let report = site.json(&["clear", KEY]);
    let cleared = &report["mirrors"][0];
    assert_eq!((&cleared["was_cached"], &cleared["being_freed"]), (&true.into(), &0.into()), "{report}");
    assert!(cleared["held"].as_u64().unwrap() > 0, "{report}");
    let readers = cleared["readers"].as_array().unwrap();
    assert!(readers.iter().any(|reader| reader["pid"] == holder.pid()), "{report}");
    assert!(readers.iter().all(|reader| reader["pid"] != site.daemon()), "{report}");
    assert_eq!(site.cat(&path), "intro, one\n");
    assert_eq!(site.server().counts("team/docs.git").fetches, fetched + 1, "it was fetched afresh");
    drop(holder);
    wait_until("the old bytes are gone", || generations(&site) == 1);
    let report = site.json(&["clear", "--all"]);
    let cleared = &report["mirrors"][0];
    let bytes = |name: &str| cleared[name].as_u64().unwrap();
    assert!(bytes("freed") + bytes("being_freed") > 0 && bytes("held") == 0, "{report}");
    assert_eq!(site.json(&["status"])["cache"]["mirrors"], 0);
    wait_until("all bytes are gone", || generations(&site) == 0);
}

#[test]
fn status_tells_what_is_fetched_for_whom_and_what_failed() {
    let site = Site::mounted("");
    site.repository_of("team/docs", &files("one"));
    assert_eq!(errno(std::fs::metadata(site.forge("team/absent"))), libc::ENOENT);
    site.server().fail("team/docs.git", Stage::Fetch, Fault::StallBeforeHeaders);
    let mut reader =
        Command::new("cat").arg(site.path(KEY).join("src/main.rs")).stdout(Stdio::null()).spawn().unwrap();
    site.server().wait_for("team/docs.git", |counts| counts.stalled == 1);
    let status = site.json(&["status"]);
    let mount = &status["mounts"][0];
    assert_eq!(
        (&mount["pid"], &mount["mount_point"]),
        (&site.daemon().into(), &site.mount_point().to_str().unwrap().into())
    );
    let fetch = &status["fetches"][0];
    assert_eq!(fetch["path"], KEY, "{status}");
    assert!(fetch["who"].as_str().unwrap().contains("cat"), "{status}");
    let held = status["locks"].as_array().unwrap();
    assert!(held.iter().any(|lock| lock.to_string().contains("team/docs")), "{status}");
    let failed = &status["errors"][0];
    assert_eq!((&failed["errno"], &failed["kind"]), (&"ENOENT".into(), &"not_found".into()), "{status}");
    site.server().mend("team/docs.git");
    site.server().release();
    assert!(reader.wait().unwrap().success());
    let status = site.json(&["status"]);
    assert_eq!(
        (status["fetches"].as_array().unwrap().len(), status["locks"].as_array().unwrap().len()),
        (0, 0)
    );
    assert_eq!(status["cache"]["mirrors"], 1);
}

#[test]
fn explain_tells_of_paths_keys_and_what_lies_inside() {
    let site = Site::mounted("");
    site.repository_of("team/docs", &files("one"));
    let nothing = site.json(&["explain", KEY]);
    assert!(nothing["state"].as_str().unwrap().contains("not cached yet"), "{nothing}");
    assert_eq!(site.cat(&site.path(KEY).join("src/main.rs")), "fn main() {}\n");
    for (about, says) in [
        (KEY.to_owned(), "cached"),
        (format!("{KEY}/src/main.rs"), "exists"),
        (format!("{KEY}/src/nope.rs"), "does not exist in this revision"),
        (site.path(KEY).join("src").to_str().unwrap().to_owned(), "exists"),
    ] {
        let explained = site.json(&["explain", &about]);
        assert!(explained["state"].as_str().unwrap().contains(says), "{explained}");
    }
    for (about, says) in [
        ("git/unknown.test/a/b", "not a configured host"),
        ("git/forge.test/a/-x", "begins with"),
        ("nothing", "no resource is called"),
    ] {
        let explained = site.json(&["explain", about]);
        assert!(explained["failure"]["why"].as_str().unwrap().contains(says), "{explained}");
    }
    for directory in ["npm", "git", "projects", site.path("").to_str().unwrap()] {
        let explained = site.json(&["explain", directory]);
        assert!(explained["state"].as_str().unwrap().contains("a directory of the mount"), "{explained}");
    }
    // For people it is a few lines.
    let text = site.run(&["explain", "git/unknown.test/a/b"]);
    assert!(text.code == 0 && text.out.contains("because") && text.out.contains("what to do:"), "{text:?}");
}
