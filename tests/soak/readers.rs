//! The readers: eight at a time, each a process after another, on any mount that is up.
//!
//! A reader whose daemon was killed meanwhile may meet "not connected", an aborted request, nothing at
//! the path (between the death and the new mount), or SIGBUS in a mapping; a walk by path may even go on
//! in the next daemon, which has not seen the process before. That is counted apart ("cut"), and what it
//! did read must be right all the same. Everything else that fails is an error, and everything that
//! is not of one version is torn.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::content::{MARK, OneVersion, version_by_line};
use crate::harness::repository::hermetic;
use crate::random::Random;
use crate::soak::{Soak, Upstream, lock};
use crate::watched::{self, Kill};

/// Who reads. `commit` walks a view that names its commit, the others what the default branch shows.
pub const KINDS: [&str; 8] = ["walk", "commit", "stroll", "hold", "stay", "grep", "rg", "find"];

/// What one reader saw.
#[derive(Default)]
struct Seen {
    version: OneVersion,
    /// Of `of-v12`.
    own: OneVersion,
    files: u64,
    /// For how many milliseconds getcwd failed in one go.
    nowhere: u64,
    torn: Option<String>,
    /// How it failed: the number and the sentence.
    failed: Option<(i32, String)>,
    done: bool,
}

/// Reads until the run is over.
pub fn read(soak: &Soak, kind: &str, number: u64) {
    let mut random = Random::new(soak.seed ^ (number + 1) << 8);
    // Without ripgrep its place is another walker's.
    let kind = if kind == "rg" && hermetic("rg").arg("--version").output().is_err() { "walk" } else { kind };
    while !soak.is_over() {
        let mount = usize::try_from(random.below(soak.mounts.len() as u64)).expect("an index");
        let kills = soak.mounts[mount].kills();
        if !soak.mounts[mount].is_up() {
            soak.pause(50);
            continue;
        }
        let upstream = random.pick(&soak.upstreams);
        read_once(soak, kind, (mount, kills), upstream, &mut random);
    }
}

/// One process, on a mount that was up when it had been killed so often.
pub fn read_once(
    soak: &Soak,
    kind: &str,
    (mount, kills): (usize, u64),
    upstream: &Upstream,
    random: &mut Random,
) {
    let place = &soak.mounts[mount];
    let (floor, began) = (soak.floor(mount, upstream), soak.elapsed().as_secs_f64());
    let mut view = place.place.join(&upstream.key);
    let mut exactly = None;
    if kind == "commit" {
        let pushed = lock(&upstream.pushed);
        let recent = &pushed.1[pushed.1.len().saturating_sub(8)..];
        let (commit, version) = random.pick(recent);
        view.as_mut_os_string().push(format!("@{commit}"));
        exactly = Some(*version);
    }
    let name = upstream.shape.name;
    let mut command = match kind {
        "grep" | "rg" | "find" => hermetic(kind),
        _ => Command::new(std::env::current_exe().expect("this program")),
    };
    match kind {
        "grep" => command.args(["-rh", &format!("^{MARK}")]).arg(&view),
        "rg" => command.args(["-uu", "--no-filename", "--no-heading", "-N", &format!("^{MARK}")]).arg(&view),
        "find" => command.arg(&view).args(["-type", "f"]),
        "commit" => command.args(["--role", "walk", name]).arg(&view).arg("0"),
        role => command.args(["--role", role, name]).arg(&view).arg(random.next().to_string()),
    };
    // By this it is found, if it hangs.
    command.env("SRCFS_SOAK", soak.program.path());
    let mut seen = Seen::default();
    let what = format!("{kind} of {}", view.display());
    // ripgrep 13 reads a directory that fails again and again, for ever.
    let died = || place.kills() != kills;
    let kill = if kind == "rg" { Kill::Once(Duration::from_secs(5), &died) } else { Kill::Never };
    let ended = watched::run(soak, &what, &mut command, &kill, |line| seen.note(kind, name, line));
    let Some(ended) = ended else { return };
    let killed = died();
    if !killed {
        soak.counts.nowhere.fetch_max(seen.nowhere, Ordering::SeqCst);
    }
    soak.counts.files.fetch_add(seen.files, Ordering::SeqCst);
    if let Some(why) = seen.torn {
        // By path a walk may have gone on in the daemon that was started after a kill.
        match killed && [" in a walk of ", " files in "].iter().any(|two| why.contains(two)) {
            true => soak.counts.cut.fetch_add(1, Ordering::SeqCst),
            false => return soak.torn(&format!("{what}: {why}")),
        };
        return;
    }
    let succeeded = ended.status.success() && seen.failed.is_none();
    if killed {
        let (number, why) = seen.failed.unwrap_or((0, ended.complaints.clone()));
        let expected = [libc::ENOTCONN, libc::ECONNABORTED, libc::ENOENT].contains(&number)
            || ended.status.signal() == Some(libc::SIGBUS)
            || kind == "rg" && ended.status.signal() == Some(libc::SIGKILL)
            || number == 0 && !why.is_empty() && why.lines().all(is_a_death);
        match succeeded || expected {
            true => soak.counts.cut.fetch_add(1, Ordering::SeqCst),
            false => return soak.error(&format!("{what} beside a kill: {:?} {number} {why}", ended.status)),
        };
        return;
    }
    if !succeeded {
        let why = seen.failed.map_or(ended.complaints, |failed| failed.1);
        return soak.error(&format!("{what}: {:?} {why}", ended.status));
    }
    let by_itself = !matches!(kind, "grep" | "rg" | "find");
    if by_itself && !seen.done {
        return soak.error(&format!("{what} did not say how it went: {}", ended.complaints));
    }
    let all = upstream.shape.count() as u64;
    if !by_itself && seen.files != all {
        return soak.torn(&format!("{what}: {} files instead of {all}", seen.files));
    }
    let version = seen.version.get().max(seen.own.get());
    let newest = upstream.newest.load(Ordering::SeqCst);
    match exactly {
        Some(exactly) if version != exactly => {
            soak.torn(&format!("{what} is v{exactly} and showed v{version}"))
        }
        None if version != 0 && version < floor.0 => soak.error(&format!(
            "{what} showed v{version} to a process that began at {began:.2} s, after v{}: {}",
            floor.0, floor.1
        )),
        _ if u64::from(version) > newest => soak.torn(&format!("{what}: there is no v{version} yet")),
        _ => {
            if exactly.is_none() {
                // Whoever begins now began after the change that this one saw.
                soak.raise_floor(
                    mount,
                    upstream,
                    version,
                    &format!("seen by a {kind} that began at {began:.2} s"),
                );
            }
            soak.counts.walks.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// What programs say of a file system whose daemon died.
fn is_a_death(line: &str) -> bool {
    ["Transport endpoint is not connected", "Software caused connection abort", "No such file or directory"]
        .iter()
        .any(|death| line.contains(death))
}

impl Seen {
    fn note(&mut self, kind: &str, name: &str, line: &str) {
        let torn = |what: &str, first: u32| Some(format!("{what}: {line:?} in a walk of v{first}"));
        match kind {
            "grep" | "rg" => {
                self.files += 1;
                match version_by_line(name, line) {
                    Some(version) => {
                        if let Err(first) = self.version.see(version) {
                            self.torn = torn("two versions", first);
                        }
                    }
                    None => self.torn = Some(format!("not a line of {name}: {line:?}")),
                }
            }
            "find" => {
                self.files += 1;
                let own = line.split('/').find_map(|part| part.strip_prefix("of-v")?.parse().ok());
                if let Err(first) = self.own.see(own.unwrap_or(0)) {
                    self.torn = torn("two versions", first);
                }
            }
            _ => match line.split_once(' ').unwrap_or((line, "")) {
                ("files", count) => self.files = count.parse().unwrap_or(0),
                ("whole", version) => {
                    self.done = true;
                    let _ = self.version.see(version.parse().unwrap_or(0));
                }
                ("nowhere", time) => self.nowhere = self.nowhere.max(time.parse().unwrap_or(0)),
                ("torn", why) => self.torn = Some(why.to_owned()),
                ("error", why) => {
                    let number = why.split(' ').next().and_then(|number| number.parse().ok());
                    self.failed = Some((number.unwrap_or(-1), why.to_owned()));
                }
                _ => {}
            },
        }
    }
}
