//! What a process does, read from outside: halted or not, wanted by a signal or not.

use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use srcfs_mount::process::{self, Identity};

use crate::daemon::Daemon;
use crate::stage::{Running, Scratch, command, is_root, until};

fn identity(running: &Running) -> Identity {
    Identity::of_thread(running.pid()).unwrap()
}

fn send(running: &Running, signal: Signal) {
    kill(Pid::from_raw(running.pid() as i32), signal).unwrap();
}

/// Sees the state a few times, since one look could fall into a moment between two.
fn stays(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..20 {
        assert!(holds(), "{what}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn a_writer_whose_reader_does_not_read_is_halted_and_a_reader_is_not() {
    // Nobody reads the pipe to the test.
    let writer = Running::start(&mut command("yes"));
    until("yes has filled the pipe", || process::is_halted(identity(&writer)));
    stays("yes stays halted", || process::is_halted(identity(&writer)));
    assert_eq!(process::command(writer.pid()), "yes");

    let reader = Running::start(&mut command("cat"));
    until("cat has started", || process::command(reader.pid()) == "cat");
    stays("cat waits for input and is not halted", || !process::is_halted(identity(&reader)));
}

#[test]
fn a_writer_to_a_full_socket_is_halted() {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let mut child = command("yes").stdout(Stdio::from(std::os::fd::OwnedFd::from(theirs))).spawn().unwrap();
    let identity = Identity::of_thread(child.id()).unwrap();
    until("yes has filled the socket", || process::is_halted(identity));
    drop(ours);
    child.wait().unwrap();
    assert!(!process::is_alive(identity));
    assert!(!process::is_halted(identity));
}

#[test]
fn a_stopped_process_is_halted_until_it_goes_on() {
    let mut sleeper = Running::start(command("sleep").arg("1000"));
    let identity = identity(&sleeper);
    assert!(!process::is_halted(identity));
    send(&sleeper, Signal::SIGSTOP);
    until("it has stopped", || process::is_halted(identity));
    send(&sleeper, Signal::SIGCONT);
    until("it goes on", || !process::is_halted(identity));
    assert!(process::is_alive(identity));
    sleeper.child.kill().unwrap();
    until("it is a zombie, which is not alive", || !process::is_alive(identity));
}

#[test]
fn a_process_that_started_after_a_tick_says_so() {
    let before = process::boot_ticks_now();
    until("the next tick", || process::boot_ticks_now() > before);
    let sleeper = Running::start(command("sleep").arg("1000"));
    let start = identity(&sleeper).start;
    assert!(start > before && start <= process::boot_ticks_now(), "{before} {start}");
}

#[test]
fn a_signal_to_a_caller_that_waits_in_the_mount_is_seen_unless_it_is_ignored() {
    if !is_root("a_signal_to_a_caller_that_waits_in_the_mount_is_seen_unless_it_is_ignored") {
        return;
    }
    let scratch = Scratch::new();
    let daemon = Daemon::start(&scratch.mount_point());
    std::fs::metadata(scratch.mount_point()).unwrap();
    daemon.hang();
    // Two names: a second caller of one name does not wait in a request of its own.
    let waiting = |name: &str, script: &str| {
        let script = format!("{script} exec stat {}/{name} 2>/dev/null", scratch.mount_point().display());
        let running = Running::start(command("sh").args(["-c", &script]));
        until("it waits in the mount", || {
            let wchan = std::fs::read_to_string(format!("/proc/{}/wchan", running.pid()));
            wchan.is_ok_and(|name| name.contains("request_wait"))
        });
        running
    };
    let plain = waiting("a", "");
    let ignores = waiting("b", "trap '' INT;");
    for running in [&plain, &ignores] {
        assert!(!process::caught_or_fatal_signal_pending(running.pid()));
        send(running, Signal::SIGWINCH);
        send(running, Signal::SIGINT);
    }
    until("the signal is seen", || process::caught_or_fatal_signal_pending(plain.pid()));
    stays("an ignored signal is none", || !process::caught_or_fatal_signal_pending(ignores.pid()));
    send(&ignores, Signal::SIGKILL);
    until("SIGKILL cannot be ignored", || process::caught_or_fatal_signal_pending(ignores.pid()));
    // Before the children are collected, or they would wait for an answer for ever.
    drop(daemon);
}
