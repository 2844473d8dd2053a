//! Looks at a path from a child process with a bound.
//!
//! A path in a mount is answered by a daemon, and a daemon that hangs holds whoever asks, beyond the
//! reach of any signal. So verbs never touch a mount themselves: a child does, which is left behind
//! if it does not answer. The child is this program again, as `srcfs __probe [--read] PATH`; it ends
//! with 0, or with the error number of the call. A relative path is looked at from the working directory
//! that this process has, which may be one of a view that no name leads to any more.

use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::mounts;

pub mod describe;
mod follow;

/// How long a daemon has for an answer.
pub const BOUND: Duration = Duration::from_secs(2);

/// More than any file that a daemon offers to be read.
const LARGEST: u64 = 64 * 1024 * 1024;

/// What came of looking at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is there, with this content if it was read.
    Found(Vec<u8>),
    /// The call failed with this error number.
    Errno(i32),
    /// No answer within the bound.
    Silent,
    /// The child could not be started.
    NotAsked(String),
}

impl Answer {
    /// In words, for a report.
    pub fn describe(&self) -> String {
        match self {
            Answer::Found(_) => "answers".to_owned(),
            Answer::Errno(libc::ENOTCONN) => "its daemon is dead".to_owned(),
            Answer::Errno(libc::EACCES | libc::EPERM) => "it belongs to another user".to_owned(),
            Answer::Errno(number) => std::io::Error::from_raw_os_error(*number).to_string(),
            Answer::Silent => format!("no answer within {} s", BOUND.as_secs()),
            Answer::NotAsked(why) => why.clone(),
        }
    }
}

/// What to do with the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// One `lstat`.
    LookUp,
    /// Read the whole file.
    Read,
    /// Tell what it is, as JSON of [`describe::Described`].
    Describe,
    /// The same with the number of its lines.
    DescribeLines,
    /// Tell where its links lead, up to a mount of srcfs, which is not touched.
    Follow,
}

/// Asks for all `paths` at once; the answers are in their order.
pub fn ask(ask: Ask, paths: &[PathBuf]) -> Vec<Answer> {
    ask_within(BOUND, ask, paths)
}

/// The same with another bound, for what may take its time.
pub fn ask_within(bound: Duration, ask: Ask, paths: &[PathBuf]) -> Vec<Answer> {
    let started = Instant::now();
    let children: Vec<Result<Asked, Answer>> = paths.iter().map(|path| Asked::start(ask, path)).collect();
    children
        .into_iter()
        .map(|child| match child {
            Ok(child) => child.finish(bound.saturating_sub(started.elapsed())),
            Err(answer) => answer,
        })
        .collect()
}

/// The child's side: does one call and answers the exit status.
pub fn answer(ask: Ask, path: &Path) -> u8 {
    let done = match ask {
        Ask::LookUp => std::fs::symlink_metadata(path).map(|_| ()),
        Ask::Read => std::fs::File::open(path).and_then(|file| {
            let mut content = Vec::new();
            file.take(LARGEST).read_to_end(&mut content)?;
            std::io::stdout().lock().write_all(&content)
        }),
        Ask::Describe | Ask::DescribeLines => describe::describe(path, ask == Ask::DescribeLines)
            .and_then(|described| Ok(serde_json::to_writer(std::io::stdout().lock(), &described)?)),
        Ask::Follow => mounts::all()
            .map_err(std::io::Error::other)
            .and_then(|mounts| follow::follow(path, &mounts))
            .and_then(|real| std::io::stdout().lock().write_all(real.as_os_str().as_bytes())),
    };
    match done {
        Ok(()) => 0,
        Err(error) => error
            .raw_os_error()
            .and_then(|number| u8::try_from(number).ok())
            .filter(|number| (1..126).contains(number))
            .unwrap_or(libc::EIO as u8),
    }
}

struct Asked {
    child: Child,
    content: mpsc::Receiver<Vec<u8>>,
}

impl Asked {
    fn start(ask: Ask, path: &Path) -> Result<Asked, Answer> {
        #[allow(clippy::disallowed_methods, reason = "it starts srcfs itself, not git")]
        // Not the path of the program: that may have been replaced since.
        let mut command = Command::new("/proc/self/exe");
        command.arg("__probe");
        command.args(match ask {
            Ask::LookUp => &[][..],
            Ask::Read => &["--read"],
            Ask::Describe => &["--describe"],
            Ask::DescribeLines => &["--describe", "--lines"],
            Ask::Follow => &["--follow"],
        });
        if path.is_absolute() {
            command.current_dir("/");
        }
        let child = command
            .arg("--")
            .arg(path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut child = child.map_err(|error| Answer::NotAsked(format!("cannot start a child: {error}")))?;
        let (sender, content) = mpsc::channel();
        if let Some(mut output) = child.stdout.take() {
            // Ends with the child; if that never ends, neither does this thread, which holds nothing.
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                if output.read_to_end(&mut bytes).is_ok() {
                    sender.send(bytes).ok();
                }
            });
        }
        Ok(Asked { child, content })
    }

    fn finish(mut self, left: Duration) -> Answer {
        let Ok(content) = self.content.recv_timeout(left) else {
            // It dies when the kernel lets it; nobody waits for that.
            self.child.kill().ok();
            return Answer::Silent;
        };
        // Its output has ended, so it is ending.
        match self.child.wait().map(|status| status.code()) {
            Ok(Some(0)) => Answer::Found(content),
            Ok(Some(number)) => Answer::Errno(number),
            Ok(None) => Answer::NotAsked("the child was killed".to_owned()),
            Err(error) => Answer::NotAsked(format!("cannot wait for the child: {error}")),
        }
    }
}
