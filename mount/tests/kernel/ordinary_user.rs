//! The same as an ordinary user, through fusermount3. In a mount namespace with a /dev/fuse of its own
//! that everybody may open, since the machine's may be for root alone.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;

use srcfs_mount::holders::{self, Target};
use srcfs_mount::mounting::{self, Liveness, MountOptions, MountRequest};

use crate::stage::{Running, Scratch, command, is_root, part_of_copy, report, try_mount, types_on};

const USER: &str = "65534";

#[test]
fn an_ordinary_user_mounts_replaces_and_unmounts_with_fusermount3() {
    if !is_root("an_ordinary_user_mounts_replaces_and_unmounts_with_fusermount3") {
        return;
    }
    if !Path::new("/usr/bin/fusermount3").exists() {
        eprintln!("NOT TESTED: there is no /usr/bin/fusermount3");
        return;
    }
    let scratch = Scratch::new();
    let root = scratch.path("").display().to_string();
    let own = std::env::current_exe().unwrap().display().to_string();
    let prepare = format!(
        "set -e; mount -t tmpfs -o mode=0755 own {root}; mkdir {root}/m; chown {USER}:{USER} {root} {root}/m; \
         mknod -m 666 {root}/fuse c 10 229; mount --bind {root}/fuse /dev/fuse; \
         touch {root}/conf; [ ! -e /etc/fuse.conf ] || mount --bind {root}/conf /etc/fuse.conf; cp {own} {root}/test; \
         mkdir {root}/bin-for-later; printf '%s\\n' '#!/bin/sh' \
         'case \"$1\" in -u*) exec /usr/bin/fusermount3 \"$@\";; esac' \
         'SRCFS_TEST_JOB=\"swallow the device\" exec {root}/test --exact stage::part_of_another_test --ignored --nocapture' \
         > {root}/bin-for-later/fusermount3; chmod 755 {root}/bin-for-later/fusermount3; \
         export PATH={root}/bin:$PATH; exec setpriv --reuid {USER} --regid {USER} --clear-groups \"$@\""
    );
    let wrapper = ["unshare", "-m", "--propagation", "private", "sh", "-c", &prepare, "sh"];
    let mut running = Running::start(&mut part_of_copy(
        &scratch.path("test"),
        &wrapper,
        "mount, replace, unmount",
        &scratch.mount_point(),
    ));
    for expected in [
        "mounted",
        "dead",
        "replaced",
        "already",
        "busy",
        "unmounted",
        "gone",
        "from inside",
        "refused",
        "taken back",
    ] {
        assert_eq!(running.line(), expected);
    }
}

/// The part of the test above that is an ordinary user.
pub fn mount_replace_unmount(directory: &Path) {
    use std::os::fd::AsRawFd;
    assert!(!nix::unistd::geteuid().is_root());
    let first = try_mount(directory).unwrap();
    assert!(first.device.as_raw_fd() > 2);
    let flags = nix::fcntl::fcntl(&first.device, nix::fcntl::FcntlArg::F_GETFD).unwrap();
    assert_eq!(flags, nix::libc::FD_CLOEXEC);
    let table = srcfs_mount::mountinfo::Table::read().unwrap();
    let mount = table.topmost(directory).unwrap();
    assert_eq!((mount.fs_type.to_str(), mount.source.to_str()), (Some("fuse.srcfs"), Some("srcfs:test")));
    assert_eq!(mount.user_id(), Some(65534));
    for option in ["ro", "nosuid", "nodev"] {
        assert!(mount.options.split(',').any(|word| word == option), "{}", mount.options);
    }
    assert!(mount.super_options.contains("default_permissions"), "{}", mount.super_options);
    report("mounted");
    drop(first.device);
    assert_eq!(mounting::liveness(directory).unwrap(), Liveness::Dead);
    report("dead");
    let second = try_mount(directory).unwrap();
    assert_eq!(types_on(directory), ["fuse.srcfs"]);
    report("replaced");
    let daemon = crate::daemon::Daemon::serve(second.device, second.id);
    assert_eq!(try_mount(directory).unwrap_err().exit_code(), 14);
    report("already");
    let file = std::fs::File::open(directory.join("program")).unwrap();
    let error = mounting::unmount(directory, Some(&second.id), false).unwrap_err();
    assert_eq!(error.exit_code(), 23, "{error}");
    // Everybody else's processes, root's among them, cannot be read and are counted.
    let holders = holders::of(Target { mount_id: second.id.id, device: second.id.device });
    assert!(holders.unreadable > 0);
    report("busy");
    mounting::unmount(directory, Some(&second.id), true).unwrap();
    assert!(types_on(directory).is_empty());
    report("unmounted");
    let error = mounting::unmount(directory, Some(&second.id), true).unwrap_err();
    assert_eq!(error.exit_code(), 21, "{error}");
    report("gone");
    drop(file);
    drop(daemon);

    let third = crate::daemon::Daemon::start(directory);
    std::env::set_current_dir(directory).unwrap();
    drop(third);
    let fourth = try_mount(Path::new(".")).unwrap();
    mounting::unmount(directory, Some(&fourth.id), true).unwrap();
    std::env::set_current_dir("/").unwrap();
    report("from inside");

    let options = MountOptions::parse("allow_other").unwrap();
    let error = mounting::mount(&MountRequest { directory, source: "srcfs:test", options }).unwrap_err();
    assert_eq!(error.exit_code(), 20, "{error}");
    assert!(error.to_string().contains("user_allow_other"), "{error}");
    report("refused");

    // In the PATH now: one that mounts, and fails before it has passed the descriptor.
    let faulty = directory.with_file_name("bin");
    std::fs::rename(faulty.with_file_name("bin-for-later"), &faulty).unwrap();
    let error = try_mount(directory).unwrap_err();
    assert!(error.to_string().contains("it mounted before it failed"), "{error}");
    assert!(types_on(directory).is_empty(), "nothing is left behind");
    report("taken back");
}

/// What the faulty fusermount3 does.
pub fn swallow_the_device(directory: &Path) {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let mounted = command("/usr/bin/fusermount3")
        .args(["-o", "ro,subtype=srcfs,fsname=srcfs:test", "--"])
        .arg(directory)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .status()
        .unwrap();
    assert!(mounted.success());
    // Read without room for it, the descriptor is closed.
    ours.read_exact(&mut [0]).unwrap();
    eprintln!("it mounted before it failed");
    std::process::exit(1);
}
