//! Row "clear in a loop during whole-tree greps of three processes, one of them into a slow pager, one
//! stopped and continued": every walk whole, one snapshot each, no error; what the commit lock cost.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use srcfs::cache::{Cache, Options};
use srcfs::key::{GitUrl, Key};

use crate::commit_times::{LOG, summary};
use crate::harness::repository::{hermetic, many_files};
use crate::mounted::Mounted;
use crate::reader::Reader;
use crate::setting::{DOCS, KEY, Setting};

const MANY: usize = 1_500;
const CLEARS: usize = 40;
/// A grep of so much does not fit into a pipe, so a pager that is slow stops it.
const LINE: &str =
    ".........................................................................................";

#[test]
fn three_walks_are_whole_while_the_name_is_cleared_in_a_loop() {
    let mut setting = Setting::with("", &many_files(MANY, "v1"));
    let Setting { program, docs, server, .. } = &mut setting;
    let program = &*program;
    let mount = Mounted::with(program, "mount", |command| command.env(LOG.0, LOG.1));
    let view = mount.path(KEY);
    assert_eq!(Reader::play("walk", &view).end().lines(), [format!("v1 {MANY}")]);
    let mirror = Key::git(GitUrl::parse(&server.url(DOCS)).unwrap());
    let cache = Cache::open(&program.cache(), Options { reap: false, ..Options::default() }).unwrap();
    let clears = AtomicUsize::new(0);
    let logs = Mutex::new(String::new());
    let view = &view;
    let going_on = &|| clears.load(Ordering::SeqCst) < CLEARS;
    let versions = std::thread::scope(|scope| {
        let clearing = scope.spawn(|| {
            let _last = Last(&clears);
            for number in 1.. {
                // By turns as a verb does it, which waits and tells, and as fast as it can be done.
                if number % 10 == 0 {
                    docs.commit(&many_files(MANY, &format!("v{number}")));
                    let mut clear = program.command(&["clear", KEY]);
                    let cleared = clear.env(LOG.0, LOG.1).output().unwrap();
                    assert!(cleared.status.success(), "{cleared:?}");
                    logs.lock().unwrap().push_str(&String::from_utf8_lossy(&cleared.stderr));
                } else {
                    cache.clear(&mirror).unwrap();
                }
                // Somebody wants what is new, so that there is something to clear again.
                let listed = Reader::run("ls", &[view]).end();
                assert!(listed.status.success(), "{listed:?}");
                if clears.fetch_add(1, Ordering::SeqCst) + 1 >= CLEARS {
                    return;
                }
            }
        });
        let walks: [fn(&Path) -> String; 3] = [plain, paged, stopped];
        let walking = walks.map(|walk| {
            scope.spawn(move || {
                let mut versions = Vec::new();
                while going_on() || versions.is_empty() {
                    versions.push(walk(view));
                }
                versions
            })
        });
        let versions = walking.map(|walking| walking.join().unwrap());
        clearing.join().unwrap();
        versions
    });
    let logs = logs.into_inner().unwrap() + &mount.log();
    println!("{CLEARS} clears beside walks of {versions:?}; {}", summary(&logs));
    let distinct: BTreeSet<&String> = versions.iter().flatten().collect();
    assert!(distinct.len() > 1, "nothing changed beside them: {versions:?}");
    assert!(logs.contains("the commit lock of"));
}

/// Says that no more clears come, also if one of them failed.
struct Last<'c>(&'c AtomicUsize);

impl Drop for Last<'_> {
    fn drop(&mut self) {
        self.0.store(CLEARS, Ordering::SeqCst);
    }
}

/// Opens file by file; the version that all of them are of.
fn plain(view: &Path) -> String {
    whole(Reader::play("walk", view).end().lines().remove(0))
}

fn whole(said: String) -> String {
    let (version, count) = said.split_once(' ').unwrap();
    assert_eq!(count, MANY.to_string());
    version.to_owned()
}

/// Is stopped and continued half way.
fn stopped(view: &Path) -> String {
    let mut walk = Reader::play("walk in steps", view);
    assert_eq!(walk.line(), "half");
    for _ in 0..8 {
        walk.signal(Signal::SIGSTOP);
        std::thread::sleep(Duration::from_millis(40));
        walk.signal(Signal::SIGCONT);
        std::thread::sleep(Duration::from_millis(10));
    }
    walk.tell("go on");
    whole(walk.end().lines().remove(0))
}

/// Prints all to a pager that is slow.
fn paged(view: &Path) -> String {
    let script = format!("exec grep -r '' \"$1\" | sed 's/$/ {LINE}/'");
    let mut grep = hermetic("sh");
    grep.args(["-c", &script, "sh"]).arg(view).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut grep = grep.spawn().unwrap();
    let mut lines = Vec::new();
    for (n, line) in BufReader::new(grep.stdout.take().unwrap()).lines().enumerate() {
        lines.push(line.unwrap());
        if n % 100 == 0 {
            // That is what makes it slow; nothing waits for it.
            std::thread::sleep(Duration::from_millis(60));
        }
    }
    let ended = grep.wait_with_output().unwrap();
    assert!(ended.status.success() && ended.stderr.is_empty(), "{ended:?}");
    assert_eq!(lines.len(), MANY);
    let version = |line: &String| line.split(" of ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    let first = version(&lines[0]);
    assert!(lines.iter().all(|line| version(line) == first), "it is torn");
    first
}
