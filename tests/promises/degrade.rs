//! P18: disk full, out of descriptors or memory fail one request and recover.

use std::path::Path;
use std::process::Command;

use super::harness::repository::File;
use super::mounted2::{Site, errno, errnos, is_root, run, wait_until};

/// Something mounted for a test; it goes when it is dropped, which must be after the daemon.
struct Disk<'d>(&'d Path);

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        run(Command::new("umount").arg("-l").arg(self.0));
    }
}

/// A cache on a small disk of its own; none if that cannot be had here.
fn small_disk<'d>(directory: &'d Path, size: &str) -> Option<Disk<'d>> {
    if !is_root("mounting a tmpfs for the cache") {
        return None;
    }
    std::fs::create_dir(directory).unwrap();
    let options = format!("size={size},mode=0700");
    let mounted = run(Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(directory));
    if mounted.code != 0 {
        eprintln!("skipped: no tmpfs can be mounted here: {}", mounted.err);
        return None;
    }
    Some(Disk(directory))
}

fn remount(directory: &Path, options: &str) {
    let options = format!("remount,{options}");
    let remounted = run(Command::new("mount").args(["-o", &options]).arg(directory));
    assert_eq!(remounted.code, 0, "{remounted:?}");
}

/// Bytes that do not compress.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let next = std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    next.flatten().take(length).collect()
}

#[test]
fn a_full_disk_fails_what_does_not_fit_and_nothing_else() {
    let mut site = Site::new("negative_ttl = \"0s\"");
    let cache = site.program.cache();
    let Some(_disk) = small_disk(&cache, "3m") else { return };
    site.repository_of("team/small", &[File::new("a", noise(300_000, 1))]);
    site.repository_of("team/other", &[File::new("a", "other\n")]);
    let large = noise(6_000_000, 2);
    site.repository_of("team/large", &[File::new("a", large.clone())]);
    site.mount();
    let small = std::fs::read(site.forge("team/small/a")).unwrap();
    let path = site.forge("team/large");
    for round in 0..3 {
        assert_eq!(errnos(&path)[1], libc::ENOSPC, "round {round}");
        assert_eq!(std::fs::read(site.forge("team/small/a")).unwrap(), small);
    }
    let explained = site.explain(&path);
    assert_eq!(explained["failure"]["kind"], "full", "{explained}");
    assert!(explained["failure"]["hint"].as_str().unwrap().contains("--cache-dir"), "{explained}");
    // Nothing of it was left behind, so that what fits still comes.
    let staging = std::fs::read_dir(cache.join("v1/staging")).unwrap().count();
    assert_eq!(staging, 0);
    assert_eq!(site.cat(&site.forge("team/other/a")), "other\n");
    // With more room it comes.
    remount(&cache, "size=64m");
    assert!(std::fs::read(path.join("a")).unwrap() == large);
    site.unmount();
}

#[test]
fn a_disk_that_is_full_to_the_last_byte_stops_no_reader_and_no_verb() {
    let mut site = Site::new("negative_ttl = \"0s\"");
    let cache = site.program.cache();
    let Some(_disk) = small_disk(&cache, "2m") else { return };
    site.repository_of("team/small", &[File::new("a", "small\n"), File::new("b", "b\n")]);
    site.repository_of("team/other", &[File::new("a", "other\n")]);
    site.mount();
    assert_eq!(site.cat(&site.forge("team/small/a")), "small\n");
    let fill = cache.join("fill");
    let filled =
        run(Command::new("dd").args(["if=/dev/zero", "bs=4k"]).arg(format!("of={}", fill.display())));
    assert_ne!(filled.code, 0, "the disk is not full: {filled:?}");
    assert_eq!(site.cat(&site.forge("team/small/b")), "b\n");
    let path = site.forge("team/other");
    assert_eq!(errnos(&path)[1], libc::ENOSPC);
    let explained = site.explain(&path);
    assert_eq!(explained["failure"]["kind"], "full", "though no note could be written: {explained}");
    site.json(&["list"]);
    site.json(&["status"]);
    site.remount();
    assert_eq!(site.cat(&site.forge("team/small/a")), "small\n", "a full disk stops no start");
    std::fs::remove_file(fill).unwrap();
    assert_eq!(site.cat(&site.forge("team/other/a")), "other\n");
    site.unmount();
}

#[test]
fn a_read_only_cache_serves_what_it_has_and_says_what_it_cannot() {
    let mut site = Site::new("negative_ttl = \"0s\"");
    let cache = site.program.cache();
    let Some(_disk) = small_disk(&cache, "16m") else { return };
    site.repository_of("team/docs", &[File::new("a", "one\n"), File::new("b", "b\n")]);
    site.repository_of("team/other", &[File::new("a", "other\n")]);
    site.mount();
    assert_eq!(site.cat(&site.forge("team/docs/a")), "one\n");
    remount(&cache, "ro");
    assert_eq!(site.cat(&site.forge("team/docs/b")), "b\n");
    let path = site.forge("team/other");
    let number = errnos(&path)[1];
    assert!(number != 0 && number != libc::ENOENT, "{number}");
    let explained = site.explain(&path);
    let text = explained["failure"].to_string();
    assert!(text.contains("Read-only file system") && text.contains(cache.to_str().unwrap()), "{explained}");
    remount(&cache, "rw");
    assert_eq!(site.cat(&site.forge("team/other/a")), "other\n");
    site.unmount();
}

#[test]
fn without_descriptors_a_request_fails_and_the_next_ones_succeed_when_there_are_some() {
    let mut site = Site::new("negative_ttl = \"0s\"");
    for name in ["team/docs", "team/other"] {
        site.repository_of(name, &[File::new("a", format!("{name}\n")), File::new("b", "b\n")]);
    }
    site.mount();
    if run(Command::new("prlimit").arg("--version")).code != 0 {
        eprintln!("skipped: there is no prlimit");
        return;
    }
    assert_eq!(site.cat(&site.forge("team/docs/a")), "team/docs\n");
    let limit = |site: &Site, soft: usize| {
        let (pid, limit) = (site.daemon().to_string(), format!("--nofile={soft}:"));
        let set = run(Command::new("prlimit").args(["--pid", &pid, &limit]));
        assert_eq!(set.code, 0, "{set:?}");
    };
    let open = std::fs::read_dir(format!("/proc/{}/fd", site.daemon())).unwrap().count();
    let plenty = run(Command::new("prlimit").args([
        "--pid",
        &site.daemon().to_string(),
        "--nofile",
        "-o",
        "SOFT",
        "--noheadings",
    ]));
    let plenty: usize = plenty.out.trim().parse().unwrap();
    for spare in [0, 1, 2, 4, 8] {
        limit(&site, open + spare);
        let [exists, inside] = errnos(&site.forge("team/other"));
        for number in [exists, inside] {
            assert!([0, libc::EMFILE, libc::EIO, libc::EAGAIN].contains(&number), "{spare} spare: {number}");
        }
        assert_eq!(errno(std::fs::metadata(site.forge("team/docs/b"))), 0);
        assert!(site.is_serving());
        if inside == 0 {
            break;
        }
        if spare == 0 {
            assert_eq!(exists, libc::EMFILE, "it is said what is missing: {}", site.log());
        }
    }
    limit(&site, plenty);
    wait_until("it recovers", || std::fs::read(site.forge("team/other/a")).is_ok());
    assert_eq!(site.cat(&site.forge("team/other/a")), "team/other\n");
    assert_eq!(site.cat(&site.forge("team/docs/b")), "b\n");
}
