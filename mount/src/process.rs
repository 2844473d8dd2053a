//! What `/proc` tells of a process that asks: which one it is, whether it lives, whether a signal wants
//! it, and the clock by which its start is told.
//!
//! A process is known by its id and its start time ([`Identity`]), because ids are reused. Nothing
//! here fails: whoever cannot be seen (gone, another pid namespace, `hidepid`) gives `None` or `false`,
//! and each function says which. It reads `/proc` and the clock, never a file system that could hang,
//! and calls nothing else. See proc_pid_status(5) and proc_pid_stat(5).

use std::fs;
use std::io;

use nix::time::{ClockId, clock_gettime};
use nix::unistd::{SysconfVar, sysconf};

mod halted;

pub use halted::is_halted;

/// One life of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// The process id (the thread group's), in the pid namespace of this process.
    pub tgid: u32,
    /// When it started, in clock ticks since boot: comparable with [`boot_ticks_now`].
    pub start: u64,
}

impl Identity {
    /// The process that a thread belongs to; `None` if the thread cannot be seen. 0 is nobody.
    pub fn of_thread(tid: u32) -> Option<Self> {
        if tid == 0 {
            return None;
        }
        let status = fs::read_to_string(format!("/proc/{tid}/status")).ok()?;
        let tgid = field(&status, "Tgid")?.parse().ok()?;
        Some(Identity { tgid, start: Stat::of(tgid)?.start })
    }
}

/// Whether that very process still runs. A zombie does not, unless other threads of it go on.
pub fn is_alive(identity: Identity) -> bool {
    Stat::of(identity.tgid).is_some_and(|stat| stat.start == identity.start && !stat.has_ended())
}

/// The name of a process's program, at most 15 bytes; empty if it cannot be seen. Not its command line:
/// to read that the kernel needs the memory of the process, and a process that waits for a hung mount
/// may hold the lock on it.
pub fn command(tgid: u32) -> String {
    let bytes = fs::read(format!("/proc/{tgid}/comm")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim_end_matches('\n').to_owned()
}

/// Whether a signal waits for this thread that its user means as "stop what you do": HUP, INT, QUIT,
/// TERM or KILL, not blocked and not ignored, so that it is either caught or ends the process. `false`
/// if the thread cannot be seen.
pub fn caught_or_fatal_signal_pending(tid: u32) -> bool {
    if tid == 0 {
        return false;
    }
    fs::read_to_string(format!("/proc/{tid}/status")).is_ok_and(|status| wants_attention(&status))
}

fn wants_attention(status: &str) -> bool {
    let mask = |name| field(status, name).and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or(0);
    let asked = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGKILL]
        .iter()
        .fold(0, |mask, signal| mask | 1u64 << (signal - 1));
    (mask("SigPnd") | mask("ShdPnd")) & !mask("SigBlk") & !mask("SigIgn") & asked != 0
}

/// Now, in clock ticks since boot, sleep included: the unit and the zero of [`Identity::start`].
pub fn boot_ticks_now() -> u64 {
    // A kernel without this clock (before 2.6.39) has no fuse.srcfs either.
    let Ok(now) = clock_gettime(ClockId::CLOCK_BOOTTIME) else { return 0 };
    let per_second = ticks_per_second();
    let seconds = u64::try_from(now.tv_sec()).unwrap_or(0);
    let nanoseconds = u64::try_from(now.tv_nsec()).unwrap_or(0);
    // The kernel rounds down as well (nsec_to_clock_t).
    seconds * per_second + nanoseconds / (1_000_000_000 / per_second)
}

/// Clock ticks in a second as `/proc` counts them (USER_HZ): 100 on every common machine.
pub fn ticks_per_second() -> u64 {
    match sysconf(SysconfVar::CLK_TCK) {
        Ok(Some(ticks)) if ticks > 0 => ticks.unsigned_abs(),
        _ => 100,
    }
}

/// The random name of this boot; times of another boot mean nothing.
pub fn boot_id() -> io::Result<String> {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned())
}

/// The fields of `/proc/<pid>/stat` that are of use here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    state: u8,
    flags: u64,
    threads: u64,
    start: u64,
}

impl Stat {
    /// `None` if the process cannot be seen.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        // The command may hold any byte, so this is not read as text.
        Self::parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        // The command stands in parentheses and may hold parentheses itself; the last one ends it.
        let end = bytes.iter().rposition(|byte| *byte == b')')?;
        let rest = std::str::from_utf8(&bytes[end + 1..]).ok()?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // proc_pid_stat(5) counts from 1; `fields` begins with number 3.
        let number = |nth: usize| fields.get(nth - 3)?.parse().ok();
        Some(Stat {
            state: *fields.first()?.as_bytes().first()?,
            flags: number(9)?,
            threads: number(20)?,
            start: number(22)?,
        })
    }

    /// Whether it is a thread of the kernel, which holds no files (PF_KTHREAD of linux/sched.h).
    pub(crate) fn is_kernel_thread(&self) -> bool {
        const PF_KTHREAD: u64 = 0x0020_0000;
        self.flags & PF_KTHREAD != 0
    }

    /// Whether it only waits to be collected. The first thread of a process may have ended before the
    /// others.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x') && self.threads <= 1
    }

    fn is_stopped(&self) -> bool {
        matches!(self.state, b'T' | b't')
    }

    fn sleeps(&self) -> bool {
        self.state == b'S'
    }
}

/// A field of a `status` file. A command cannot fake one: its newlines are escaped there.
fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_spaces_parentheses_and_newlines_is_no_trap() {
        let tail = "S 1 2 3 0 -1 4194560 5 6 7 8 9 10 11 12 20 0 3 0 4242 100 200";
        for command in ["cat", "a b", ") R 9 9", "((x)", "x)\n1 (y) S", "\u{fffd}"] {
            let stat = Stat::parse(format!("77 ({command}) {tail}").as_bytes()).unwrap();
            assert_eq!((stat.state, stat.start, stat.threads), (b'S', 4242, 3), "{command:?}");
        }
        assert!(
            Stat::parse(b"77 (\xff\xfe) S 1 2 3 0 -1 2097152 5 6 7 8 9 10 11 12 20 0 1 0 1 1 1")
                .unwrap()
                .is_kernel_thread()
        );
        for text in ["", "77 cat S", "77 (cat) S 1", "77 (cat)"] {
            assert_eq!(Stat::parse(text.as_bytes()), None);
        }
    }

    #[test]
    fn a_signal_counts_unless_it_is_blocked_or_ignored_or_means_something_else() {
        let status = |pending: u64, shared: u64, blocked: u64, ignored: u64| {
            format!(
                "Name:\tx\nSigQ:\t0/1\nSigPnd:\t{pending:016x}\nShdPnd:\t{shared:016x}\nSigBlk:\t{blocked:016x}\nSigIgn:\t{ignored:016x}\nSigCgt:\t0\n"
            )
        };
        let bit = |signal: i32| 1u64 << (signal - 1);
        for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGKILL] {
            assert!(wants_attention(&status(bit(signal), 0, 0, 0)));
            assert!(wants_attention(&status(0, bit(signal), 0, 0)));
            assert!(!wants_attention(&status(bit(signal), 0, bit(signal), 0)));
            assert!(!wants_attention(&status(0, bit(signal), 0, bit(signal))));
        }
        for signal in [libc::SIGCHLD, libc::SIGWINCH, libc::SIGALRM, libc::SIGTSTP] {
            assert!(!wants_attention(&status(bit(signal), bit(signal), 0, 0)));
        }
        assert!(!wants_attention(""));
    }

    #[test]
    fn a_thread_leads_to_its_process_and_that_is_alive() {
        let (tid, of_thread) = std::thread::spawn(|| {
            let tid = nix::unistd::gettid().as_raw() as u32;
            (tid, Identity::of_thread(tid))
        })
        .join()
        .unwrap();
        let own = Identity::of_thread(std::process::id()).unwrap();
        assert_ne!(tid, std::process::id());
        assert_eq!(of_thread, Some(own));
        assert!(is_alive(own));
        assert!(!is_alive(Identity { start: own.start + 1, ..own }), "a reused id is another process");
        assert!(own.start <= boot_ticks_now());
        assert_eq!(Identity::of_thread(0), None);
        assert!(!caught_or_fatal_signal_pending(0));
        assert!(!caught_or_fatal_signal_pending(std::process::id()));
        assert!(!command(own.tgid).is_empty());
        assert_eq!(command(u32::MAX), "");
        assert_eq!(boot_id().unwrap().len(), 36);
    }
}
