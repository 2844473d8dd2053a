//! Where the registries of packages are and how to log in there, as their own clients are told.
//!
//! | file | what it knows |
//! |---|---|
//! | `npm`, `pypi`, `cargo` | which files and variables a client reads, and what of them comes first |
//! | `files` | reads them, and notices that they changed |
//! | `defaults` | what a client itself says where nothing is configured |
//! | `own` | whether a registry that a project names is one of these |
//!
//! Nothing here asks the network, and no public registry is named: what nobody configured is asked of npm or
//! pip, if they are installed, or it is an error that says what to write where. Only cargo's own index is a
//! constant of the crate that reads such indexes, as it is one of cargo. What a client would do without
//! looking at certificates is not done: there is a note instead. No error, note or `Debug` shows a secret.
//!
//! Calls [`crate::config::variables`] for the environment and [`crate::source::git`] to run a client, and is asked by
//! [`crate::project::Own`] which registries are the user's own.
//! Everything fails with `Kind::Config`, `Kind::Io`, or with what kept a client from answering.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use url::Url;

use crate::config::variables::Variables;
use crate::error::{Error, Kind, Result};

mod cargo;
mod defaults;
mod files;
mod npm;
mod own;
mod pypi;

pub use cargo::Cargo;
pub use defaults::Defaults;
pub use npm::Npm;
pub use pypi::Pypi;

use super::http::Proxy;
use files::Files;

/// All three, read when they are first asked for, and again when a file that was read has changed.
#[derive(Debug)]
pub struct Registries {
    variables: Variables,
    project: Option<PathBuf>,
    defaults: Arc<Defaults>,
    npm: Latest<Npm>,
    pypi: Latest<Pypi>,
    cargo: Latest<Cargo>,
}

impl Registries {
    /// For this environment; `project` is the directory whose own configuration counts too, if there is one.
    pub fn new(variables: Variables, project: Option<PathBuf>, defaults: Arc<Defaults>) -> Self {
        Registries {
            variables,
            project,
            defaults,
            npm: Latest::default(),
            pypi: Latest::default(),
            cargo: Latest::default(),
        }
    }

    /// What npm is told now.
    pub fn npm(&self) -> Result<Arc<Npm>> {
        let project = self.project.as_deref();
        self.npm.get(Npm::files, || Npm::read(&self.variables, project, &self.defaults))
    }

    /// What pip is told now. It knows no configuration of projects.
    pub fn pypi(&self) -> Result<Arc<Pypi>> {
        self.pypi.get(Pypi::files, || Pypi::read(&self.variables, &self.defaults))
    }

    /// What cargo is told now.
    pub fn cargo(&self) -> Result<Arc<Cargo>> {
        let project = self.project.as_deref();
        self.cargo.get(Cargo::files, || Cargo::read(&self.variables, project))
    }
}

/// The last that was read.
#[derive(Debug)]
struct Latest<T>(Mutex<Option<Arc<T>>>);

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Latest(Mutex::new(None))
    }
}

impl<T> Latest<T> {
    fn get(&self, files: impl Fn(&T) -> &Files, read: impl FnOnce() -> Result<T>) -> Result<Arc<T>> {
        // Whoever panicked left either the old value or the new one.
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = &*last
            && files(last).are_unchanged()
        {
            return Ok(last.clone());
        }
        let new = Arc::new(read()?);
        *last = Some(new.clone());
        Ok(new)
    }
}

/// `text` as the url of a registry, which ends with a slash so that names can be joined to it.
/// `origin` says where the text stands.
fn registry_url(text: &str, origin: &str) -> Result<Url> {
    let wrong = |why: &str| {
        Error::new(Kind::Config, format!("read {origin}"), why)
            .hint("write the url of a registry there, such as https://registry.example.org/")
    };
    let mut url = Url::parse(text.trim()).map_err(|error| wrong(&format!("it is no url: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        let why = format!("srcfs speaks only http and https with a registry, and this is {}", url.scheme());
        return Err(wrong(&why));
    }
    url.set_fragment(None);
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

/// Takes the user and the password out of a url, decoded; none without a user.
fn take_user(url: &mut Url) -> Option<(String, Option<String>)> {
    let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let password = url.password().map(decode);
    let user = decode(url.username());
    // Both fail only for a url that can have no user.
    let _ = url.set_password(None);
    let _ = url.set_username("");
    (!user.is_empty() || password.is_some()).then_some((user, password))
}

/// Whether a secret for `one` may go to `other`: to the same server, also if it is asked encrypted now, but
/// not the other way round.
fn serves(one: &Url, other: &Url) -> bool {
    let is_as_safe = one.scheme() == other.scheme() || other.scheme() == "https";
    is_as_safe && authority(one) == authority(other)
}

/// The host and, if it is not that of the scheme, the port.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// `text` as the url of a proxy, which may be written without its scheme.
fn proxy_url(text: &str) -> String {
    if text.is_empty() || text.contains("://") { text.to_owned() } else { format!("http://{text}") }
}

#[cfg(test)]
mod tests;
