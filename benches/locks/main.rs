//! Measures locks and what waits for them: the rows `locks` of `scripts/bench`.
//!
//!     cargo bench --bench locks -- --results FILE --notes FILE [--quick]
//!
//! Everything is done by real processes on a real cache. Locks are taken with `Cache::hold_lock`, which is
//! what the cache itself calls, so whatever backend a cache has is what is measured; it is hidden from the
//! documentation, because it is of no use to anybody else. Times are CLOCK_MONOTONIC, which all
//! processes of a machine share. Nothing here fails because it is slow: the table says what is met.
#![allow(clippy::disallowed_methods, reason = "a measurement starts programs of its own")]
#![allow(missing_docs, reason = "a program, of which nobody calls anything")]

mod crowd;
#[path = "../../tests/harness.rs"]
mod harness;
mod held;
mod holders;
#[path = "../../tests/harness/program.rs"]
mod program;

use std::fmt::Display;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::harness::git_server::GitServer;
use crate::harness::repository::{File as Content, Repository};
use crate::program::Program;

/// Where measurements go.
pub struct Sheet {
    results: File,
    notes: File,
    /// How many rounds, of which a quick run does a tenth.
    quick: bool,
}

impl Sheet {
    /// One measurement of a row of `scripts/bench.d/table.py`, in seconds.
    pub fn record(&mut self, row: &str, seconds: f64) {
        writeln!(self.results, "{row}\tours\t{seconds:.9}").expect("the results can be written");
    }

    /// What it is compared with.
    pub fn record_rival(&mut self, row: &str, seconds: f64) {
        writeln!(self.results, "{row}\trival\t{seconds:.9}").expect("the results can be written");
    }

    /// What stands in the last column.
    pub fn note(&mut self, row: &str, text: impl Display) {
        writeln!(self.notes, "{row}\t{text}").expect("the notes can be written");
    }

    /// So many rounds.
    pub fn rounds(&self, many: usize) -> usize {
        if self.quick { many.div_ceil(10) } else { many }
    }
}

/// The clock that all processes of the machine share.
pub fn now() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).expect("a clock").into()
}

/// Which value stands at this part of sorted ones.
pub fn part(sorted: &[f64], part: f64) -> f64 {
    let last = sorted.len() - 1;
    sorted[((sorted.len() as f64 * part) as usize).min(last)]
}

/// A program with a cache of its own, and a server whose repositories it may read.
pub fn world() -> (Program, GitServer) {
    let program = Program::new();
    let root = program.path().join("srv");
    std::fs::create_dir_all(&root).expect("a directory");
    let server = GitServer::start(&root);
    let url = server.url("{path}.git");
    program.configure(&format!("refresh = \"never\"\n[[host]]\nname = \"bench.test\"\nurl = \"{url}\"\n"));
    (program, server)
}

/// A repository of the server with these files; it is `git/bench.test/team/<name>`.
pub fn repository(program: &Program, name: &str, files: &[Content]) -> Repository {
    let mut repository = Repository::new(program.path().join(format!("srv/team/{name}.git")));
    repository.configure("uploadpack.allowAnySHA1InWant", "true");
    repository.commit(files);
    repository
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let open = |path: &str| {
        let file = File::options().create(true).append(true).open(path);
        file.unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let mut sheet = match words[..] {
        ["--hold", cache, url] => return holders::hold(Path::new(cache), url),
        ["--results", results, "--notes", notes, ref rest @ ..] => {
            Sheet { results: open(results), notes: open(notes), quick: *rest == ["--quick"] }
        }
        _ => Sheet { results: open("/dev/stdout"), notes: open("/dev/stdout"), quick: words == ["--quick"] },
    };
    holders::uncontended(&mut sheet);
    holders::handed_over(&mut sheet);
    holders::killed(&mut sheet);
    held::under_load(&mut sheet);
    crowd::cold_key(&mut sheet);
}
