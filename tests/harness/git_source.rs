//! A `Git` source as tests want it: quick bounds, no configuration of this machine, and workplaces.

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use srcfs::error::Result;
use srcfs::key::{GitUrl, Key, Reference};
use srcfs::source::git::{Git, GitOptions};
use srcfs::source::{Prepared, Progress, Resolved, Source, Workplace};

use super::repository::hermetic;

/// Bounds that only guard against hanging, and git without any configuration but `settings`.
pub fn options(settings: &[(&str, &str)]) -> GitOptions {
    let mut environment: Vec<(OsString, OsString)> = vec![
        ("GIT_CONFIG_GLOBAL".into(), "/dev/null".into()),
        ("GIT_CONFIG_NOSYSTEM".into(), "1".into()),
        ("HOME".into(), "/nonexistent".into()),
        ("no_proxy".into(), "*".into()),
        ("GIT_CONFIG_COUNT".into(), settings.len().to_string().into()),
    ];
    for (n, (name, value)) in settings.iter().enumerate() {
        environment.push((format!("GIT_CONFIG_KEY_{n}").into(), name.into()));
        environment.push((format!("GIT_CONFIG_VALUE_{n}").into(), value.into()));
    }
    GitOptions {
        stall: Duration::from_secs(30),
        list_deadline: Duration::from_secs(40),
        fetch_deadline: Duration::from_secs(60),
        environment,
        ..GitOptions::default()
    }
}

/// A source that nothing surprises.
pub fn plain() -> Git {
    Git::new(options(&[]))
}

/// The key of the repository at `url`.
pub fn key(url: &str) -> Key {
    Key::git(GitUrl::parse(url).unwrap())
}

/// Resolves a reference as a user writes it.
pub fn resolve(source: &Git, url: &str, reference: &str) -> Result<Resolved> {
    source.resolve(&key(url), &Reference::parse(reference).unwrap(), &[], &Progress::default())
}

/// A directory to prepare in. It goes when it is dropped.
pub struct Place {
    directory: tempfile::TempDir,
    lease: std::fs::File,
}

impl Place {
    /// One where nothing is yet.
    pub fn empty() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("work")).unwrap();
        let lease = std::fs::File::create(directory.path().join("lease")).unwrap();
        Place { directory, lease }
    }

    /// Where the repository comes.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("work")
    }

    /// The file of its lease.
    pub fn lease_path(&self) -> PathBuf {
        self.directory.path().join("lease")
    }

    /// Its lease, open.
    pub fn lease(&self) -> BorrowedFd<'_> {
        self.lease.as_fd()
    }

    /// Prepares there.
    pub fn prepare(&self, source: &Git, url: &str, resolved: &Resolved) -> Result<Prepared> {
        self.prepare_with(source, url, resolved, None, &Progress::default())
    }

    /// Prepares there, with all that can be said.
    pub fn prepare_with(
        &self,
        source: &Git,
        url: &str,
        resolved: &Resolved,
        borrow: Option<&Path>,
        progress: &Progress,
    ) -> Result<Prepared> {
        let directory = self.path();
        let place = Workplace { directory: &directory, borrow, lease: Some(self.lease()) };
        source.prepare(&key(url), resolved, place, progress)
    }

    /// Runs git on what was prepared; fails the test if git does.
    pub fn git(&self, arguments: &[&str]) -> String {
        let output = hermetic("git").arg("--git-dir").arg(self.path()).args(arguments).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// The processes that work there now, by name: those whose arguments or environment name it.
    pub fn processes(&self) -> Vec<(i32, String)> {
        let mark = self.path();
        let mark = mark.to_str().unwrap().as_bytes();
        let me = std::process::id() as i32;
        let all = std::fs::read_dir("/proc").unwrap().flatten();
        all.filter_map(|entry| {
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            let names = ["cmdline", "environ"];
            let text = names.map(|name| std::fs::read(entry.path().join(name)).unwrap_or_default()).concat();
            let named = pid != me && text.windows(mark.len()).any(|window| window == mark);
            let name = std::fs::read_to_string(entry.path().join("comm")).ok()?;
            named.then(|| (pid, name.trim_end().to_owned()))
        })
        .collect()
    }
}

/// Waits until `wanted`; fails the test after 20 s.
pub fn wait_until(what: &str, mut wanted: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !wanted() {
        assert!(Instant::now() < until, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
