//! What the soak's repositories hold: files that say in their own bytes of which version they are, and
//! what their bytes hash to.
//!
//! So whoever reads one knows without asking anybody whether it is whole, and whoever reads a tree
//! whether all of it is of one version. Names tell too: each version has a directory of its own
//! (`of-v12`), so a listing of one version does not fit the files of another. Some files are the same
//! in all versions (version 0), because real repositories share most of their objects.

use std::fmt::Write as _;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::harness::repository::File;

/// What each file begins with: what `grep` looks for.
pub const MARK: &str = "srcfs-soak";

/// One repository of the soak.
pub struct Shape {
    /// Its name, which its files carry.
    pub name: &'static str,
    /// How many files a version has, besides its own directory.
    pub files: usize,
    /// Lines of an ordinary file.
    lines: usize,
}

/// The repositories, from one that is walked in a moment to one that takes a while.
pub const SHAPES: [Shape; 3] = [
    Shape { name: "small", files: 40, lines: 10 },
    Shape { name: "middle", files: 250, lines: 30 },
    Shape { name: "large", files: 900, lines: 40 },
];

/// Files in the directory that only one version has.
const OWN: usize = 5;
/// One in so many files is the same in all versions.
const SHARED: usize = 5;
/// One in so many files is larger than what the kernel reads in one request.
const LARGE: usize = 90;

/// The shape of this name.
pub fn shape(name: &str) -> &'static Shape {
    SHAPES.iter().find(|shape| shape.name == name).expect("one of the repositories")
}

impl Shape {
    /// How many files every version shows.
    pub fn count(&self) -> usize {
        self.files + OWN
    }

    /// All files of a version.
    pub fn files_of(&self, version: u32) -> Vec<File> {
        let ordinary = (0..self.files).map(|n| (format!("d{:03}/f{n:05}.txt", n / 50), n));
        let own = (0..OWN).map(|n| (format!("of-v{version}/f{n}.txt"), self.files + n));
        let content = |n: usize| {
            let of = if n < self.files && n % SHARED == 1 { 0 } else { version };
            let lines = if n % LARGE == 3 { 4000 } else { self.lines + n % 7 };
            content(self.name, of, n, lines)
        };
        ordinary.chain(own).map(|(path, n)| File::new(&path, content(n))).collect()
    }
}

fn content(name: &str, version: u32, number: usize, lines: usize) -> String {
    let mut body = String::new();
    for line in 0..lines {
        writeln!(body, "line {line} of file {number} in version {version} of {name}").expect("memory");
    }
    format!("{MARK} {name} v{version} {number} {}\n{body}", hash(body.as_bytes()))
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// What the first line of a file says: repository, version, number, hash of the rest.
fn claims(line: &str) -> Option<(&str, u32, usize, &str)> {
    let mut words = line.split(' ');
    if words.next()? != MARK {
        return None;
    }
    let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?.parse().ok()?);
    Some((name, version, words.next()?.parse().ok()?, words.next()?))
}

/// The version of a file of repository `name` by its first line alone; `None` if that is of no file.
pub fn version_by_line(name: &str, line: &str) -> Option<u32> {
    claims(line).filter(|claims| claims.0 == name).map(|claims| claims.1)
}

/// The version of a file at `path` in a view of repository `name`, after every byte was hashed. The
/// error says what is wrong with it.
pub fn version_of(name: &str, path: &Path, bytes: &[u8]) -> Result<u32, String> {
    let wrong = |why: &str| {
        let start = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]);
        Err(format!("{}: {why}: {} bytes, {start:?}", path.display(), bytes.len()))
    };
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return wrong("no first line") };
    let line = String::from_utf8_lossy(&bytes[..end]);
    let Some((of, version, number, said)) = claims(&line) else { return wrong("not a file of the soak") };
    if of != name {
        return wrong("a file of another repository");
    }
    let file = path.file_stem().and_then(|stem| stem.to_str()?.strip_prefix('f')?.parse().ok());
    let own = path.parent().and_then(|parent| parent.file_name()?.to_str()?.strip_prefix("of-v"));
    let placed = match own {
        Some(own) => {
            own.parse() == Ok(version) && file.map(|file: usize| file + shape(name).files) == Some(number)
        }
        None => file == Some(number),
    };
    match placed {
        false => wrong("a file of another place"),
        true if hash(&bytes[end + 1..]) != said => wrong("its bytes are not what their hash says"),
        true => Ok(version),
    }
}

/// One version for all that was seen; files that are the same in all versions fit every one.
#[derive(Clone, Copy, Debug, Default)]
pub struct OneVersion(Option<u32>);

impl OneVersion {
    /// Notes what one more file says; the other version if there are two.
    pub fn see(&mut self, version: u32) -> Result<(), u32> {
        match (version, self.0) {
            (0, _) => Ok(()),
            (_, None) => {
                self.0 = Some(version);
                Ok(())
            }
            (_, Some(first)) if first == version => Ok(()),
            (_, Some(first)) => Err(first),
        }
    }

    /// The version; 0 if nothing that tells was seen.
    pub fn get(self) -> u32 {
        self.0.unwrap_or_default()
    }
}
