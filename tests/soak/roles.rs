//! What the soak's own reader processes do. A process is what sees one snapshot, so each walk is one.
//!
//! They say lines: `.` for progress, `files N` for what was hashed, at the end `whole V` (the version,
//! 0 if none was told), or `torn ...`, or `error ERRNO ...`. Everything else is a failure of the soak.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::content::{OneVersion, shape, version_of};
use crate::random::Random;

/// What a reader process does, and with what.
pub struct Role {
    /// One of those that [`Role::play`] knows.
    pub what: String,
    /// The repository.
    pub name: String,
    /// The view.
    pub view: PathBuf,
    /// Decides how long it pauses and what it picks.
    pub seed: u64,
}

/// How long getcwd may fail in a view that its name does not show any more.
const NOWHERE: Duration = Duration::from_secs(10);

enum Failure {
    Torn(String),
    Io(PathBuf, io::Error),
}

type Outcome = Result<OneVersion, Failure>;

fn at(path: &Path) -> impl FnOnce(io::Error) -> Failure + '_ {
    |error| Failure::Io(path.to_owned(), error)
}

fn say(line: &str) {
    // Nobody listens any more: the soak has ended.
    if io::Write::write_all(&mut io::stdout(), format!("{line}\n").as_bytes()).is_err() {
        std::process::exit(0);
    }
}

impl Role {
    /// Does it, says how it went.
    pub fn play(&self) {
        let mut hashed = 0;
        let outcome = match self.what.as_str() {
            "walk" => self.walk(&self.view, Duration::ZERO, &mut hashed),
            // Shorter than the time after which a process counts as having ended its walk.
            "stroll" => self.walk(&self.view, Duration::from_secs(2), &mut hashed),
            "hold" => self.hold(&mut hashed),
            "stay" => self.stay(&mut hashed),
            other => Err(Failure::Torn(format!("nobody knows the role {other}"))),
        };
        say(&format!("files {hashed}"));
        say(&match outcome {
            Ok(version) => format!("whole {}", version.get()),
            Err(Failure::Torn(why)) => format!("torn {why}"),
            Err(Failure::Io(path, error)) => {
                format!("error {} {}: {error}", error.raw_os_error().unwrap_or(0), path.display())
            }
        });
    }

    fn judge(&self, seen: &mut OneVersion, path: &Path, bytes: &[u8]) -> Result<(), Failure> {
        let version = version_of(&self.name, path, bytes).map_err(Failure::Torn)?;
        let torn = |first| Failure::Torn(format!("{}: v{version} in a walk of v{first}", path.display()));
        seen.see(version).map_err(torn)
    }

    /// Holds the root, lists everything by full path, then opens and hashes every file by its full path.
    fn walk(&self, root: &Path, pause: Duration, hashed: &mut u64) -> Outcome {
        let mut all = Vec::new();
        list(root, &mut all)?;
        let expected = shape(&self.name).count();
        if all.len() != expected {
            return Err(Failure::Torn(format!("{} files in {}, not {expected}", all.len(), root.display())));
        }
        let mut seen = OneVersion::default();
        // Who pauses holds something, as programs do that walk by descriptors: one that the daemon has
        // never seen, and that holds nothing, ends its walk when it pauses for longer than a second.
        let _held = File::open(root).map_err(at(root))?;
        for (n, path) in all.iter().enumerate() {
            if n % 50 == 0 {
                say(".");
            }
            if !pause.is_zero() && n % (all.len() / 6) == 1 {
                std::thread::sleep(pause);
            }
            let bytes = fs::read(path).map_err(at(path))?;
            self.judge(&mut seen, path, &bytes)?;
            *hashed += 1;
        }
        Ok(seen)
    }

    /// Opens some files and maps some, and reads all of them again and again for a while.
    fn hold(&self, hashed: &mut u64) -> Outcome {
        let mut random = Random::new(self.seed);
        let mut all = Vec::new();
        list(&self.view, &mut all)?;
        let mut open = Vec::new();
        let mut mapped = Vec::new();
        for _ in 0..12 {
            let path = random.pick(&all).clone();
            let file = File::open(&path).map_err(at(&path))?;
            if random.below(2) == 0 {
                // SAFETY: what a view shows never changes, which is what is looked at here; and a daemon
                // that is killed may end this process by SIGBUS, which is counted apart.
                let map = unsafe { memmap2::Mmap::map(&file) }.map_err(at(&path))?;
                mapped.push((path, map));
            } else {
                open.push((path, file));
            }
        }
        let until = Instant::now() + Duration::from_millis(random.between(1_000, 15_000));
        let mut seen = OneVersion::default();
        while Instant::now() < until {
            for (path, map) in &mapped {
                self.judge(&mut seen, path, map)?;
                *hashed += 1;
            }
            for (path, file) in &open {
                let size = file.metadata().map_err(at(path))?.len();
                let mut bytes = vec![0; usize::try_from(size).unwrap_or_default()];
                file.read_exact_at(&mut bytes, 0).map_err(at(path))?;
                self.judge(&mut seen, path, &bytes)?;
                *hashed += 1;
            }
            say(".");
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(seen)
    }

    /// Makes the view its working directory, and walks it by relative paths for a while.
    fn stay(&self, hashed: &mut u64) -> Outcome {
        std::env::set_current_dir(&self.view).map_err(at(&self.view))?;
        let until = Instant::now() + Duration::from_millis(Random::new(self.seed).between(1_000, 15_000));
        let mut first = OneVersion::default();
        loop {
            let here = getcwd()?;
            // A view that its name does not show any more has another place in the mount.
            if here.file_name() != self.view.file_name() {
                return Err(Failure::Torn(format!("getcwd is {}", here.display())));
            }
            let seen = self.walk(Path::new("."), Duration::ZERO, hashed)?;
            if let Err(before) = first.see(seen.get()) {
                let now = seen.get();
                return Err(Failure::Torn(format!("the working directory was v{before} and became v{now}")));
            }
            if Instant::now() >= until {
                return Ok(first);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

/// Where this process is. A directory that loses its name is nowhere for the moment until the daemon has
/// given it another one; for longer than [`NOWHERE`] is a failure.
fn getcwd() -> Result<PathBuf, Failure> {
    let since = Instant::now();
    loop {
        let waited = since.elapsed();
        match std::env::current_dir() {
            Err(error) if error.kind() == io::ErrorKind::NotFound && waited < NOWHERE => {
                say(&format!("nowhere {}", waited.as_millis()));
                std::thread::sleep(Duration::from_millis(20));
            }
            here => return here.map_err(at(Path::new("getcwd"))),
        }
    }
}

/// All files below a directory; each directory is listed by the path that leads to it.
fn list(directory: &Path, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    for entry in fs::read_dir(directory).map_err(at(directory))? {
        let entry = entry.map_err(at(directory))?;
        match entry.file_type().map_err(at(directory))?.is_dir() {
            true => list(&entry.path(), found)?,
            false => found.push(entry.path()),
        }
    }
    Ok(())
}
