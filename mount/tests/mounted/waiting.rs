//! Slow names: they hold up nobody else, and whoever waits can be told to stop.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use crate::memory::*;

fn reader(mount: &Mount, path: &str) -> Child {
    Command::new("cat").arg(mount.path(path)).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn kill(child: &Child, signal: nix::sys::signal::Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id() as i32), signal).unwrap();
}

#[test]
fn a_slow_name_holds_up_none_of_its_siblings() {
    let mount = Mount::new();
    let gate = Arc::new(Gate::default());
    for n in 0..64 {
        mount.tree.bind_slow(&format!("kind/slow{n}"), versioned("1", 10), &gate);
    }
    mount.tree.bind("kind/fast", versioned("1", 10));
    let slow: Vec<Child> = (0..64).map(|n| reader(&mount, &format!("kind/slow{n}/d000/e/f1"))).collect();
    mount.wait("all to wait", |report| report.waiting.len() == 64);
    assert_eq!(std::fs::read_to_string(mount.path("kind/fast/d000/e/f1")).unwrap(), "1 1\n");
    assert_eq!(std::fs::read_dir(mount.path("kind")).unwrap().count(), 65);
    mount.tree.bind("kind/fast", versioned("2", 10));
    mount.barrier();
    let out = Command::new("cat").arg(mount.path("kind/fast/d000/e/f1")).output().unwrap();
    assert_eq!(out.stdout, b"2 1\n", "a sibling changes, is looked up and read");
    gate.open();
    for child in slow {
        assert_eq!(child.wait_with_output().unwrap().stdout, b"1 1\n");
    }
}

#[test]
fn any_number_of_readers_open_a_view_once() {
    let mount = Mount::new();
    let gate = Arc::new(Gate::default());
    let view = mount.tree.bind_slow("v", versioned("1", 10), &gate);
    let readers: Vec<Child> = (0..20).map(|n| reader(&mount, &format!("v/d000/e/f{}", n % 10))).collect();
    mount.wait("somebody to wait", |report| !report.waiting.is_empty());
    gate.open();
    for reader in readers {
        assert!(reader.wait_with_output().unwrap().status.success());
    }
    assert_eq!(view.opened.load(SeqCst), 1);
}

#[test]
fn every_waiting_caller_of_a_name_can_be_killed() {
    use nix::sys::signal::Signal::{SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGTERM};
    let mount = Mount::new();
    let gate = Arc::new(Gate::default());
    mount.tree.bind_slow("v", versioned("1", 10), &gate);
    for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGKILL] {
        let readers: Vec<Child> = (0..3).map(|_| reader(&mount, "v")).collect();
        mount.wait("all to wait", |report| report.waiting.len() == 3);
        for reader in &readers {
            kill(reader, signal);
        }
        for reader in readers {
            use std::os::unix::process::ExitStatusExt;
            assert_eq!(reader.wait_with_output().unwrap().status.signal(), Some(signal as i32));
        }
        mount.wait("nobody to wait", |report| report.waiting.is_empty());
    }
    gate.open();
}

#[test]
fn a_signal_that_is_ignored_ends_nothing() {
    let mount = Mount::new();
    let gate = Arc::new(Gate::default());
    mount.tree.bind_slow("v", versioned("1", 10), &gate);
    let script = r#"trap '' INT; cat "$0""#;
    let mut ignoring = Command::new("sh");
    ignoring.args(["-c", script]).arg(mount.path("v/d000/e/f1")).stdout(Stdio::piped());
    let ignoring = ignoring.spawn().unwrap();
    mount.wait("it to wait", |report| report.waiting.len() == 1);
    let tid = mount.monitor.report().waiting[0].tid;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(tid as i32), nix::sys::signal::Signal::SIGINT).unwrap();
    // Long enough for the watch to have looked several times.
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(mount.monitor.report().waiting.len(), 1);
    gate.open();
    assert_eq!(ignoring.wait_with_output().unwrap().stdout, b"1 1\n");
}

#[test]
fn a_wait_ends_at_its_bound_and_the_next_try_joins_the_work() {
    let mount = Mount::with(|config| config.reply_bound = Duration::from_secs(1));
    let gate = Arc::new(Gate::default());
    let view = mount.tree.bind_slow("v", versioned("1", 10), &gate);
    let out = reader(&mount, "v/d000/e/f1").wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&out.stderr).contains("timed out"), "{out:?}");
    gate.open();
    wait("the work to end", || reader(&mount, "v/d000/e/f1").wait_with_output().unwrap().stdout == b"1 1\n");
    assert_eq!(view.opened.load(SeqCst), 1);
}

#[test]
fn existence_is_decided_before_anything_is_opened() {
    let mount = Mount::new();
    mount.tree.bind_absent("kind/absent");
    let error = std::fs::metadata(mount.path("kind/absent")).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    let error = std::fs::read(mount.path("kind/absent/file")).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    let view = mount.tree.bind("kind/there", versioned("1", 10));
    assert!(std::fs::metadata(mount.path("kind/there")).unwrap().is_dir());
    assert_eq!(view.opened.load(SeqCst), 0, "a stat of a known name opens nothing");
    // Not listed by a walk of the name space either.
    let listed = Command::new("ls").arg("-l").arg(mount.path("kind")).output().unwrap();
    assert!(String::from_utf8_lossy(&listed.stdout).contains("there"), "{listed:?}");
    assert_eq!(view.opened.load(SeqCst), 0);
}

#[test]
fn barriers_that_hang_hold_up_nobody_and_can_be_killed() {
    use std::os::unix::process::ExitStatusExt;
    let gate = Arc::new(Gate::default());
    let hangs = gate.clone();
    let mount = Mount::with(|config| config.park = Some(Arc::new(move |_| hangs.pass())));
    mount.tree.bind("v", versioned("old", 10));
    mount.tree.bind("other", versioned("1", 10));
    std::fs::read(mount.path("v/d000/e/f1")).unwrap();
    let mut worker = Command::new("sleep").arg("60").current_dir(mount.path("v")).spawn().unwrap();
    mount.tree.bind("v", versioned("new", 10));
    let barriers: Vec<Child> = (0..8).map(|n| reader(&mount, &format!(".srcfs/sync-hangs{n}"))).collect();
    mount.wait("all to wait", |report| report.waiting.len() == 8 && gate.waiting.load(SeqCst) > 0);
    assert_eq!(std::fs::read_to_string(mount.path("other/d000/e/f1")).unwrap(), "1 1\n");
    for barrier in &barriers {
        kill(barrier, nix::sys::signal::Signal::SIGTERM);
    }
    for barrier in barriers {
        assert_eq!(
            barrier.wait_with_output().unwrap().status.signal(),
            Some(nix::sys::signal::Signal::SIGTERM as i32)
        );
    }
    worker.kill().unwrap();
    worker.wait().unwrap();
    gate.open();
}
