//! One process, one snapshot under a name; a process started after a change sees it.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use crate::memory::*;

/// A process that reads files by their full path, one for each line it is sent.
struct Reader {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Reader {
    fn start() -> Self {
        let mut child = Command::new("sh")
            .args(["-c", r#"while IFS= read -r path; do IFS= read -r line < "$path" && echo "$line" || echo error; done"#])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, from) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Reader { child, to, from }
    }

    fn read(&mut self, path: &Path) -> String {
        writeln!(self.to, "{}", path.display()).unwrap();
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_process_keeps_its_snapshot_and_the_next_one_sees_the_change() {
    let mount = Mount::new();
    mount.tree.bind("v", versioned("old", 20));
    let mut walker = Reader::start();
    assert_eq!(walker.read(&mount.path("v/d000/e/f1")), "old 1");
    mount.tree.bind("v", versioned("new", 20));
    mount.barrier();
    for n in 0..20 {
        let path = mount.path(&format!("v/d{:03}/e/f{n}", n / 10));
        assert_eq!(walker.read(&path), format!("old {n}"), "the walk goes on");
        assert_eq!(Reader::start().read(&path), format!("new {n}"), "a new process");
    }
}

#[test]
fn who_opened_it_before_the_kernel_was_told_of_the_change_keeps_it_however_late_it_looks_again() {
    let mount = Mount::new();
    mount.tree.bind("dir/v", versioned("old", 20));
    let gate = Arc::new(Gate::default());
    mount.tree.list_slowly("dir", &gate);
    std::thread::scope(|threads| {
        // The first answer is not remembered: nothing had been opened yet.
        let mut first = Reader::start();
        for _ in 0..2 {
            assert_eq!(first.read(&mount.path("dir/v/d000/e/f1")), "old 1");
        }
        // While a directory is listed the kernel cannot be told of its names.
        threads.spawn(|| std::fs::read_dir(mount.path("dir")).unwrap().count());
        wait("the listing", || gate.waiting.load(SeqCst) > 0);
        mount.tree.bind("dir/v", versioned("new", 20));
        threads.spawn(|| mount.barrier());
        threads.spawn(|| {
            std::thread::sleep(Duration::from_millis(700));
            gate.open();
        });
        // By then the daemon has noticed the change, and the kernel still answers for the name by itself.
        std::thread::sleep(Duration::from_millis(200));
        let mut walker = Command::new("sh")
            .args(["-c", r#"exec 3< "$0"; cat "$0/d000/e/f1"; sleep 3; IFS= read -r line < "$0/d000/e/f2"; echo "$line""#])
            .arg(mount.path("dir/v"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut seen = String::new();
        std::io::Read::read_to_string(&mut walker.stdout.take().unwrap(), &mut seen).unwrap();
        assert!(walker.wait().unwrap().success());
        assert_eq!(seen.split_whitespace().step_by(2).collect::<Vec<_>>(), ["old", "old"], "{seen:?}");
    });
}

#[test]
fn the_drain_ends_when_the_last_walker_does_and_the_old_snapshot_is_let_go() {
    let mount = Mount::new();
    let old = mount.tree.bind("v", versioned("old", 20));
    let mut walker = Reader::start();
    walker.read(&mount.path("v/d000/e/f1"));
    mount.tree.bind("v", versioned("new", 20));
    mount.barrier();
    walker.read(&mount.path("v/d000/e/f2"));
    assert!(old.snapshot.upgrade().is_some());
    drop(walker);
    wait("the old snapshot to be let go", || old.snapshot.upgrade().is_none());
}

#[test]
fn a_quiet_process_gets_the_newest_and_a_stopped_one_keeps_its_own() {
    let mount = Mount::with(|config| config.quiet = Duration::from_secs(3));
    mount.tree.bind("v", versioned("old", 20));
    let (mut quiet, mut stopped) = (Reader::start(), Reader::start());
    for reader in [&mut quiet, &mut stopped] {
        assert_eq!(reader.read(&mount.path("v/d000/e/f1")), "old 1");
    }
    mount.tree.bind("v", versioned("new", 20));
    mount.barrier();
    for reader in [&mut quiet, &mut stopped] {
        assert_eq!(reader.read(&mount.path("v/d000/e/f2")), "old 2");
    }
    let pid = nix::unistd::Pid::from_raw(stopped.child.id() as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGSTOP).unwrap();
    // Until the walk of the quiet process has ended for the mount; there is no other sign of it.
    std::thread::sleep(Duration::from_secs(6));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGCONT).unwrap();
    assert_eq!(stopped.read(&mount.path("v/d000/e/f3")), "old 3");
    assert_eq!(quiet.read(&mount.path("v/d000/e/f3")), "new 3");
}

#[test]
fn nobody_holds_the_old_one_longer_than_the_bound() {
    let mount = Mount::with(|config| config.max_drain = Duration::from_secs(2));
    let old = mount.tree.bind("v", versioned("old", 20));
    let mut walker = Reader::start();
    assert_eq!(walker.read(&mount.path("v/d000/e/f1")), "old 1");
    mount.tree.bind("v", versioned("new", 20));
    mount.barrier();
    wait("the bound to pass for a process that asks all the time", || {
        let mut walker = Reader::start();
        walker.read(&mount.path("v/d000/e/f1")) == "new 1" && old.snapshot.upgrade().is_none()
    });
    assert_eq!(walker.read(&mount.path("v/d000/e/f1")), "new 1");
}

#[test]
fn whole_walks_see_one_version_each_while_the_content_changes() {
    let mount = Arc::new(Mount::new());
    mount.tree.bind("v", versioned("0", 300));
    let over = Arc::new(AtomicBool::new(false));
    let changes = std::thread::spawn({
        let (mount, over) = (mount.clone(), over.clone());
        move || {
            let mut version = 0;
            while !over.load(SeqCst) {
                version += 1;
                mount.tree.bind("v", versioned(&version.to_string(), 300));
                mount.barrier();
                std::thread::sleep(Duration::from_millis(150));
            }
            version
        }
    });
    let walks: Vec<_> = (0..3)
        .map(|_| {
            let view = mount.path("v");
            std::thread::spawn(move || {
                for _ in 0..40 {
                    // Each walk is a process of its own that opens every file by its full path.
                    let script = r#"for d in "$0"/*; do for f in "$d"/e/*; do IFS= read -r l < "$f" && echo "$l" || echo error; done; done"#;
                    let out = Command::new("sh").args(["-c", script]).arg(&view).output().unwrap();
                    let text = String::from_utf8(out.stdout).unwrap();
                    let mut versions: Vec<&str> = text.lines().map(|line| line.split(' ').next().unwrap()).collect();
                    assert_eq!(versions.len(), 300, "{text} {}", String::from_utf8_lossy(&out.stderr));
                    versions.dedup();
                    assert_eq!(versions.len(), 1, "a torn walk: {versions:?}");
                }
            })
        })
        .collect();
    for walk in walks {
        walk.join().unwrap();
    }
    over.store(true, SeqCst);
    assert!(changes.join().unwrap() > 3, "the content changed while it was walked");
}

#[test]
fn a_name_that_ends_is_gone_for_new_lookups_and_its_readers_go_on() {
    let mount = Mount::new();
    let view = mount.tree.bind("kind/v", versioned("1", 20));
    let file = std::fs::File::open(mount.path("kind/v/d000/e/f1")).unwrap();
    mount.tree.remove("kind/v");
    mount.barrier();
    wait("the name to be gone", || !mount.path("kind/v").exists());
    assert_eq!(std::io::read_to_string(&file).unwrap(), "1 1\n");
    drop(file);
    wait("the snapshot to be let go", || view.snapshot.upgrade().is_none());
}
