//! Listing and looking at names never fetches: what is known is shown from the cache and the
//! configuration alone.

use crate::mounted::Mounted;
use crate::reader::Reader;
use crate::setting::{DOCS, KEY, Setting, few};

#[test]
fn names_that_are_listed_can_be_looked_at_without_a_fetch() {
    let setting = Setting::new();
    let text = std::fs::read_to_string(setting.program.config()).unwrap();
    let url = setting.server.url(DOCS);
    setting.program.configure(&format!("{text}\n[[resource]]\nname = \"team/docs\"\ngit = \"{url}\"\n"));
    setting.program.json(&["get", &format!("{KEY}@{}", setting.first)]);
    let before = setting.server.counts(DOCS);
    // The daemon starts after that, so that it knows nothing but what the cache says.
    let mount = Mounted::new(&setting.program);
    let seen =
        Reader::shell("cd \"$1\" && find . -maxdepth 2 && ls -d git/*/*/*", mount.place()).end().lines();
    for listed in ["./README.md", "./team/docs", &format!("{KEY}@{}", setting.first)] {
        assert!(seen.iter().any(|line| line == listed), "{listed}: {seen:?}");
    }
    for known in [format!("{KEY}@{}", setting.first), "team/docs".to_owned()] {
        Reader::run("stat", &[&mount.path(&known)]).end().lines();
        Reader::run("ls", &[&"-ld", &mount.path(&known)]).end().lines();
    }
    // What was never fetched (`team/docs`) is a directory all the same.
    assert_eq!(setting.server.counts(DOCS), before);
    Reader::run("ls", &[&mount.path("team/docs")]).end().lines();
    assert!(setting.server.counts(DOCS).requests > before.requests, "the first look inside fetches");
}

/// As an indexer does that was let loose on the mount: it lists what there is, again and again, and looks
/// for the names that it knows from elsewhere.
#[test]
fn an_indexer_that_walks_the_directories_of_a_forge_clones_nothing() {
    let setting = Setting::new();
    let others = ["one", "two", "three"];
    for name in others {
        setting.repository(name, &few("one"));
    }
    setting.program.json(&["get", KEY]);
    let mount = Mounted::new(&setting.program);
    let script = "cd \"$1\" && for round in 1 2 3; do find . -maxdepth 3 -print; \
                  ls -la . git git/github.com git/github.com/team; done; \
                  for name in .git .hg .ignore .gitignore HEAD favicon.ico node_modules; do \
                  for at in . git git/github.com git/github.com/team; do \
                  cat \"$at/$name\" 2>/dev/null; ls \"$at/$name\" 2>/dev/null; done; done; \
                  stat git/github.com/team/*; true";
    let seen = Reader::shell(script, mount.place()).end().lines();
    assert!(seen.iter().any(|line| line.contains("git/github.com/team")), "{seen:?}");
    for name in others {
        assert!(seen.iter().all(|line| !line.contains(name)), "{name} is listed: {seen:?}");
        // To look whether one exists asks for it, and fetches nothing.
        Reader::run("stat", &[&mount.path(&format!("git/github.com/team/{name}"))]).end().lines();
        let counts = setting.server.counts(&format!("team/{name}.git"));
        assert!(counts.requests > 0 && counts.fetches == 0, "{name}: {counts:?}");
    }
    assert_eq!(setting.server.counts(DOCS).fetches, 1, "the one that was asked for");
    assert_eq!(setting.generations().len(), 1);
}
