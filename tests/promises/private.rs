//! P20: cache 0700, mount ro,nosuid,nodev, other users only on request.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::harness::repository::File;
use super::mounted2::{Site, files_below, is_root, run};
use super::program::Run;

/// What `script` says as another user. Only root may become one.
fn as_nobody(script: &str) -> Run {
    let other = ["--reuid", "65534", "--regid", "65534", "--clear-groups", "sh", "-c", script];
    run(Command::new("setpriv").args(other).current_dir("/"))
}

fn site_with_docs() -> Site {
    let site = Site::new("");
    site.repository_of("team/docs", &[File::new("a", "one\n"), File::executable("b", "two\n")]);
    // The way to the mount and the cache is open, so that only their own rights count.
    std::fs::set_permissions(site.program.path(), PermissionsExt::from_mode(0o755)).unwrap();
    site
}

#[test]
fn the_cache_is_closed_and_the_mount_is_read_only_without_devices_and_setuid() {
    let mut site = site_with_docs();
    site.mount();
    assert_eq!(site.cat(&site.forge("team/docs/a")), "one\n");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&site.program.cache()), 0o700);
    for file in files_below(&site.program.cache()) {
        assert_eq!(mode(&file) & 0o7002, 0, "{} is writable by others", file.display());
    }
    let line = site.mount_line().unwrap();
    let options: Vec<&str> = line.split(' ').nth(5).unwrap().split(',').collect();
    for option in ["ro", "nosuid", "nodev"] {
        assert!(options.contains(&option), "{line}");
    }
    assert!(line.contains("default_permissions") && !line.contains("allow_other"), "{line}");
    assert!(line.contains(" fuse.srcfs srcfs:"), "{line}");
    assert_eq!((mode(&site.forge("team/docs/a")), mode(&site.forge("team/docs/b"))), (0o444, 0o555));
}

#[test]
fn a_cache_that_was_open_is_closed_before_anything_is_put_there() {
    let mut site = site_with_docs();
    std::fs::create_dir(site.program.cache()).unwrap();
    std::fs::set_permissions(site.program.cache(), PermissionsExt::from_mode(0o777)).unwrap();
    site.mount();
    let mode = std::fs::metadata(site.program.cache()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn other_users_are_kept_out_unless_they_are_let_in() {
    if !is_root("becoming another user") {
        return;
    }
    for (options, may_read) in [("", false), ("allow_root", false), ("allow_other", true)] {
        let mut site = site_with_docs();
        let arguments = ["mount", "--foreground", "-o", options];
        site.mount_by(if options.is_empty() { &arguments[..2] } else { &arguments }, |_| ());
        assert_eq!(site.cat(&site.forge("team/docs/a")), "one\n");
        let read = as_nobody(&format!("cat {}", site.forge("team/docs/a").display()));
        let listed = as_nobody(&format!("ls {}", site.mount_point().display()));
        if may_read {
            assert_eq!((read.out.as_str(), listed.code), ("one\n", 0), "{options}: {read:?}");
            let written = as_nobody(&format!("echo x > {}", site.forge("team/docs/a").display()));
            assert_ne!(written.code, 0);
        } else {
            assert!(read.err.contains("Permission denied"), "{options}: {read:?}");
            assert!(listed.err.contains("Permission denied"), "{options}: {listed:?}");
        }
        let cache = as_nobody(&format!("ls {}", site.program.cache().display()));
        assert!(cache.err.contains("Permission denied"), "{options}: {cache:?}");
    }
}

#[test]
fn a_cache_of_another_user_is_refused() {
    if !is_root("giving a directory away") {
        return;
    }
    let site = site_with_docs();
    std::fs::create_dir(site.program.cache()).unwrap();
    std::os::unix::fs::chown(site.program.cache(), Some(65534), Some(65534)).unwrap();
    let run = site.run(&["mount"]);
    assert_eq!(run.code, 1, "{run:?}");
    let cache = site.program.cache();
    assert!(
        run.err.contains("belongs to user 65534") && run.err.contains(cache.to_str().unwrap()),
        "{run:?}"
    );
    assert!(!site.is_mounted());
}
