//! Whether a process stands still for a reason that is not its own: it is stopped, or it waits until
//! somebody takes what it writes. Such time does not count as a pause in its walk.
//!
//! Two witnesses, because neither can always be read. `wchan` names the kernel function a thread
//! sleeps in; any process of the same user may read it, but where writers and readers sleep in one
//! function (terminals, TCP) it proves nothing. `syscall` names the call and settles that; it needs
//! the right to trace (root, or the same user where Yama does not forbid it). What neither witness
//! proves is not halted. See proc_pid_wchan(5), proc_pid_syscall(5).

use std::fs;

use super::{Identity, Stat, is_alive};

/// Whether the process is stopped (all its threads), or one of its threads sleeps in a write to a
/// pipe, a terminal or a socket. `false` if it has ended or cannot be seen.
pub fn is_halted(identity: Identity) -> bool {
    if !is_alive(identity) {
        return false;
    }
    let Ok(threads) = fs::read_dir(format!("/proc/{}/task", identity.tgid)) else { return false };
    let mut seen = false;
    let mut all_stopped = true;
    for thread in threads.flatten() {
        let directory = thread.path();
        let Some(stat) = fs::read(directory.join("stat")).ok().and_then(|bytes| Stat::parse(&bytes)) else {
            continue;
        };
        if stat.is_ended_thread() {
            continue;
        }
        seen = true;
        all_stopped &= stat.is_stopped();
        if !stat.sleeps() {
            continue;
        }
        let read = |name| fs::read_to_string(directory.join(name)).unwrap_or_default();
        if sleeps_in_writer(&read("wchan")) || is_writing_call(&read("syscall")) {
            return true;
        }
    }
    seen && all_stopped
}

impl Stat {
    fn is_ended_thread(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }
}

/// Whether only writers to pipes, terminals and sockets sleep in that kernel function. Names of
/// fs/pipe.c, drivers/tty, net/core/sock.c, net/core/stream.c and net/unix/af_unix.c, old and new.
fn sleeps_in_writer(wchan: &str) -> bool {
    // The compiler's clones are called `name.isra.0`, `name.constprop.0`.
    let name = wchan.trim().split('.').next().unwrap_or_default();
    matches!(
        name,
        "pipe_write"
            | "anon_pipe_write"
            | "fifo_pipe_write"
            | "pipe_wait_writable"
            | "n_tty_write"
            | "tty_write"
            | "file_tty_write"
            | "tty_write_lock"
            | "tty_wait_until_sent"
            | "sock_write_iter"
            | "sock_alloc_send_pskb"
            | "sock_wait_for_wmem"
            | "sk_stream_wait_memory"
            | "unix_stream_sendmsg"
            | "unix_dgram_sendmsg"
            | "unix_wait_for_peer"
    )
}

/// Whether a `syscall` line tells of a call that writes. Its thread is known to sleep interruptibly:
/// writes to a disk do not, so what it writes to is a pipe, a terminal or a socket. Calls that read and
/// write (sendfile, splice) are left out: they may wait for what they read.
fn is_writing_call(line: &str) -> bool {
    // `running` when it does not sleep, `-1 ...` when it sleeps outside of a call.
    let Some(Ok(number)) = line.split_whitespace().next().map(str::parse::<libc::c_long>) else {
        return false;
    };
    [
        libc::SYS_write,
        libc::SYS_writev,
        libc::SYS_pwritev2,
        libc::SYS_sendto,
        libc::SYS_sendmsg,
        libc::SYS_sendmmsg,
    ]
    .contains(&number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writers_are_told_from_readers() {
        for name in
            ["pipe_write", "anon_pipe_write", "sock_alloc_send_pskb", "n_tty_write.isra.0", "pipe_write\n"]
        {
            assert!(sleeps_in_writer(name), "{name}");
        }
        for name in ["", "0", "wait_woken", "pipe_read", "anon_pipe_read", "do_poll", "request_wait_answer"] {
            assert!(!sleeps_in_writer(name), "{name}");
        }
        assert!(is_writing_call(&format!("{} 0x1 0x7f 0x10 0x0 0x0 0x0 0x7ffc 0x7fc5\n", libc::SYS_write)));
        assert!(!is_writing_call(&format!("{} 0x0 0x7f 0x10 0x0 0x0 0x0 0x7ffc 0x7fc5\n", libc::SYS_read)));
        assert!(!is_writing_call("running\n"));
        assert!(!is_writing_call("-1 0x7ffc 0x7fc5\n"));
        assert!(!is_writing_call(""));
    }
}
