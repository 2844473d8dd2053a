//! Parts that tests play in processes of their own (see `reader.rs`).

use std::fs;
use std::path::{Path, PathBuf};

use crate::reader::{hear, role, say};

/// Nothing, unless this process was started to play a role.
#[test]
fn play() {
    let Some((role, path)) = role() else { return };
    match role.as_str() {
        "walk" => walk(&path, false),
        "walk in steps" => walk(&path, true),
        other => panic!("nobody knows the role {other}"),
    }
    // Without the words of the test runner.
    std::process::exit(0);
}

/// Opens every file of a tree of `many_files` by its full path, and says of which version all of them
/// are and how many; in steps, waits in the middle for the test's word.
fn walk(directory: &Path, in_steps: bool) {
    let mut all = Vec::new();
    files(directory, &mut all);
    let mut version = None;
    for (n, path) in all.iter().enumerate() {
        if in_steps && n == all.len() / 2 {
            say("half");
            hear();
        }
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let version = version.get_or_insert_with(|| text.trim_end().rsplit(' ').next().unwrap().to_owned());
        assert_eq!(text, format!("file {n} of {version}\n"), "{}", path.display());
    }
    say(&format!("{} {}", version.unwrap_or_default(), all.len()));
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(directory).unwrap().map(Result::unwrap).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        match entry.file_type().unwrap().is_dir() {
            true => files(&entry.path(), found),
            false => found.push(entry.path()),
        }
    }
}
