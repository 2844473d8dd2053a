//! Following the lockfiles of projects as they change.
//!
//! A project's directory may be on a server that is away, and then whoever touches it hangs. So nothing here
//! reads a lockfile: each project has it done by a thread of its own ([`crate::project::Latest`]), what it
//! read last is shown meanwhile, and who asks for what was never read waits as for everything slow.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{PROJECTS, SourceTree};
use crate::config::{Config, Project};
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

impl SourceTree {
    /// Has lockfiles looked at that nobody has looked at for a while: whoever asks again in a second sees what
    /// came of it.
    pub(super) fn look_at_projects(&self, config: &Config) {
        for project in &config.projects {
            if project.pins.is_stale() && project.pins.under_way().is_none() {
                self.look_at(project);
            }
        }
    }

    /// Has all lockfiles looked at, and waits for that; but not for a directory that has not answered for a
    /// while.
    pub(super) fn look_at_all_projects(&self, config: &Config) {
        let until = Instant::now() + BARRIER_WAITS;
        let answers = |project: &&Project| project.pins.under_way().is_none_or(|time| time < BARRIER_WAITS);
        let looks: Vec<(&Project, Round)> =
            config.projects.iter().filter(answers).map(|project| (project, self.look_at(project))).collect();
        for (project, round) in looks {
            if !project.pins.is_seen(round, until) {
                log::warn!("{} does not answer: its lockfiles stay as they were", project.path.display());
            }
        }
    }

    fn look_at(&self, project: &Project) -> Round {
        let monitor = Arc::clone(&self.monitor);
        project.pins.look(move || {
            if let Some(monitor) = monitor.get() {
                monitor.look_again();
            }
        })
    }
}
