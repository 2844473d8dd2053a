//! Parts that tests play in processes of their own (see `reader.rs`).

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::reader::{hear, role, say};

/// Nothing, unless this process was started to play a role.
#[test]
fn play() {
    let Some((role, path)) = role() else { return };
    match role.as_str() {
        "walk" => walk(&path, &[]),
        "walk in steps" => walk(&path, &[1, 2, 3]),
        "walk aloud" => aloud(&path),
        "record" => record(&path),
        "hold" => hold(&path),
        "map" => map(&path),
        "change" => crate::read_only::change_everything(&path),
        other => panic!("nobody knows the role {other}"),
    }
    // Without the words of the test runner.
    std::process::exit(0);
}

fn hash(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// All files below a directory, by name; each directory is listed by its full path.
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

/// Opens every file of a tree of `many_files` by its full path, and says which version all of them are
/// of and how many there are. Pauses after so many quarters for the test's word.
fn walk(directory: &Path, pauses: &[usize]) {
    let mut all = Vec::new();
    files(directory, &mut all);
    let mut version = None;
    for (n, path) in all.iter().enumerate() {
        for pause in pauses.iter().filter(|&&quarter| n == all.len() * quarter / 4) {
            say(&format!("{pause} quarters"));
            hear();
        }
        let content = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let version = version.get_or_insert_with(|| {
            let text = String::from_utf8_lossy(&content).into_owned();
            text.trim_end().rsplit(' ').next().unwrap().to_owned()
        });
        let known = hash(format!("file {n} of {version}\n").as_bytes());
        let text = String::from_utf8_lossy(&content);
        assert_eq!(hash(&content), known, "{} is not of {version} but says {text:?}", path.display());
    }
    say(&format!("{} {}", version.unwrap_or_default(), all.len()));
}

/// The same, but prints a long line a file, so that a slow pager stops it.
fn aloud(directory: &Path) {
    let mut all = Vec::new();
    files(directory, &mut all);
    for path in all {
        let content = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        say(&format!("{} {}", content.trim_end(), "-".repeat(300)));
    }
}

/// Says everything that can be seen of a tree.
fn record(directory: &Path) {
    let mut seen = BTreeSet::new();
    let mut left = vec![directory.to_owned()];
    while let Some(path) = left.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let content = if metadata.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            "directory".to_owned()
        } else if metadata.is_symlink() {
            format!("-> {}", fs::read_link(&path).unwrap().display())
        } else {
            hash(&fs::read(&path).unwrap())
        };
        let name = path.strip_prefix(directory).unwrap().display().to_string();
        let (mode, size, owner) = (metadata.mode(), metadata.size(), (metadata.uid(), metadata.gid()));
        let time = (metadata.mtime(), metadata.mtime_nsec());
        seen.insert(format!("{name}: {mode:o} {size} {owner:?} {time:?} {content}"));
    }
    for line in seen {
        say(&line);
    }
}

/// Reads half of a file, waits for the test's word, reads the rest by the same handle.
fn hold(path: &Path) {
    let mut file = File::open(path).unwrap();
    let mut content = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap() / 2];
    file.read_exact(&mut content).unwrap();
    say("held");
    hear();
    file.read_to_end(&mut content).unwrap();
    file.rewind().unwrap();
    let mut again = Vec::new();
    file.read_to_end(&mut again).unwrap();
    assert_eq!(hash(&content), hash(&again));
    say(&hash(&content));
}

/// Maps a file, closes it, waits for the test's word, reads the mapping.
fn map(path: &Path) {
    let file = File::open(path).unwrap();
    // SAFETY: what a revision says never changes, which is what the test is about.
    let mapped = unsafe { memmap2::Mmap::map(&file) }.unwrap();
    drop(file);
    say("held");
    hear();
    say(&hash(&mapped));
}

/// What `hold` and `map` say about this content.
pub fn hash_of(content: &[u8]) -> String {
    hash(content)
}
