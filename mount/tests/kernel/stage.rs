//! What every test here stands on: directories that are unmounted in the end, and parts of a test
//! that run in a process of their own (this test binary, started again for [`part`]).

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use srcfs_mount::mountinfo::Table;
use srcfs_mount::mounting::{self, MountError, MountOptions, MountRequest, Mounted};

/// Whether the test can run; says why if not.
pub fn is_root(test: &str) -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("NOT TESTED: {test} needs root, to mount without fusermount3");
    }
    root
}

/// A directory with an empty directory `m` in it, from which everything is unmounted in the end. Its
/// path has no symbolic links on the machines this runs on; with one, tests fail loudly.
pub struct Scratch {
    directory: tempfile::TempDir,
}

impl Scratch {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("m")).unwrap();
        Scratch { directory }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn mount_point(&self) -> PathBuf {
        self.path("m")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for _ in 0..20 {
            let table = Table::read().unwrap();
            let Some(mount) = table.iter().find(|mount| mount.mount_point.starts_with(self.directory.path()))
            else {
                return;
            };
            let flags = nix::mount::MntFlags::MNT_DETACH;
            let _ = nix::mount::umount2(&mount.mount_point, flags);
        }
    }
}

pub fn try_mount(directory: &Path) -> Result<Mounted, MountError> {
    mounting::mount(&MountRequest { directory, source: "srcfs:test", options: MountOptions::default() })
}

/// Mounts another file system over `path`.
pub fn mount_tmpfs(path: &Path) {
    let none: Option<&str> = None;
    nix::mount::mount(Some("other"), path, Some("tmpfs"), nix::mount::MsFlags::empty(), none).unwrap();
}

/// The types of what is mounted on `path`, lowest first.
pub fn types_on(path: &Path) -> Vec<OsString> {
    Table::read().unwrap().on(path).map(|mount| mount.fs_type.clone()).collect()
}

/// Waits for a condition; the bound only keeps a broken test from hanging.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(30), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Runs `work` on a thread of its own and panics if it hangs.
pub fn without_hanging<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || send.send(work()));
    receive.recv_timeout(Duration::from_secs(30)).expect("it hangs, or it panicked")
}

/// A command; these tests may start any.
pub fn command(program: &str) -> Command {
    #[allow(clippy::disallowed_methods)] // Not git: the processes these tests look at.
    Command::new(program)
}

/// A process that ends with the test.
pub struct Running {
    pub child: Child,
    pub stdin: Option<ChildStdin>,
    lines: BufReader<std::process::ChildStdout>,
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Running { child, stdin, lines }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line it prints with the mark of [`report`].
    pub fn line(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.lines.read_line(&mut line).unwrap(), 0, "it ended without a report");
            // libtest prints the name of the test before it, on the same line.
            if let Some((_, line)) = line.split_once("@@") {
                return line.trim_end().to_owned();
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        // Not `wait`: who waits in a mount that hangs ends when its daemon does, and that may be later.
        for _ in 0..100 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Says something to the test that started this part.
pub fn report(text: impl std::fmt::Display) {
    println!("@@{text}");
}

/// This test binary again, to run `job` on `directory`, started through `wrapper`.
pub fn part(wrapper: &[&str], job: &str, directory: &Path) -> Command {
    part_of_copy(&std::env::current_exe().unwrap(), wrapper, job, directory)
}

/// The same by a copy of the binary, which an ordinary user can reach.
pub fn part_of_copy(own: &Path, wrapper: &[&str], job: &str, directory: &Path) -> Command {
    let mut words: Vec<OsString> = wrapper.iter().map(OsString::from).collect();
    words.push(own.into());
    let mut command = command(words[0].to_str().unwrap());
    command
        .args(&words[1..])
        .args(["--exact", "stage::part_of_another_test", "--ignored", "--nocapture"])
        .env("SRCFS_TEST_JOB", job)
        .env("SRCFS_TEST_DIRECTORY", directory);
    command
}

#[test]
#[ignore = "the part of another test that runs in a process of its own"]
#[allow(clippy::disallowed_methods)] // The one place that reads what `part` sets.
fn part_of_another_test() {
    let (Ok(job), Some(directory)) =
        (std::env::var("SRCFS_TEST_JOB"), std::env::var_os("SRCFS_TEST_DIRECTORY"))
    else {
        eprintln!("nothing to do: other tests start this one");
        return;
    };
    let directory = PathBuf::from(directory);
    match job.as_str() {
        // Mounts when told to, says how that went, and holds the mount until told to end.
        "mount" => {
            report("ready");
            wait_for_line();
            let mounted = try_mount(&directory);
            match &mounted {
                Ok(mounted) => report(format!("mounted {}", mounted.device.as_raw_fd())),
                Err(error) => report(format!("{} {error}", error.exit_code())),
            }
            wait_for_line();
        }
        "mount without stdio" => {
            let report_to = File::options().write(true).open(directory.with_extension("report")).unwrap();
            for number in 0..3 {
                let _ = nix::unistd::close(number);
            }
            let mounted = try_mount(&directory);
            use std::io::Write;
            write!(&report_to, "{:?}", mounted.map(|mounted| mounted.device.as_raw_fd())).unwrap();
        }
        "unmount" => match mounting::unmount(&directory, None, true) {
            Ok(()) => report("unmounted"),
            Err(error) => report(format!("{} {error}", error.exit_code())),
        },
        "from inside a dead mount" => crate::mounting::from_inside_a_dead_mount(&directory),
        "swallow the device" => crate::ordinary_user::swallow_the_device(&directory),
        "mount, replace, unmount" => crate::ordinary_user::mount_replace_unmount(&directory),
        other => panic!("no such part: {other}"),
    }
}

pub fn wait_for_line() {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}
