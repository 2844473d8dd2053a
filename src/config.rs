//! The configuration: named resources, hosts that paths may reach, and how long things may take.
//!
//! It is one TOML file, read as a whole into typed values; what is wrong in it is reported all at
//! once, each problem with its line, its column and what to do. An absent file is the default.
//! The environment is read in [`environment`] and [`variables`] alone, and the file is changed in
//! [`edit`] alone.
//! Nothing here touches the cache or the network. Everything fails with `Kind::Config`.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeTable;

use crate::error::{Error, Kind, Result};
use crate::key::{Directory, GitUrl, Key, Kind as KeyKind};
use crate::project::Own;

mod document;
pub mod duration;
pub mod edit;
pub mod environment;
mod forge;
mod host;
pub mod locking;
mod problem;
mod project;
pub mod proxies;
mod quota;
mod reading;
mod resource;
pub mod size;
pub mod variables;
pub mod walkers;

use locking::Locking;
use problem::Problems;
use walkers::Walkers;

pub use forge::Forge;
pub use host::Host;
pub(crate) use host::is_probed;
pub use problem::Problem;
pub use project::Project;
pub use quota::{KeepFree, Quota};
pub use resource::{
    RESERVED, Resource, check_name, check_note, parse_subpath, parse_subpaths, pasted_prefix,
};

pub(crate) use document::nearest;
pub(crate) use host::{DEEPEST as DEEPEST_GROUP, check_segment as check_host_segment};
pub(crate) use resource::check_name_segment;

/// What a new resource is, as it was written.
#[derive(Clone, Copy, Debug)]
pub enum NewOrigin<'a> {
    /// The url of a git repository.
    Git(&'a str),
    /// A package of a registry.
    Package(KeyKind, &'a str),
    /// A directory, by its absolute path.
    Path {
        /// Where it is.
        path: &'a Path,
        /// What of it is left out, as globs of a `.gitignore`.
        ignore: &'a [&'a str],
    },
}

/// Everything that the configuration says, defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The file it came from, whether or not that exists; none for a configuration made in memory.
    pub file: Option<PathBuf>,
    /// The named resources, in the file's order.
    pub resources: Vec<Resource>,
    /// The projects, in the file's order.
    pub projects: Vec<Project>,
    /// The hosts that paths may reach: those of the file, then the well-known ones it does not name.
    pub hosts: Vec<Host>,
    /// How old the answer for a moving reference may be before it is asked for again in the
    /// background; none for never.
    pub refresh: Option<Duration>,
    /// Whether to leave the network alone.
    pub offline: bool,
    /// Also show packages whose registry publishes no stronger hash of them than SHA-1.
    pub weak_hashes: bool,
    /// How long a process may be away from a name and still keep the snapshot it saw there.
    pub quiet: Duration,
    /// How long a process may keep an old snapshot at most.
    pub max_drain: Duration,
    /// How long a view that nobody asks for is kept.
    pub idle: Duration,
    /// How long a request of the kernel may wait.
    pub reply_bound: Duration,
    /// How many fetches may run at once.
    pub max_fetches: u32,
    /// How long "does not exist" is remembered.
    pub negative_ttl: Duration,
    /// How much one process may cause to be fetched through a mount.
    pub walkers: Walkers,
    /// How large the cache may become, and how long it keeps what nobody uses.
    pub quota: Quota,
    /// The locks of the cache.
    pub locking: Locking,
    /// Which registries are the user's own, which the file does not say.
    pub own: Own,
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// A file larger than this is not a configuration.
const LARGEST_FILE: u64 = 1024 * 1024;

impl Config {
    /// Reads `file`; an absent one is the default.
    pub fn load(file: &Path) -> Result<Config> {
        let text = read(file)?.unwrap_or_default();
        let mut config = Config::parse(&text)
            .map_err(|problems| problem::as_error(&file.display().to_string(), &problems))?;
        config.file = Some(file.to_owned());
        Ok(config)
    }

    /// Reads a configuration from text, or says everything that is wrong in it.
    pub fn parse(text: &str) -> Result<Config, Vec<Problem>> {
        let mut problems = Problems::new(text);
        let (document, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            problems.add(
                &error.span().unwrap_or(0..0),
                format!("this is not TOML: {}", error.message()),
                "see https://toml.io for how it is written",
            );
        }
        if !problems.is_empty() {
            // What follows a slip of syntax is read wrongly; complaints about it would mislead.
            return Err(problems.finish());
        }
        let config = reading::document(document.get_ref(), &mut problems);
        if problems.is_empty() { Ok(config) } else { Err(problems.finish()) }
    }

    /// The host of that name.
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.hosts.iter().find(|host| host.name == name)
    }

    /// The url of the repository at `path` (without `.git`) on the host `name`: `None` for a host
    /// that is not configured, an error where the forge allows no such repository.
    pub fn host_url(&self, name: &str, path: &[&str]) -> Option<Result<GitUrl>> {
        self.host(name).map(|host| host.repository(path))
    }

    /// The resource of that name, and its index.
    pub fn resource(&self, name: &str) -> Option<(usize, &Resource)> {
        self.resources.iter().enumerate().find(|(_, resource)| resource.name == name)
    }

    /// Parses what `srcfs add` was given into a resource that this configuration can take.
    pub fn new_resource(
        &self,
        name: &str,
        origin: NewOrigin<'_>,
        reference: Option<&str>,
        subpaths: &[&str],
        note: Option<&str>,
    ) -> Result<Resource> {
        let resource = self.parse_resource(name, origin, reference, subpaths, note)?;
        self.check_new(&resource)?;
        Ok(resource)
    }

    /// The same, but its name may be taken.
    pub fn parse_resource(
        &self,
        name: &str,
        origin: NewOrigin<'_>,
        reference: Option<&str>,
        subpaths: &[&str],
        note: Option<&str>,
    ) -> Result<Resource> {
        if let Some(note) = note {
            check_note(note)?;
        }
        check_name(name)?;
        let key = match origin {
            NewOrigin::Git(url) => Key::git(resource::parse_url(url, |url| trusts(&self.hosts, url))?),
            NewOrigin::Package(kind, package) => Key::package(resource::parse_package(kind, package)?),
            NewOrigin::Path { path, ignore } => Key::local(Directory::new(path, ignore.iter().copied())?),
        };
        Ok(Resource {
            name: Resource::path_of(name, &key),
            reference: key.reference(reference.unwrap_or_default())?,
            key,
            subpaths: parse_subpaths(subpaths)?,
            note: note.map(str::to_owned),
        })
    }

    /// How old an answer about something of this kind may be before it is asked for again; none if it
    /// never is, unless somebody says so.
    pub fn refresh_of(&self, kind: KeyKind) -> Option<Duration> {
        self.refresh.filter(|_| !self.offline || !kind.needs_network())
    }

    /// Refuses a resource whose name is invalid or taken. Directories are shown elsewhere, but the names in
    /// the file are told apart without that.
    pub(crate) fn check_new(&self, resource: &Resource) -> Result<()> {
        let name = resource.name_in_file();
        check_name(name)?;
        let taken = |why: String| Error::new(Kind::Invalid, format!("add {:?}", resource.name), why);
        match self.resources.iter().find(|other| collide(other.name_in_file(), name)) {
            None => Ok(()),
            Some(other) if other.name_in_file() == name => {
                Err(taken("a resource of that name is configured already".to_owned())
                    .hint(format!("choose another name, or `srcfs remove {}` first", other.name)))
            }
            Some(other) => {
                Err(taken(format!("it and {:?} would be one directory", other.name))
                    .hint("choose another name"))
            }
        }
    }

    /// The project of that name.
    pub fn project(&self, name: &str) -> Option<&Project> {
        self.projects.iter().find(|project| project.name == name)
    }

    /// Takes over what `old` has read of projects that are the same, who knows of registries, and that the network may
    /// be used or not: sources have been told so once.
    pub fn take_over(&mut self, old: &Config) {
        self.offline = old.offline;
        self.own = old.own.clone();
        for project in &mut self.projects {
            if let Some(same) = old.projects.iter().find(|other| other.path == project.path) {
                project.pins = same.pins.clone();
            }
        }
    }

    /// The url of a repository that a lockfile names: refused where that of a `[[resource]]` would be.
    pub fn git_url(&self, url: &str) -> Result<GitUrl> {
        resource::parse_url(url, |url| trusts(&self.hosts, url))
    }

    /// All servers that this configuration lets srcfs talk to, as they stand in urls, with their ports:
    /// a redirect to any other is refused.
    pub fn addresses(&self) -> Vec<String> {
        let hosts = self.hosts.iter().filter_map(Host::sample);
        let resources = self.resources.iter().filter_map(|resource| resource.key.git_url().cloned());
        let mut addresses: Vec<String> = hosts.chain(resources).filter_map(|url| url.authority()).collect();
        addresses.sort();
        addresses.dedup();
        addresses
    }

    /// Whether a server may send srcfs on to `url`. Another port of a host is another server: whoever
    /// runs one of them need not be allowed to speak to the other.
    pub fn allows(&self, url: &GitUrl) -> bool {
        let known = url.authority().is_some_and(|authority| self.addresses().contains(&authority));
        let safe = url.transport() == crate::key::Transport::Https && !url.is_private();
        known && (safe || trusts(&self.hosts, url))
    }
}

/// The text of `file`; `None` if it does not exist.
fn read(file: &Path) -> Result<Option<String>> {
    let failed = |error: &std::io::Error| Error::io("read the configuration", file, error);
    match std::fs::metadata(file) {
        Ok(metadata) if metadata.len() > LARGEST_FILE => {
            return Err(failed(&std::io::Error::other("it is larger than 1 MiB")));
        }
        Ok(metadata) if !metadata.is_file() => {
            // /dev/null is a way to say "no configuration".
            if file == Path::new("/dev/null") {
                return Ok(None);
            }
            return Err(failed(&std::io::Error::other("it is not a regular file")));
        }
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(&error)),
    }
    match std::fs::read(file) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(failed(&std::io::Error::other("it is not UTF-8"))),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(&error)),
    }
}

/// Whether the configuration names the host of `url`, by its name or by its address, and, for a url
/// that is not encrypted, also allows that.
fn trusts(hosts: &[Host], url: &GitUrl) -> bool {
    let Some(address) = url.host() else { return false };
    hosts.iter().any(|host| {
        let named = host.name == address || host.address().as_deref() == Some(address);
        named && (url.transport() != crate::key::Transport::Http || host.url.starts_with("http://"))
    })
}

/// Whether two names cannot both be directories of the mount.
fn collide(one: &str, other: &str) -> bool {
    let below = |long: &str, short: &str| {
        long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    below(one, other) || below(other, one)
}

#[cfg(test)]
mod tests;
