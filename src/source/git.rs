//! Source trees from git repositories, by the user's own `git`.
//!
//! | file | what it knows |
//! |---|---|
//! | `command` | how git is called, and what it must never do |
//! | `group`, `child` | processes: one session, bounds, cancelling, no orphan |
//! | `transcript`, `failure` | what git says, and what that means |
//! | `redirect` | where a redirect may lead |
//! | `resolve`, `fetch`, `repository` | the two questions of a source |
//! | `work_tree` | what git lists of a directory of this machine |
//! | `other` | runs another program as git is run |
//!
//! Nothing is ever checked out, so no hook, filter, submodule or large-file helper of a source runs.
//! The network is reached by git alone, with the user's credentials, proxies and ssh; git2 only reads
//! what came. Every failure is an [`Error`] whose kind says whether the thing does not exist, is not
//! for this user, or could not be asked for.

use std::ffi::OsString;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result};
use crate::fault;
use crate::key::{GitUrl, Key, Reference};
use crate::source::{Prepared, Progress, Resolved, Revision, Source, Workplace};

mod child;
mod command;
mod failure;
mod fetch;
mod group;
mod other;
mod redirect;
mod repository;
mod resolve;
mod transcript;
mod work_tree;

use child::{Bounds, Ended, Patience};
use command::{Command, Listing};
pub(crate) use other::run as run_other;
use resolve::Question;
pub(crate) use work_tree::{WorkTree, WorkTreeEntry};

/// As many as browsers and curl follow would be too many for a repository that moved.
const MOST_REDIRECTS: usize = 5;

/// Says whether a redirect may lead to this url. It need not be asked for the same server.
pub type Allowed = Arc<dyn Fn(&GitUrl) -> bool + Send + Sync>;

/// How git is used.
#[derive(Clone)]
pub struct GitOptions {
    /// The program: a path, or a name to be found in `PATH`.
    pub program: PathBuf,
    /// How long a server may be silent.
    pub stall: Duration,
    /// How long asking what a reference is may take.
    pub list_deadline: Duration,
    /// How long fetching one revision may take.
    pub fetch_deadline: Duration,
    /// How long a git that has to end may take before it is killed.
    pub grace: Duration,
    /// Where a redirect may lead.
    pub allowed: Allowed,
    /// Ask nobody: whatever needs the network fails with [`Kind::Offline`], and no process is started.
    pub offline: bool,
    /// Variables for git, over those of this process.
    pub environment: Vec<(OsString, OsString)>,
}

impl Default for GitOptions {
    fn default() -> Self {
        GitOptions {
            program: PathBuf::from("git"),
            stall: Duration::from_secs(30),
            list_deadline: Duration::from_secs(60),
            fetch_deadline: Duration::from_secs(30 * 60),
            grace: Duration::from_millis(200),
            allowed: Arc::new(|_| false),
            offline: false,
            environment: Vec::new(),
        }
    }
}

impl std::fmt::Debug for GitOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the environment: it may hold a credential.
        f.debug_struct("GitOptions")
            .field("program", &self.program)
            .field("offline", &self.offline)
            .finish_non_exhaustive()
    }
}

/// Source trees from git repositories.
#[derive(Clone, Debug)]
pub struct Git {
    options: GitOptions,
}

impl Git {
    /// Starts nothing yet.
    pub fn new(options: GitOptions) -> Self {
        Git { options }
    }

    /// How it was set up.
    pub fn options(&self) -> &GitOptions {
        &self.options
    }

    /// Runs what `build` makes of the url, and of each url that it is redirected to, within one deadline.
    /// Returns how the last one ended, and whom it asked.
    fn ask(&self, question: &Ask<'_>, build: impl Fn(&GitUrl) -> Command) -> Result<(Ended, GitUrl)> {
        let Ask { what, lease, progress, .. } = *question;
        if self.options.offline {
            return Err(Error::offline(what));
        }
        let bounds = Bounds {
            deadline: question.deadline,
            stall: self.options.stall,
            grace: self.options.grace,
            patience: question.patience,
        };
        let mut url = question.url.clone();
        for _ in 0..=MOST_REDIRECTS {
            let command = build(&url).with_environment(&self.options.environment);
            let ended = child::run(what, &command, bounds, lease, progress)?;
            if ended.succeeded() {
                return Ok((ended, url));
            }
            match redirect::target(what, &url, &ended, &*self.options.allowed)? {
                Some(next) => url = next,
                None => return Ok((ended, url)),
            }
        }
        let why = format!("it was redirected more than {MOST_REDIRECTS} times, at last to {url}");
        Err(Error::new(Kind::Network, what, why).hint("the server redirects in a loop: ask who runs it"))
    }
}

/// One thing that a remote is asked.
struct Ask<'a> {
    /// What it is for, in errors.
    what: &'a str,
    url: &'a GitUrl,
    /// When all of it, with its redirects, has to be over.
    deadline: Instant,
    patience: Patience,
    lease: Option<BorrowedFd<'a>>,
    progress: &'a Progress,
}

/// The url of a key that the caller has chosen this source for.
fn url_of(key: &Key) -> Result<&GitUrl> {
    let other = || Error::new(Kind::Unsupported, format!("fetch {key}"), "it is no git repository");
    key.git_url().ok_or_else(other)
}

impl Source for Git {
    fn resolve(
        &self,
        key: &Key,
        reference: &Reference,
        known: &[Revision],
        progress: &Progress,
    ) -> Result<Resolved> {
        let what = format!("resolve {}", reference.of(key));
        let question = resolve::question(&what, reference)?;
        let listing = match &question {
            Question::Answered(resolved) => return Ok(resolved.clone()),
            Question::Head => Listing::Head,
            Question::Names(full_names) => Listing::Names { full_names },
            Question::Tips => Listing::Tips,
        };
        let Git { options } = self;
        let ask = Ask {
            what: &what,
            url: url_of(key)?,
            deadline: Instant::now() + options.list_deadline,
            patience: Patience::FirstAnswer,
            lease: None,
            progress,
        };
        let (ended, url) =
            self.ask(&ask, |url| Command::list(&options.program, url, listing, options.stall))?;
        if !ended.succeeded() {
            return Err(failure::explain(&what, &url, &ended));
        }
        let resolved = resolve::answer(&what, &url, reference, &ended.output, known)?;
        fault!("resolve.answered")?;
        Ok(resolved)
    }

    fn prepare(
        &self,
        key: &Key,
        resolved: &Resolved,
        place: Workplace<'_>,
        progress: &Progress,
    ) -> Result<Prepared> {
        fetch::prepare(self, key, resolved, place, progress)
    }
}
