//! A whole srcfs: a git server, the program with a cache and a configuration of its own, and a daemon
//! that serves its mount.

#![allow(dead_code, reason = "no test uses all of it")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::harness::git_server::GitServer;
use super::harness::repository::{File, Repository};
use super::program::{Program, Run};

/// Where the server stands in the mount.
pub const FORGE: &str = "git/forge.test";

/// Everything of one test. Dropping it ends the daemon and unmounts.
pub struct Site {
    /// The program.
    pub program: Program,
    /// The server behind the host `forge.test`; none after [`Site::stop_server`].
    server: Option<GitServer>,
    /// Variables for the program, its daemon and their git.
    environment: Vec<(String, String)>,
    daemon: Option<Child>,
}

impl Site {
    /// A server without repositories, and a configuration that names it, over which stand `settings`.
    pub fn new(settings: &str) -> Site {
        let program = Program::new();
        let root = program.path().join("srv");
        std::fs::create_dir(&root).unwrap();
        let environment = vec![
            ("no_proxy".to_owned(), "*".to_owned()),
            ("HOME".to_owned(), program.path().to_str().unwrap().to_owned()),
        ];
        let site = Site { program, server: Some(GitServer::start(&root)), environment, daemon: None };
        site.configure(settings);
        site
    }

    /// A site that is mounted already.
    pub fn mounted(settings: &str) -> Site {
        let mut site = Site::new(settings);
        site.mount();
        site
    }

    /// Replaces the configuration: `settings`, then the host `forge.test`.
    pub fn configure(&self, settings: &str) {
        let url = self.server().url("{path}.git");
        self.program.configure(&format!("{settings}\n[[host]]\nname = \"forge.test\"\nurl = \"{url}\"\n"));
    }

    /// The server.
    pub fn server(&self) -> &GitServer {
        self.server.as_ref().expect("the server was stopped")
    }

    /// Takes the server away: nobody listens at its address any more.
    pub fn stop_server(&mut self) {
        let address = self.server().address();
        self.server = None;
        wait_until("the server is gone", || std::net::TcpStream::connect(address).is_err());
    }

    /// Sets a variable for everything that is started from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Makes a repository of the server (`team/docs`).
    pub fn repository(&self, path: &str) -> Repository {
        Repository::new(self.program.path().join(format!("srv/{path}.git")))
    }

    /// Makes a repository with one commit.
    pub fn repository_of(&self, path: &str, files: &[File]) -> Repository {
        let mut repository = self.repository(path);
        repository.commit(files);
        repository
    }

    /// The mount point.
    pub fn mount_point(&self) -> PathBuf {
        self.program.path().join("mount")
    }

    /// A path in the mount.
    pub fn path(&self, name: &str) -> PathBuf {
        self.mount_point().join(name)
    }

    /// A path of the server in the mount (`team/docs/README.md`).
    pub fn forge(&self, name: &str) -> PathBuf {
        self.path(FORGE).join(name)
    }

    /// A run of the program that is not started yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.program.command(arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, arguments: &[&str]) -> Run {
        run(&mut self.command(arguments))
    }

    /// Runs it with `--json`; how it ended and what it reported.
    pub fn report(&self, arguments: &[&str]) -> (i32, Value) {
        let run = self.run(&[&["--json"], arguments].concat());
        (run.code, run.json())
    }

    /// Runs it with `--json`, and has it succeed.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let (code, report) = self.report(arguments);
        assert_eq!(code, 0, "{arguments:?}: {report}");
        report
    }

    /// Runs a shell script in the mount as a process that has seen nothing of it before.
    pub fn sh(&self, script: &str) -> Run {
        run(Command::new("sh").args(["-c", script]).current_dir(self.mount_point()).stdin(Stdio::null()))
    }

    /// What a new process reads from a file of the mount; fails the test if it cannot.
    pub fn cat(&self, path: &Path) -> String {
        let cat = run(Command::new("cat").arg("--").arg(path));
        assert_eq!(cat.code, 0, "{cat:?}\n{}", self.log());
        cat.out
    }

    /// Why `path` failed last, as `srcfs explain` tells.
    pub fn explain(&self, path: &Path) -> Value {
        self.json(&["explain", path.to_str().unwrap()])
    }

    /// What the mount itself lists of failures, newest first.
    pub fn errors(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path(".srcfs/errors.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// Mounts, and returns when the mount answers.
    pub fn mount(&mut self) {
        self.mount_by(&["-v", "mount", "--foreground"], |_| ());
    }

    /// Mounts by these arguments, after `change` was made to the command.
    pub fn mount_by(&mut self, arguments: &[&str], change: impl FnOnce(&mut Command)) {
        assert!(self.daemon.is_none(), "it is mounted already");
        let log = std::fs::File::options().create(true).append(true).open(self.log_file()).unwrap();
        let mut command = self.command(arguments);
        command.stdout(Stdio::null()).stderr(log);
        change(&mut command);
        self.daemon = Some(command.spawn().unwrap());
        let own = self.path(".srcfs");
        let until = Instant::now() + Duration::from_secs(20);
        while std::fs::symlink_metadata(&own).is_err() {
            let ended = self.daemon.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "the daemon ended ({ended:?}): {}", self.log());
            assert!(Instant::now() < until, "the mount does not answer: {}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Where the daemon's log is.
    pub fn log_file(&self) -> PathBuf {
        self.program.path().join("daemon.log")
    }

    /// What the daemon has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// The daemon's process id.
    pub fn daemon(&self) -> i32 {
        self.daemon.as_ref().expect("it is not mounted").id() as i32
    }

    /// Whether the daemon runs.
    pub fn is_serving(&mut self) -> bool {
        self.daemon.as_mut().is_some_and(|daemon| daemon.try_wait().unwrap().is_none())
    }

    /// Unmounts, and returns when the daemon is gone.
    pub fn unmount(&mut self) {
        let Some(mut daemon) = self.daemon.take() else { return };
        let pid = Pid::from_raw(daemon.id() as i32);
        let _ = kill(pid, Signal::SIGTERM);
        let until = Instant::now() + Duration::from_secs(10);
        while daemon.try_wait().unwrap().is_none() {
            if Instant::now() > until {
                let _ = kill(pid, Signal::SIGKILL);
                let _ = daemon.wait();
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        // Only if the daemon could not.
        for _ in 0..5 {
            if !self.is_mounted() {
                break;
            }
            let point = self.mount_point();
            let program = if nix::unistd::geteuid().is_root() { "umount" } else { "fusermount3" };
            let options: &[&str] = if program == "umount" { &["-l"] } else { &["-u", "-z"] };
            let _ = Command::new(program).args(options).arg(&point).status();
        }
    }

    /// Whether something is mounted on the mount point.
    pub fn is_mounted(&self) -> bool {
        self.mount_line().is_some()
    }

    /// The line of the mount in mountinfo.
    pub fn mount_line(&self) -> Option<String> {
        let point = format!(" {} ", self.mount_point().display());
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        mounts.lines().rev().find(|line| line.contains(&point)).map(str::to_owned)
    }

    /// Unmounts and mounts again.
    pub fn remount(&mut self) {
        self.unmount();
        self.mount();
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let last: Vec<&str> = log.lines().rev().take(20).collect();
            eprintln!("--- the end of the daemon's log, newest first\n{}\n---", last.join("\n"));
        }
        // What still stalls would keep git from ending.
        self.server = None;
        self.unmount();
    }
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Run {
    let output = command.output().unwrap();
    Run {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The error number with which something fails.
pub fn errno<T>(result: std::io::Result<T>) -> i32 {
    match result {
        Ok(_) => 0,
        Err(error) => error.raw_os_error().unwrap_or(-1),
    }
}

/// How a look at `path`, and at what would be in it, fails; 0 for what does not.
pub fn errnos(path: &Path) -> [i32; 2] {
    [
        errno(std::fs::metadata(path)),
        errno(std::fs::read_dir(path).and_then(|mut names| match names.next() {
            Some(Err(error)) => Err(error),
            _ => Ok(()),
        })),
    ]
}

/// Waits until `wanted`; fails the test after 30 s.
pub fn wait_until(what: &str, mut wanted: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !wanted() {
        assert!(Instant::now() < until, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether this process may do what only root may; says that `what` is skipped if not.
pub fn is_root(what: &str) -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("skipped: {what} needs root");
    }
    root
}

/// All regular files below a directory.
pub fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let kind = entry.file_type().unwrap();
        match kind.is_dir() {
            true => found.extend(files_below(&entry.path())),
            false if kind.is_file() => found.push(entry.path()),
            false => {}
        }
    }
    found.sort();
    found
}

/// The value of an extended attribute, or the error number.
pub fn xattr(path: &Path, name: &str) -> Result<String, i32> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(path.as_os_str().as_bytes()).unwrap();
    let name = std::ffi::CString::new(name).unwrap();
    let mut value = vec![0_u8; 64 << 10];
    // SAFETY: both names end with a NUL, and the kernel writes at most the length of the buffer.
    let length =
        unsafe { libc::lgetxattr(path.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    let Ok(length) = usize::try_from(length) else {
        return Err(std::io::Error::last_os_error().raw_os_error().unwrap());
    };
    value.truncate(length);
    Ok(String::from_utf8(value).unwrap())
}

/// The names of the extended attributes that a path lists itself, sorted.
pub fn xattrs(path: &Path) -> Vec<String> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(path.as_os_str().as_bytes()).unwrap();
    let mut names = vec![0_u8; 64 << 10];
    // SAFETY: the path ends with a NUL, and the kernel writes at most the length of the buffer.
    let length = unsafe { libc::llistxattr(path.as_ptr(), names.as_mut_ptr().cast(), names.len()) };
    names.truncate(usize::try_from(length).expect("it can be listed"));
    let names = names.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let mut names: Vec<String> = names.map(|name| String::from_utf8(name.to_vec()).unwrap()).collect();
    names.sort();
    names
}

/// Makes a program. Another process writes it: were it open for writing here, whatever a parallel test
/// starts just now would inherit that for a moment, and the program would be busy. The text is not
/// among that process's arguments, because it may hold a secret.
pub fn executable(path: &Path, text: &str) {
    use std::io::Write;
    let script = "mkdir -p \"$(dirname \"$0\")\" && cat >\"$0\" && chmod 755 \"$0\"";
    let mut writer = Command::new("sh").args(["-c", script]).arg(path).stdin(Stdio::piped()).spawn().unwrap();
    writer.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(writer.wait().unwrap().success());
}
