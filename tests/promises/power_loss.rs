//! P19: what was published is whole or fetched again, wherever the power went.
//!
//! The cache lies on an ext4 of its own. At each fault point of the program it dies, and the disk with
//! it, without its log being written (EXT4_IOC_SHUTDOWN). Then the disk is mounted again and looked at.

use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::harness::repository::{Repository, many_files};
use super::mounted2::{Site, is_root, run, wait_until};

/// A disk in a file, mounted on `point`.
struct Disk {
    image: PathBuf,
    point: PathBuf,
}

impl Disk {
    fn new(site: &Site) -> Option<Disk> {
        if !is_root("mounting a disk for the cache") {
            return None;
        }
        let disk =
            Disk { image: site.program.path().join("disk"), point: site.program.path().join("disk.d") };
        std::fs::create_dir(&disk.point).unwrap();
        std::fs::File::create(&disk.image).unwrap().set_len(24 << 20).unwrap();
        let made = run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&disk.image));
        if made.code != 0 {
            eprintln!("skipped: no ext4 can be made here: {}", made.err);
            return None;
        }
        if let Err(why) = disk.mount() {
            eprintln!("skipped: no disk in a file can be mounted here: {why}");
            return None;
        }
        Some(disk)
    }

    fn mount(&self) -> Result<(), String> {
        let mounted = run(Command::new("mount").args(["-o", "loop"]).arg(&self.image).arg(&self.point));
        if mounted.code == 0 { Ok(()) } else { Err(mounted.err) }
    }

    /// When nobody uses it any more: the git of one that was killed has its files open until it is dead
    /// itself. Unmounted lazily, what is mounted next would be the same file system that was shut down.
    fn unmount(&self) {
        wait_until("nobody uses the disk", || run(Command::new("umount").arg(&self.point)).code == 0);
    }

    /// The power goes: nothing reaches the disk any more, not even what ext4 has logged in memory.
    fn lose_power(&self) {
        /// `_IOR('X', 125, __u32)` of fs/ext4/ext4.h.
        const EXT4_IOC_SHUTDOWN: libc::c_ulong = 0x8004_587d;
        // EXT4_GOING_FLAGS_NOLOGFLUSH
        let flags: u32 = 2;
        let point = std::fs::File::open(&self.point).unwrap();
        // SAFETY: the descriptor is open, and the kernel reads one u32 that lives until it returns.
        let done = unsafe { libc::ioctl(point.as_raw_fd(), EXT4_IOC_SHUTDOWN, &raw const flags) };
        assert_eq!(done, 0, "EXT4_IOC_SHUTDOWN: {}", std::io::Error::last_os_error());
        drop(point);
        self.unmount();
    }

    fn cache(&self) -> PathBuf {
        self.point.join("cache")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Also after a failure, with whoever still uses it.
        run(Command::new("umount").arg("-l").arg(&self.point));
    }
}

const KEY: &str = "git/forge.test/team/docs";
const FILES: usize = 120;

fn srcfs(site: &Site, cache: &Path, fault: Option<usize>, arguments: &[&str]) -> super::program::Run {
    let mut command = site.command(&[&["--json"], arguments].concat());
    command.env("SRCFS_CACHE_DIR", cache);
    if let Some(number) = fault {
        command.env("SRCFS_FAULT", format!("{number}:kill"));
    }
    run(&mut command)
}

/// All that the cache has of the repository without asking anybody: read whole, through a mount.
fn offline_content(site: &mut Site, disk: &Disk) -> Option<String> {
    site.configure("offline = true");
    site.set("SRCFS_CACHE_DIR", disk.cache().to_str().unwrap());
    site.mount();
    let read = site.sh(&format!(
        "cd {KEY} && find . -type f -exec cat {{}} + | sed 's/^file [0-9]* of //' | sort | uniq -c"
    ));
    site.unmount();
    site.configure("");
    // A pointer to what is not whole would be taken out of use when it is opened: that is "fetched again".
    let words: Vec<&str> = read.out.split_whitespace().collect();
    match words.as_slice() {
        [] => None,
        [count, version] => {
            assert_eq!(count.parse::<usize>().unwrap(), FILES, "a part of it: {read:?}");
            Some((*version).to_owned())
        }
        other => panic!("a mixture: {other:?}"),
    }
}

/// Loses the power at every point of `verb`; `before` brings the cache to where it begins.
fn at_every_point(
    site: &mut Site,
    repository: &mut Repository,
    verb: &[&str],
    before: impl Fn(&Site, &Path, &mut Repository),
    allowed: &[Option<&str>],
    complete: &str,
) {
    let Some(disk) = Disk::new(site) else { return };
    let mut points = 0;
    for number in 1.. {
        assert!(number < 200, "there is no end of fault points");
        // A cache that nobody has used yet.
        let _ = std::fs::remove_dir_all(disk.cache());
        before(site, &disk.cache(), repository);
        // Where it begins is on the disk.
        run(Command::new("sync").arg("-f").arg(&disk.point));
        let ended = srcfs(site, &disk.cache(), Some(number), verb);
        disk.lose_power();
        disk.mount().unwrap();
        let found = offline_content(site, &disk);
        assert!(allowed.contains(&found.as_deref()), "point {number}: {found:?}\n{}", site.log());
        let again = srcfs(site, &disk.cache(), None, verb);
        assert_eq!(again.code, 0, "point {number}: it goes on as if nothing had been: {again:?}");
        if ended.code == 0 {
            // None was hit: what it said to be there survived.
            assert_eq!(found.as_deref(), Some(complete), "it was lost though the verb had returned");
            assert_eq!(offline_content(site, &disk).as_deref(), Some(complete));
            points = number - 1;
            break;
        }
    }
    assert!(points >= 10, "only {points} fault points were reached");
}

#[test]
fn a_first_fetch_is_there_whole_or_not_at_all() {
    let mut site = Site::new("");
    let mut repository = site.repository("team/docs");
    repository.commit(&many_files(FILES, "one"));
    at_every_point(&mut site, &mut repository, &["get", KEY], |_, _, _| (), &[None, Some("one")], "one");
}

#[test]
fn an_update_leaves_the_old_or_the_new() {
    let mut site = Site::new("");
    let mut repository = site.repository("team/docs");
    repository.commit(&many_files(FILES, "one"));
    let before = |site: &Site, cache: &Path, repository: &mut Repository| {
        repository.force_push("main", &many_files(FILES, "one"));
        let first = srcfs(site, cache, None, &["get", KEY]);
        assert_eq!(first.code, 0, "{first:?}");
        repository.commit(&many_files(FILES, "two"));
    };
    let allowed = [Some("one"), Some("two")];
    at_every_point(&mut site, &mut repository, &["update", KEY], before, &allowed, "two");
}
