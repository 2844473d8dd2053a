//! A mount is ours and alone, or it is refused with its own reason and nothing is left behind.

use std::fs;
use std::os::fd::AsRawFd;
use std::path::Path;

use srcfs_mount::mountinfo::Table;
use srcfs_mount::mounting::{self, Liveness};

use crate::daemon::Daemon;
use crate::stage::{
    Running, Scratch, is_root, mount_tmpfs, part, part_of_copy, report, try_mount, types_on, wait_for_line,
    without_hanging,
};

#[test]
fn a_mount_is_read_only_private_and_named() {
    if !is_root("a_mount_is_read_only_private_and_named") {
        return;
    }
    let scratch = Scratch::new();
    let mounted = try_mount(&scratch.mount_point()).unwrap();
    let table = Table::read().unwrap();
    let mount = table.topmost(&scratch.mount_point()).unwrap();
    assert_eq!(mounted.directory, scratch.mount_point());
    assert_eq!((mount.id, mount.device), (mounted.id.id, mounted.id.device));
    assert_eq!((mount.fs_type.to_str(), mount.source.to_str()), (Some("fuse.srcfs"), Some("srcfs:test")));
    for option in ["ro", "nosuid", "nodev"] {
        assert!(mount.options.split(',').any(|word| word == option), "{}", mount.options);
    }
    assert_eq!(mount.user_id(), Some(0));
    assert!(mount.super_options.contains("default_permissions"), "{}", mount.super_options);
    assert!(!mount.super_options.contains("allow_other"), "{}", mount.super_options);
    let flags = nix::fcntl::fcntl(&mounted.device, nix::fcntl::FcntlArg::F_GETFD).unwrap();
    assert_eq!(flags, nix::libc::FD_CLOEXEC);
    mounting::unmount(&scratch.mount_point(), Some(&mounted.id), true).unwrap();
    assert!(types_on(&scratch.mount_point()).is_empty());
}

#[test]
fn a_dead_mount_of_ours_is_replaced() {
    if !is_root("a_dead_mount_of_ours_is_replaced") {
        return;
    }
    let scratch = Scratch::new();
    drop(try_mount(&scratch.mount_point()).unwrap());
    let error = fs::metadata(scratch.mount_point()).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(nix::libc::ENOTCONN));
    assert_eq!(mounting::liveness(&scratch.mount_point()).unwrap(), Liveness::Dead);
    let daemon = Daemon::start(&scratch.mount_point());
    assert_eq!(types_on(&scratch.mount_point()), ["fuse.srcfs"], "replaced, not stacked");
    assert!(fs::metadata(scratch.path("m/program")).is_ok());
    assert_eq!(mounting::liveness(&scratch.mount_point()).unwrap(), Liveness::Answers);
    drop(daemon);
}

#[test]
fn a_place_that_will_not_do_is_refused_with_its_own_code() {
    if !is_root("a_place_that_will_not_do_is_refused_with_its_own_code") {
        return;
    }
    let scratch = Scratch::new();
    fs::write(scratch.path("file"), "").unwrap();
    fs::create_dir_all(scratch.path("full/inside")).unwrap();
    for (name, code, word) in [
        ("none", 10, "mkdir"),
        ("none/deeper", 10, "mkdir"),
        ("file", 11, "directory"),
        ("file/x", 11, ""),
        ("full", 12, "inside"),
    ] {
        let error = try_mount(&scratch.path(name)).unwrap_err();
        assert_eq!(error.exit_code(), code, "{error}");
        assert!(error.to_string().contains(word), "{error}");
        assert!(types_on(&scratch.path(name)).is_empty());
    }
}

#[test]
fn another_file_system_is_never_touched() {
    if !is_root("another_file_system_is_never_touched") {
        return;
    }
    let scratch = Scratch::new();
    mount_tmpfs(&scratch.mount_point());
    assert_eq!(try_mount(&scratch.mount_point()).unwrap_err().exit_code(), 15);
    assert_eq!(types_on(&scratch.mount_point()), ["tmpfs"]);
    // Also where it covers a dead mount of ours, and where a dead mount of ours covers it.
    drop(srcfs_over_anything(&scratch.mount_point()));
    assert_eq!(types_on(&scratch.mount_point()), ["tmpfs", "fuse.srcfs"]);
    assert_eq!(try_mount(&scratch.mount_point()).unwrap_err().exit_code(), 15);
    assert_eq!(types_on(&scratch.mount_point()), ["tmpfs"], "only the dead one was detached");
}

/// What `mount` never does.
fn srcfs_over_anything(path: &Path) -> fs::File {
    let device = fs::File::options().read(true).write(true).open("/dev/fuse").unwrap();
    let data = format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd());
    let flags = nix::mount::MsFlags::empty();
    nix::mount::mount(Some("srcfs:test"), path, Some("fuse.srcfs"), flags, Some(data.as_str())).unwrap();
    device
}

#[test]
fn a_living_mount_is_not_mounted_over_whether_it_answers_or_not() {
    if !is_root("a_living_mount_is_not_mounted_over_whether_it_answers_or_not") {
        return;
    }
    let scratch = Scratch::new();
    let silent = try_mount(&scratch.mount_point()).unwrap();
    let path = scratch.mount_point();
    let error = without_hanging(move || try_mount(&path).unwrap_err());
    assert_eq!(error.exit_code(), 14);
    assert!(error.to_string().contains("does not answer"), "{error}");
    let daemon = Daemon::serve(silent.device, silent.id);
    let path = scratch.mount_point();
    let error = without_hanging(move || try_mount(&path).unwrap_err());
    assert_eq!(error.exit_code(), 14);
    assert!(!error.to_string().contains("does not answer"), "{error}");
    assert_eq!(types_on(&scratch.mount_point()), ["fuse.srcfs"]);
    drop(daemon);
}

/// P: six mounts at once on one path, exactly one succeeds. Ten rounds; the second of each starts from
/// the dead mount that the first leaves.
#[test]
fn six_mounts_at_once_on_one_path_exactly_one_succeeds() {
    if !is_root("six_mounts_at_once_on_one_path_exactly_one_succeeds") {
        return;
    }
    let scratch = Scratch::new();
    for round in 0..10 {
        let mut six: Vec<Running> =
            (0..6).map(|_| Running::start(&mut part(&["env"], "mount", &scratch.mount_point()))).collect();
        for one in &mut six {
            assert_eq!(one.line(), "ready");
        }
        for one in &mut six {
            std::io::Write::write_all(one.stdin.as_mut().unwrap(), b"go\n").unwrap();
        }
        let answers: Vec<String> = six.iter_mut().map(Running::line).collect();
        let mounted = answers.iter().filter(|answer| answer.starts_with("mounted")).count();
        let refused = answers.iter().filter(|answer| answer.starts_with("14 ")).count();
        assert_eq!((mounted, refused), (1, 5), "round {round}: {answers:?}");
        assert_eq!(types_on(&scratch.mount_point()), ["fuse.srcfs"], "round {round}");
        drop(six);
        if round % 2 == 1 {
            mounting::unmount(&scratch.mount_point(), None, true).unwrap();
        }
    }
}

#[test]
fn the_device_is_never_standard_input_or_output() {
    if !is_root("the_device_is_never_standard_input_or_output") {
        return;
    }
    let scratch = Scratch::new();
    fs::write(scratch.path("m.report"), "").unwrap();
    part(&["env"], "mount without stdio", &scratch.mount_point()).status().unwrap();
    let answer = fs::read_to_string(scratch.path("m.report")).unwrap();
    let number: i32 = answer.trim_start_matches("Ok(").trim_end_matches(')').parse().expect(&answer);
    assert!(number > 2, "{answer}");
}

#[test]
fn a_working_directory_in_a_dead_mount_does_no_harm() {
    if !is_root("a_working_directory_in_a_dead_mount_does_no_harm") {
        return;
    }
    let scratch = Scratch::new();
    let daemon = Daemon::start(&scratch.mount_point());
    let mut inside = Running::start(
        part(&["env"], "from inside a dead mount", &scratch.mount_point()).current_dir(scratch.mount_point()),
    );
    assert_eq!(inside.line(), "inside");
    drop(daemon);
    std::io::Write::write_all(inside.stdin.as_mut().unwrap(), b"go\n").unwrap();
    for expected in ["Err(ENOTCONN)", "replaced", "unmounted", "sibling", "NotMounted"] {
        assert_eq!(inside.line(), expected);
    }
}

/// The part of the test above in a process whose working directory is the mount.
pub fn from_inside_a_dead_mount(directory: &Path) {
    report("inside");
    wait_for_line();
    // statfs is never answered from a cache.
    report(format!("{:?}", nix::sys::statfs::statfs(".").map(|_| ())));
    let mounted = try_mount(Path::new(".")).unwrap();
    assert_eq!(mounted.directory, directory);
    report("replaced");
    // The working directory is in a detached mount now: nothing relative has a meaning, the rest has.
    let error = mounting::unmount(Path::new("."), None, true).unwrap_err();
    assert!(error.to_string().contains("absolute path"), "{error}");
    mounting::unmount(directory, Some(&mounted.id), true).unwrap();
    report("unmounted");
    let sibling = directory.with_file_name("sibling");
    fs::create_dir(&sibling).unwrap();
    let mounted = try_mount(&sibling).unwrap();
    mounting::unmount(&sibling, Some(&mounted.id), true).unwrap();
    report("sibling");
    let error = mounting::unmount(directory, None, true).unwrap_err();
    assert_eq!(error.exit_code(), 21);
    report("NotMounted");
}

/// Starts a part in a private mount namespace, after `prepare` (a shell script), and gives its report.
pub fn in_namespace(prepare: &str, then: &[&str], directory: &Path) -> String {
    let script = format!("set -e; {prepare}; exec \"$@\"");
    let mut wrapper = vec!["unshare", "-m", "--propagation", "private", "sh", "-c", script.as_str(), "sh"];
    wrapper.extend(then);
    let copy = directory.with_file_name("test");
    let mut running = Running::start(&mut part_of_copy(&copy, &wrapper, "mount", directory));
    assert_eq!(running.line(), "ready");
    std::io::Write::write_all(running.stdin.as_mut().unwrap(), b"go\n").unwrap();
    running.line()
}

#[test]
fn what_the_machine_lacks_is_said_with_its_own_code() {
    if !is_root("what_the_machine_lacks_is_said_with_its_own_code") {
        return;
    }
    let scratch = Scratch::new();
    let user = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
    // The namespace's own scratch, which an ordinary user may write to and nobody else sees.
    let own = format!(
        "mount -t tmpfs -o mode=0755 own {root} && mkdir {root}/m && chown 65534 {root}/m && cp {test} {root}/test",
        root = scratch.path("").display(),
        test = std::env::current_exe().unwrap().display()
    );
    let with_device = format!(
        "{own} && mknod -m 666 {0} c 10 229 && mount --bind {0} /dev/fuse",
        scratch.path("fuse").display()
    );
    let no_right = ["setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"];
    let cases: &[(&str, &str, &[&str], &str)] = &[
        ("no /dev/fuse", &format!("{own} && mount -t tmpfs none /dev && mknod /dev/null c 1 3"), &[], "16 "),
        (
            "a /dev/fuse without a driver",
            &format!(
                "{own} && mknod {0} c 250 250 && mount --bind {0} /dev/fuse",
                scratch.path("odd").display()
            ),
            &[],
            "16 ",
        ),
        (
            "/dev/fuse for root alone",
            &format!(
                "{own} && mknod -m 600 {0} c 10 229 && mount --bind {0} /dev/fuse",
                scratch.path("fuse").display()
            ),
            &user,
            "17 ",
        ),
        (
            "no fusermount3",
            &format!("{with_device} && export PATH=/nowhere"),
            &["/usr/bin/setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"],
            "18 ",
        ),
        ("root without the right", &own, &no_right, "19 "),
        (
            "root without the right and without fusermount3",
            &format!("{own} && export PATH=/nowhere"),
            &["/usr/bin/setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"],
            "19 ",
        ),
        (
            "no new privileges",
            &with_device,
            &["setpriv", "--no-new-privs", "--reuid", "65534", "--regid", "65534", "--clear-groups"],
            "19 ",
        ),
        ("not ours", &format!("{with_device} && chown 0 {}", scratch.mount_point().display()), &user, "13 "),
        (
            "sticky and not ours",
            &format!("{with_device} && chown 0 {0} && chmod 1777 {0}", scratch.mount_point().display()),
            &user,
            "13 ",
        ),
        (
            "mount point out of reach",
            &format!("{with_device} && chmod 700 {}", scratch.path("").display()),
            &user,
            "13 ",
        ),
    ];
    for (case, prepare, then, expected) in cases {
        let answer = in_namespace(prepare, then, &scratch.mount_point());
        eprintln!("{case}: {answer}");
        assert!(answer.starts_with(expected), "{case}: {answer}");
        assert!(types_on(&scratch.mount_point()).is_empty(), "{case}");
    }
}
