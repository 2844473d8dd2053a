//! Listing and looking at names never fetches: what is known is shown from the cache and the
//! configuration alone.

use crate::mounted::Mounted;
use crate::reader::Reader;
use crate::setting::{DOCS, KEY, Setting};

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
