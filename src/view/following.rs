//! Following the lockfiles of projects as they change, and which registries are the user's own.
//!
//! A project's directory may be on a server that is away, and then whoever touches it hangs. So nothing here
//! reads a lockfile: each project has it done by a thread of its own ([`crate::project::Latest`]), what it
//! read last is shown meanwhile, and who asks for what was never read waits as for everything slow.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use srcfs_mount::tree::Errno;

use super::{PROJECTS, SourceTree};
use crate::config::{Config, Project, is_probed};
use crate::error::Error;
use crate::project::Round;

/// How long a barrier waits for lockfiles to be looked at. Whoever raises one waits 2 s, also for the rest.
const BARRIER_WAITS: Duration = Duration::from_secs(1);

/// Whether `path` lies in a project of which nothing was read yet, so that it cannot be said what it is.
pub(super) fn is_unread(path: &Path, config: &Config) -> bool {
    let Ok(inside) = path.strip_prefix(PROJECTS) else { return false };
    let mut inside = inside.iter();
    let name = inside.next().and_then(|name| name.to_str());
    let Some(project) = name.and_then(|name| config.project(name)) else { return false };
    // The directories of the kinds are there in any case.
    inside.nth(1).is_some() && project.pins.known().is_none()
}

/// The error number of what keeps `path`, which is no pin that is known, from being told: its project cannot be
/// read; or a lockfile of its ecosystem cannot, and it could stand there or is the directory of an ecosystem of
/// which nothing else is known.
pub(super) fn trouble(path: &Path, config: &Config) -> Option<Errno> {
    let mut inside = path.strip_prefix(PROJECTS).ok()?.iter();
    let project = config.project(inside.next()?.to_str()?)?;
    // Absence is not what is known of it.
    let number = |error: &Error| match error.kind().errno() {
        libc::ENOENT => Errno(libc::EIO),
        other => Errno(other),
    };
    let index = match project.pins.known()? {
        Ok(index) => index,
        Err(error) => return Some(number(&error)),
    };
    let kind = inside.next()?.to_str()?;
    let broken = index.project.broken.iter().find(|broken| broken.ecosystem.kind() == kind)?;
    let is_trouble = match inside.next_back() {
        None => index.names(broken.ecosystem).next().is_none(),
        // What programs look for in every directory is no package.
        Some(name) => {
            let name = name.to_str()?;
            !name.starts_with('.') && !is_probed(name)
        }
    };
    is_trouble.then(|| number(&broken.error))
}

impl SourceTree {
    /// Has lockfiles looked at that nobody has looked at for a while: whoever asks again in a second sees what
    /// came of it.
    pub(super) fn look_at_projects(&self, config: &Config) {
        for project in &config.projects {
            if project.pins.is_stale() && project.pins.under_way().is_none() {
                self.look_at(project, config);
            }
        }
    }

    /// Has all lockfiles looked at, and waits for that; but not for a directory that has not answered for a
    /// while.
    pub(super) fn look_at_all_projects(&self, config: &Config) {
        let until = Instant::now() + BARRIER_WAITS;
        let answers = |project: &&Project| project.pins.under_way().is_none_or(|time| time < BARRIER_WAITS);
        let looks: Vec<(&Project, Round)> = config
            .projects
            .iter()
            .filter(answers)
            .map(|project| (project, self.look_at(project, config)))
            .collect();
        for (project, round) in looks {
            if !project.pins.is_seen(round, until) {
                log::warn!("{} does not answer: its lockfiles stay as they were", project.path.display());
            }
        }
    }

    /// Has the clients of the registries asked whether those that projects name are the user's own, as far as
    /// somebody wanted to know it.
    pub(super) fn look_at_registries(&self, config: &Config) {
        config.own.look(self.tells());
    }

    fn look_at(&self, project: &Project, config: &Config) -> Round {
        let (tell, own) = (self.tells(), config.own.clone());
        project.pins.look(move || {
            tell();
            // What clients are told changes as lockfiles do.
            own.look(tell.clone());
        })
    }

    /// Has who waits for what was not known told that more is.
    fn tells(&self) -> impl Fn() + Clone + Send + 'static {
        let monitor = Arc::clone(&self.monitor);
        move || {
            if let Some(monitor) = monitor.get() {
                monitor.look_again();
            }
        }
    }
}
