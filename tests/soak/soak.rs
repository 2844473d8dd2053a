//! What all threads of the soak share: the program, the server, what was published, what was killed,
//! and what was counted.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use nix::time::{ClockId, clock_gettime};
use serde_json::Value;

use crate::content::{SHAPES, Shape};
use crate::fetches::{Account, Emptied, Unused, account};
use crate::harness::git_server::GitServer;
use crate::harness::repository::Repository;
use crate::mounts::Mount;
use crate::program::Program;

/// No reader makes no progress, and no verb takes, for so long.
pub const STALL: Duration = Duration::from_secs(90);

/// What daemons and verbs log, unless `SRCFS_SOAK_LOG` says otherwise: how long locks were held, and what
/// was fetched and not published.
const LOG: &str = "warn,srcfs::cache::key_lock=debug,srcfs::cache::bring=info";

/// A repository of the server.
pub struct Upstream {
    /// What it holds.
    pub shape: &'static Shape,
    /// Its KEY.
    pub key: String,
    /// The newest version that was ever begun to be pushed.
    pub newest: AtomicU64,
    /// The repository, and the commits of all versions by their time.
    pub pushed: Mutex<(Repository, Vec<(String, u32)>)>,
    /// Held around whatever writes its tombstone, so that each is seen.
    pub clearing: Mutex<()>,
}

impl Upstream {
    /// As the server calls it.
    pub fn repository(&self) -> String {
        format!("team/{}.git", self.shape.name)
    }
}

/// A version, and why no new process may see an older one.
type Floor = (u32, String);

/// What was counted.
#[derive(Default)]
pub struct Counts {
    pub walks: AtomicU64,
    pub files: AtomicU64,
    pub torn: AtomicU64,
    pub errors: AtomicU64,
    pub cut: AtomicU64,
    pub moves: AtomicU64,
    pub gets: AtomicU64,
    pub clears: AtomicU64,
    pub gcs: AtomicU64,
    pub verbs_killed: AtomicU64,
    pub daemons_killed: AtomicU64,
    pub restarts: AtomicU64,
    pub longest_clear: AtomicU64,
    pub nowhere: AtomicU64,
    /// Clears and gcs that run now, of which it is not noted yet what they ended.
    pub emptying: AtomicU64,
}

/// One run.
pub struct Soak {
    pub program: Program,
    pub server: GitServer,
    pub upstreams: Vec<Upstream>,
    pub mounts: Vec<Mount>,
    pub counts: Counts,
    pub seed: u64,
    pub over: AtomicBool,
    pub stalled: AtomicBool,
    started: Instant,
    ticks_at_start: Duration,
    agents: AtomicU64,
    killed: Mutex<HashMap<String, Instant>>,
    emptied: Mutex<Vec<Emptied>>,
    /// The oldest version that a process that starts now may be shown, by mount and repository.
    floors: Mutex<HashMap<(usize, &'static str), Floor>>,
}

/// A panic of another thread has been counted by then.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Soak {
    /// Repositories, their server, a configuration; nothing is mounted yet.
    pub fn new(mounts: usize, seed: u64) -> Soak {
        let program = Program::new();
        let root = program.path().join("srv");
        let upstreams = SHAPES.iter().map(|shape| {
            let mut repository = Repository::new(root.join(format!("team/{}.git", shape.name)));
            // As forges do: what a reference meant a moment ago can still be had.
            repository.configure("uploadpack.allowAnySHA1InWant", "true");
            let first = repository.commit(&shape.files_of(1));
            Upstream {
                shape,
                key: format!("git/soak.test/team/{}", shape.name),
                newest: AtomicU64::new(1),
                pushed: Mutex::new((repository, vec![(first, 1)])),
                clearing: Mutex::default(),
            }
        });
        let upstreams = upstreams.collect();
        let server = GitServer::start(&root);
        // Short, so that views are given back and references asked for again in the time of a run.
        let settings = "refresh = \"20s\"\nidle = \"20s\"\n";
        let host = format!("[[host]]\nname = \"soak.test\"\nurl = \"{}\"\n", server.url("{path}.git"));
        program.configure(&format!("{settings}\n{host}"));
        let boot = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("a clock");
        let mut soak = Soak {
            program,
            server,
            upstreams,
            mounts: Vec::new(),
            counts: Counts::default(),
            seed,
            over: AtomicBool::new(false),
            stalled: AtomicBool::new(false),
            started: Instant::now(),
            ticks_at_start: Duration::from(boot),
            agents: AtomicU64::new(0),
            killed: Mutex::default(),
            emptied: Mutex::default(),
            floors: Mutex::default(),
        };
        soak.mounts = (0..mounts).map(|n| Mount::new(&soak, &format!("mount{n}"))).collect();
        soak
    }

    /// How long it has been running.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Whether the loops are to end.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Sleeps, but not beyond the end.
    pub fn pause(&self, milliseconds: u64) {
        let until = Instant::now() + Duration::from_millis(milliseconds);
        while !self.is_over() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A run of the program by a process that the server can tell from all others, and its name.
    pub fn srcfs(&self, what: &str, arguments: &[&str]) -> (Command, String) {
        let agent = format!("{what}-{}", self.agents.fetch_add(1, Ordering::SeqCst));
        let mut command = self.program.command(arguments);
        command
            .env("GIT_HTTP_USER_AGENT", &agent)
            .env("SRCFS_LOG", std::env::var("SRCFS_SOAK_LOG").unwrap_or_else(|_| LOG.to_owned()))
            .env("RUST_BACKTRACE", "1");
        (command, agent)
    }

    /// Notes that this process is being killed.
    pub fn was_killed(&self, agent: &str) {
        lock(&self.killed).insert(agent.to_owned(), Instant::now());
    }

    /// Counts and prints what must not be.
    pub fn error(&self, what: &str) {
        self.counts.errors.fetch_add(1, Ordering::SeqCst);
        println!("{:7.2} s  ERROR {what}", self.elapsed().as_secs_f64());
    }

    /// Counts and prints a walk that was not of one version.
    pub fn torn(&self, what: &str) {
        self.counts.torn.fetch_add(1, Ordering::SeqCst);
        println!("{:7.2} s  TORN {what}", self.elapsed().as_secs_f64());
    }

    /// Keeps what a verb complained, beside the logs of the daemons.
    pub fn log(&self, text: &str) {
        use std::io::Write;
        let path = self.program.path().join("verbs.log");
        let file = std::fs::File::options().create(true).append(true).open(path);
        let _ = file.and_then(|mut file| file.write_all(text.as_bytes()));
    }

    /// What lies below `v1` of the cache.
    pub fn v1(&self, name: &str) -> PathBuf {
        self.program.cache().join("v1").join(name)
    }

    /// The directory and the pointer of every mirror.
    pub fn mirrors(&self) -> Vec<(PathBuf, Value)> {
        let entries = std::fs::read_dir(self.v1("mirrors/git")).into_iter().flatten().flatten();
        let read = |path: PathBuf| {
            let text = std::fs::read(path.join("state.json")).ok()?;
            Some((path, serde_json::from_slice(&text).ok()?))
        };
        entries.filter_map(|entry| read(entry.path())).collect()
    }

    /// When the last tombstone of a repository was written, in ticks since boot.
    pub fn tombstone(&self, upstream: &Upstream) -> Option<u64> {
        let tail = format!("/team/{}", upstream.shape.name);
        let states = self.mirrors();
        let of = |state: &Value| {
            state["url"].as_str().is_some_and(|url| url.trim_end_matches(".git").ends_with(&tail))
        };
        let (_, state) = states.iter().find(|(_, state)| of(state))?;
        state["cleared"]["ticks"].as_u64()
    }

    /// Notes a tombstone that was written in `ticks`.
    pub fn emptied_at(&self, upstream: &Upstream, ticks: u64) {
        let since_boot = Duration::from_millis(ticks * 10);
        // What stands in the tombstone is when it was begun; replacing the pointer takes a moment.
        let from = self.started + since_boot.saturating_sub(self.ticks_at_start);
        let until = (from + Duration::from_millis(500)).min(Instant::now());
        self.emptied(Some(upstream.repository()), from - Duration::from_millis(20), until);
    }

    /// Notes that generations ended between these moments, of one repository or of any.
    pub fn emptied(&self, repository: Option<String>, from: Instant, until: Instant) {
        lock(&self.emptied).push(Emptied { repository, from, until });
    }

    /// What was fetched so far.
    pub fn fetches(&self) -> std::collections::BTreeMap<String, Account> {
        let unused = self.unused();
        account(&self.server.transfers(0), &lock(&self.emptied), &lock(&self.killed), &unused)
    }

    /// What daemons and verbs say they fetched and did not publish.
    fn unused(&self) -> Vec<Unused> {
        let ago = |time: SystemTime| SystemTime::now().duration_since(time).unwrap_or_default();
        let said = |line: &str| {
            let (before, _) = line.split_once(" was brought and is not published")?;
            let (time, key) = (before.split(' ').next()?, before.rsplit(' ').next()?);
            let (source, commit) = key.split_once('@')?;
            let time = time.parse::<jiff::Timestamp>().ok()?;
            let upstream = self.upstreams.iter().find(|upstream| {
                let repository = upstream.repository();
                source.ends_with(repository.trim_end_matches(".git"))
            })?;
            let at = Instant::now().checked_sub(ago(time.into()))?;
            Some(Unused { repository: upstream.repository(), commit: commit.to_owned(), at })
        };
        let mut unused = Vec::new();
        for log in std::fs::read_dir(self.program.path()).into_iter().flatten().flatten() {
            if log.path().extension().is_some_and(|extension| extension == "log") {
                let text = std::fs::read(log.path()).unwrap_or_default();
                unused.extend(String::from_utf8_lossy(&text).lines().filter_map(said));
            }
        }
        unused
    }

    /// The oldest version that a process that starts now may see.
    pub fn floor(&self, mount: usize, upstream: &Upstream) -> Floor {
        lock(&self.floors).get(&(mount, upstream.shape.name)).cloned().unwrap_or_default()
    }

    /// From now on nobody who starts may see an older version; `because` of this.
    pub fn raise_floor(&self, mount: usize, upstream: &Upstream, version: u32, because: &str) {
        let mut floors = lock(&self.floors);
        let floor = floors.entry((mount, upstream.shape.name)).or_default();
        if version > floor.0 {
            *floor = (version, format!("{because} at {:.2} s", self.elapsed().as_secs_f64()));
        }
    }
}
