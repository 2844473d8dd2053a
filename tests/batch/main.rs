//! `srcfs get` of many keys at once: prepared in parallel, committed and told in their order, each for
//! itself.
//!
//! Matches the batch ingest of a prior system: isolation of failures, interrupts, one committer in a
//! deterministic order, end to end. What a commit asks of the world is in `tests/cache/revalidation.rs`.
#![allow(clippy::disallowed_methods, reason = "tests start programs of their own")]

#[path = "../harness.rs"]
mod harness;
#[path = "../harness/program.rs"]
mod program;
#[path = "../harness/reader.rs"]
mod reader;
#[path = "../harness/setting.rs"]
mod setting;

mod between;
mod cost;
mod interrupts;
mod isolation;
mod lists;
mod order;
mod room;

use setting::{Setting, few};

/// A setting with so many more repositories, and their keys.
fn with_repositories(count: usize) -> (Setting, Vec<String>) {
    let setting = Setting::new();
    let names = (0..count).map(|number| format!("r{number}"));
    let keys = names.map(|name| {
        setting.repository(&name, &few(&name));
        format!("git/github.com/team/{name}")
    });
    let keys = keys.collect();
    (setting, keys)
}

/// A key's repository, as the server calls it.
fn repository(key: &str) -> String {
    format!("{}.git", key.trim_start_matches("git/github.com/"))
}

/// `get` with these options, of these keys.
fn get<'a>(options: &[&'a str], keys: &'a [String]) -> Vec<&'a str> {
    let keys = keys.iter().map(String::as_str);
    ["get"].into_iter().chain(options.iter().copied()).chain(keys).collect()
}

/// The state of a key's mirror, if anything of it is published.
fn state_file(setting: &Setting, key: &str) -> Option<std::path::PathBuf> {
    let mirrors = std::fs::read_dir(setting.program.cache().join("v1/mirrors/git")).ok()?.flatten();
    let url = setting.server.url(&repository(key));
    let states = mirrors.map(|mirror| mirror.path().join("state.json"));
    let of = |file: &std::path::PathBuf| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        text.contains(&format!("{url}\""))
    };
    states.into_iter().find(of)
}

/// How many staging directories hold everything that is to be published.
fn prepared(setting: &Setting) -> usize {
    let staging = std::fs::read_dir(setting.program.cache().join("v1/staging")).into_iter().flatten();
    staging.flatten().filter(|entry| entry.path().join("pin").exists()).count()
}

/// The keys of what was told, in that order; the total and tables are left out.
fn told(out: &[String]) -> Vec<&str> {
    let first = out.iter().filter_map(|line| line.split_once("  "));
    first.filter(|(_, rest)| rest.contains(" files  ") || *rest == "failed").map(|(key, _)| key).collect()
}
