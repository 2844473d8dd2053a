//! What nobody uses is given back; what somebody uses stays as it is.

use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use crate::memory::*;

/// Whether the kernel holds nothing of the views but what is newest and bound.
fn baseline(mount: &Mount) -> bool {
    mount.monitor.report().views.iter().all(|view| view.newest && view.bound)
}

fn retire_while_used(prune: bool) {
    let mount = Mount::with(|config| {
        config.prune = prune;
        // This process has walked the view itself.
        config.quiet = Duration::from_secs(1);
    });
    let old = mount.tree.bind("v", versioned("old", 3000));
    walk(&mount.path("v")).unwrap();
    assert!(!mount.path("v/d001/.gitignore").exists());
    let mut open = std::fs::File::open(mount.path("v/d000/e/f1")).unwrap();
    let mut shell = Shell::start(&mount.path("v/d001"));
    mount.tree.bind("v", versioned("new", 10));
    mount.barrier();
    assert_eq!(cat(&mount, "v/d000/e/f1"), "new 1\n");

    // The shell is in the old view for good: its directory has a name, and relative paths lead into it.
    assert!(shell.ask("pwd -P").ends_with("/d001"));
    assert_eq!(shell.ask("cat e/f11"), "old 11");
    assert_eq!(shell.ask("ls e | wc -l"), "10");
    let mut text = String::new();
    open.read_to_string(&mut text).unwrap();
    assert_eq!(text, "old 1\n");
    wait("everything unused to be given back", || {
        let report = mount.monitor.report();
        report.views.iter().any(|view| !view.bound && view.references < 40)
    });
    assert_eq!(shell.ask("cat ../d002/e/f21"), "old 21", "a name that was given back is found again");
    shell.ask("cd /");
    let mut byte = [0];
    open.read_exact_at(&mut byte, 0).unwrap();
    assert!(old.snapshot.upgrade().is_some());
    drop(open);
    wait("the snapshot to be let go while the mount lives", || old.snapshot.upgrade().is_none());
    wait("only the newest view to be left", || baseline(&mount));
}

#[test]
fn a_replaced_view_goes_on_for_its_users_and_is_given_back_after_them() {
    retire_while_used(true);
}

#[test]
fn the_same_on_a_kernel_that_cannot_prune() {
    retire_while_used(false);
}

#[test]
fn getcwd_works_in_the_root_of_a_replaced_view() {
    let mount = Mount::new();
    mount.tree.bind("v", versioned("old", 20));
    mount.tree.bind("other", versioned("other", 20));
    let mut shell = Shell::start(&mount.path("v"));
    assert_eq!(shell.ask("cat d000/e/f1"), "old 1");
    mount.tree.bind("v", versioned("new", 20));
    mount.barrier();
    for _ in 0..5 {
        assert_eq!(cat(&mount, "v/d000/e/f1"), "new 1\n");
        let here = shell.ask("env pwd -P");
        assert!(!here.is_empty(), "getcwd failed");
        assert_eq!(shell.ask("cat d000/e/f2"), "old 2");
        assert_eq!(shell.ask(&format!("cat {here}/d000/e/f3")), "old 3", "and names the same snapshot");
        assert_eq!(shell.ask("cat ../v/d000/e/f4"), "old 4", "it is still called v");
        assert_eq!(shell.ask("cat ../other/d000/e/f4"), "other 4", "and has its siblings beside it");
    }
}

#[test]
fn getcwd_works_in_the_newest_view_while_a_process_on_the_old_one_walks() {
    let mount = Mount::new();
    mount.tree.bind("v", versioned("old", 20));
    let mut walker = Shell::start(&mount.path("."));
    // By the shell itself, not by a process that it starts.
    let look = "read -r line < v/d000/e/f1; echo $line";
    assert_eq!(walker.ask(look), "old 1");
    mount.tree.bind("v", versioned("new", 20));
    mount.barrier();
    let mut shell = Shell::start(&mount.path("v"));
    assert_eq!(shell.ask("cat d000/e/f1"), "new 1");
    assert_eq!(walker.ask(look), "old 1", "which takes the name from the newest");
    // Where that is allowed: the kernel then holds nothing of the old one any more, and the newest has no
    // name all the same.
    let _ = std::fs::write("/proc/sys/vm/drop_caches", "2");
    wait("the directory to have a name again", || shell.ask("readlink /proc/$$/cwd").ends_with("/v"));
    assert_eq!(shell.ask("cat d000/e/f2"), "new 2");
    assert_eq!(cat(&mount, "v/d000/e/f2"), "new 2\n", "and a new process gives it its own back");
    wait("the directory to have a name", || shell.ask("readlink /proc/$$/cwd").ends_with("/v"));
}

#[test]
fn getcwd_works_in_the_newest_view_whose_name_the_last_process_on_the_old_one_took() {
    let (place, last) = (Arc::new(OnceLock::<PathBuf>::new()), Arc::new(Mutex::new(None::<Shell>)));
    let look = "read -r line < v/d000/e/f1; echo $line";
    let give_back = |mount: &Path| Command::new("cat").arg(mount.join("v/d000/e/f2")).output().unwrap();
    let mount = Mount::with(|config| {
        let (place, last) = (place.clone(), last.clone());
        config.park = Some(Arc::new(move |paths: &[PathBuf]| {
            let mount = place.get().unwrap();
            Command::new("stat").args(paths.iter().map(|path| mount.join(path))).output().unwrap();
            // Between the look at who works where and the end of the drain.
            if let Some(mut walker) = last.lock().unwrap().take() {
                give_back(mount);
                assert_eq!(walker.ask(look), "old 1");
            }
        }));
    });
    place.set(mount.path("")).unwrap();
    mount.tree.bind("v", versioned("old", 20));
    let mut walker = Shell::start(&mount.path("."));
    assert_eq!(walker.ask(look), "old 1");
    mount.tree.bind("v", versioned("new", 20));
    mount.barrier();
    let mut shell = Shell::start(&mount.path("v"));
    // Until the walker alone is what keeps the old one.
    std::thread::sleep(Duration::from_secs(3));
    give_back(&mount.path(""));
    assert_eq!(walker.ask(look), "old 1");
    *last.lock().unwrap() = Some(walker);
    mount.wait("the old view not to be offered any more", |report| {
        report.views.iter().all(|view| view.newest)
    });
    wait("the directory to have a name again", || shell.ask("readlink /proc/$$/cwd").ends_with("/v"));
}

#[test]
fn a_shell_in_the_newest_view_keeps_its_directory_while_a_file_of_the_old_one_is_open() {
    let mount = Mount::with(|config| {
        config.prune = false;
        config.quiet = Duration::from_secs(1);
    });
    mount.tree.bind("v", versioned("old", 20));
    let script = r#"exec 3< "$0"; exec sleep 1000"#;
    let holder = Command::new("sh").args(["-c", script]).arg(mount.path("v/d000/e/f1")).spawn().unwrap();
    let _holder = Running(holder);
    mount.wait("the file to be opened", |report| report.views.iter().any(|view| view.references > 3));
    mount.tree.bind("v", versioned("new", 20));
    mount.barrier();
    let mut shell = Shell::start(&mount.path("v"));
    mount.wait("the old view not to be offered any more", |report| {
        report.views.iter().any(|view| !view.bound)
    });
    // The passes over the old view come once a second.
    for _ in 0..4 {
        std::thread::sleep(Duration::from_secs(1));
        // Not pwd, which may go by its environment.
        let here = shell.ask("readlink /proc/$$/cwd");
        assert!(here.ends_with("/v"), "{here}");
        assert_eq!(shell.ask("cat d000/e/f2"), "new 2");
    }
}

#[test]
fn an_idle_view_is_given_back_and_an_open_file_keeps_it() {
    let mount = Mount::with(|config| config.idle = Duration::from_secs(2));
    let view = mount.tree.bind("v", versioned("1", 500));
    walk(&mount.path("v")).unwrap();
    let open = std::fs::File::open(mount.path("v/d000/e/f1")).unwrap();
    wait("the unused nodes to be given back", || {
        mount.monitor.report().views.iter().all(|view| view.references < 10)
    });
    assert_eq!(std::io::read_to_string(&open).unwrap(), "1 1\n");
    drop(open);
    wait("the idle view to be let go", || view.snapshot.upgrade().is_none());
}

#[test]
fn who_works_in_an_idle_view_is_not_emptied_again_and_again() {
    let mount = Mount::with(|config| config.idle = Duration::from_secs(4));
    mount.tree.bind("v", versioned("1", 500));
    // By relative paths: nobody ever asks for the name again.
    let mut shell = Shell::start(&mount.path("v"));
    shell.ask("cat d*/e/*");
    let read: Vec<u64> = (0..10)
        .map(|_| {
            let before = mount.requests("READ");
            assert_eq!(shell.ask("cat d*/e/* | wc -l"), "500");
            std::thread::sleep(Duration::from_secs(1));
            mount.requests("READ") - before
        })
        .collect();
    // Now and then the idle time passes, and other tests drop the kernel's caches; but not every second.
    let from_the_start = read.iter().filter(|&&read| read > 250).count();
    assert!(from_the_start <= 5, "given back again and again: {read:?}");
}

#[test]
fn a_mapped_file_and_a_running_program_go_on() {
    let mount = Mount::with(|config| config.quiet = Duration::from_secs(1));
    let program = std::fs::read("/bin/sleep").unwrap();
    let tree = [("sleep".into(), Content::File(program, true))].into_iter().collect();
    let old = mount.tree.bind("v", MemorySnapshot::new(&tree));
    let mut running = Running(Command::new(mount.path("v/sleep")).arg("1000").spawn().unwrap());
    mount.tree.bind("v", versioned("new", 1));
    mount.barrier();
    assert_eq!(cat(&mount, "v/d000/e/f0"), "new 0\n");
    wait("the view not to be offered any more", || {
        mount.monitor.report().views.iter().any(|view| !view.bound)
    });
    assert!(running.0.try_wait().unwrap().is_none(), "the program goes on");
    assert!(old.snapshot.upgrade().is_some());
    drop(running);
    wait("the snapshot to be let go", || old.snapshot.upgrade().is_none());
}

#[test]
fn dropped_caches_give_everything_back() {
    let mount = Mount::new();
    mount.tree.bind("v", versioned("1", 1000));
    if std::fs::write("/proc/sys/vm/drop_caches", "2").is_err() {
        eprintln!("skipped: only root may drop the kernel's caches");
        return;
    }
    for _ in 0..5 {
        // Another test may drop them meanwhile.
        wait("a walk to be counted", || {
            walk(&mount.path("v")).unwrap();
            mount.monitor.report().views[0].references > 1000
        });
        wait("counts to return", || {
            std::fs::write("/proc/sys/vm/drop_caches", "2").unwrap();
            mount.monitor.report().views.iter().all(|view| view.references <= 1)
        });
    }
}

#[test]
fn an_unmounted_view_is_served_to_the_last_close() {
    let mount = Mount::new();
    mount.tree.bind("v", versioned("1", 200));
    let mut open = std::fs::File::open(mount.path("v/d000/e/f1")).unwrap();
    mount.detach();
    assert!(!mount.path("v").exists());
    let mut text = String::new();
    open.read_to_string(&mut text).unwrap();
    assert_eq!(text, "1 1\n");
}

fn cat(mount: &Mount, path: &str) -> String {
    let out = Command::new("cat").arg(mount.path(path)).output().unwrap();
    String::from_utf8(out.stdout).unwrap()
}

/// A process that ends with the test, also when that fails.
struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A shell that stands in a directory.
struct Shell {
    child: std::process::Child,
    to: std::process::ChildStdin,
    from: std::io::BufReader<std::process::ChildStdout>,
}

impl Shell {
    fn start(directory: &Path) -> Self {
        use std::process::Stdio;
        let mut command = Command::new("sh");
        command.current_dir(directory).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let to = child.stdin.take().unwrap();
        let from = std::io::BufReader::new(child.stdout.take().unwrap());
        Shell { child, to, from }
    }

    /// What a command prints, without the last newline.
    fn ask(&mut self, command: &str) -> String {
        use std::io::{BufRead, Write};
        writeln!(self.to, "{command}; echo @end").unwrap();
        let mut text = String::new();
        while !text.ends_with("@end\n") {
            assert_ne!(self.from.read_line(&mut text).unwrap(), 0, "the shell ended: {text}");
        }
        text.trim_end_matches("@end\n").trim_end().to_owned()
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
