//! What pip is told: `pip.conf` of the machine, the user and the virtual environment, `PIP_…`, and the
//! passwords of `.netrc`.
//!
//! As pip does it, with these differences: the file of a Python that is no virtual environment
//! (`sys.prefix`) is not read, because it is not known which Python is meant; of the sections of commands,
//! `[download]` counts before `[install]`, and both before `[global]`; the `default` of `.netrc` is sent to
//! the servers of configured indexes only, as is all of it over plain http; no keyring is asked;
//! `trusted-host` is noted, not honoured.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use url::Url;

use super::defaults::Defaults;
use super::files::{Files, path};
use super::{Proxy, proxy_url, registry_url, serves, take_user};
use crate::config::variables::Variables;
use crate::error::{Error, Kind, Result};
use crate::source::http::credential::Credential;

mod ini;
mod layers;
mod netrc;

use layers::Layers;
use netrc::Netrc;

/// What pip is told.
#[derive(Debug)]
pub struct Pypi {
    files: Files,
    defaults: Arc<Defaults>,
    variables: Variables,
    /// The first index, if one is configured.
    index: Option<Index>,
    extra: Vec<Index>,
    /// Why there is no index at all.
    none: Option<String>,
    netrc: Netrc,
    trust: Vec<PathBuf>,
    proxy: Option<Secret>,
    notes: Vec<String>,
}

/// An index, and who asks it.
#[derive(Debug)]
struct Index {
    url: Url,
    user: Option<(String, Option<Secret>)>,
}

/// A text that is not shown.
#[derive(Clone)]
struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

impl Index {
    fn read(text: &str, origin: &str) -> Result<Index> {
        let mut url = registry_url(text, origin)?;
        let user = take_user(&mut url).map(|(user, password)| (user, password.map(Secret)));
        Ok(Index { url, user })
    }
}

impl Pypi {
    /// Reads what the files and the environment say.
    pub fn read(variables: &Variables, defaults: &Arc<Defaults>) -> Result<Pypi> {
        Pypi::read_on(Path::new("/etc"), variables, defaults)
    }

    /// As [`Pypi::read`], with another `/etc`.
    pub(super) fn read_on(etc: &Path, variables: &Variables, defaults: &Arc<Defaults>) -> Result<Pypi> {
        let mut files = Files::default();
        let home = variables.home();
        let layers = Layers::read(etc, variables, &mut files)?;
        let mut notes = Vec::new();

        let index = match layers.get("index-url") {
            Some(found) => Some(Index::read(found.text, &found.origin)?),
            None => None,
        };
        let mut extra = Vec::new();
        if let Some(found) = layers.get("extra-index-url") {
            for text in found.text.split_whitespace() {
                extra.push(Index::read(text, &found.origin)?);
            }
        }
        let none = layers.get("no-index").filter(|found| is_true(found.text)).map(|found| found.origin);
        if let Some(found) = layers.get("trusted-host") {
            notes.push(format!(
                "{} is not honoured: write the certificate of the index's CA into a file and name it as cert",
                found.origin
            ));
        }
        if let Some(found) = layers.get("find-links") {
            notes.push(format!("{} is not used: srcfs asks indexes only", found.origin));
        }
        let mut trust: Vec<PathBuf> = layers
            .get("cert")
            .map(|found| path(found.text, found.base, home.as_deref()))
            .into_iter()
            .collect();
        if trust.is_empty() {
            let bundle = ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"].iter().find_map(|name| variables.set(name));
            trust.extend(bundle.map(|file| path(file, Path::new("/"), home.as_deref())));
        }
        let netrc = read_netrc(variables, &mut files, &mut notes)?;
        let proxy = layers.get("proxy").map(|found| Secret(proxy_url(found.text)));
        let (defaults, variables) = (defaults.clone(), variables.clone());
        Ok(Pypi { files, defaults, variables, index, extra, none, netrc, trust, proxy, notes })
    }

    /// The indexes (of the simple API) in the order in which they are asked: the one that is configured or
    /// that pip itself says, then the extra ones. No credentials are in them.
    pub fn indexes(&self) -> Result<Vec<Url>> {
        if let Some(origin) = &self.none {
            return Err(Error::new(
                Kind::Config,
                "find the index of pip",
                format!("{origin} says to ask none"),
            )
            .hint("take it away, or set it to false"));
        }
        let first = match &self.index {
            Some(index) => index.url.clone(),
            None => self.defaults.pip(&self.variables)?,
        };
        let mut indexes = vec![first];
        for Index { url, .. } in &self.extra {
            if !indexes.contains(url) {
                indexes.push(url.clone());
            }
        }
        Ok(indexes)
    }

    /// What to send to `url`: what stands in itself, else in the url of the index on the same server that
    /// shares the most of its path, else what `.netrc` says for the host, else what stands in the url of
    /// another index there.
    pub fn credential_for(&self, url: &Url) -> Option<Credential> {
        let mut own = take_user(&mut url.clone()).map(|(user, password)| (user, password.map(Secret)));
        let indexes: Vec<&Index> = self.configured().filter(|index| serves(&index.url, url)).collect();
        // The first of those that share as much.
        let shared = |(_, index): &(usize, &&Index)| std::cmp::Reverse(shared_directories(&index.url, url));
        let nearest = indexes.iter().enumerate().min_by_key(shared);
        if !matches!(own, Some((_, Some(_)))) {
            own = nearest.and_then(|(_, index)| index.user.clone()).or(own);
        }
        if let Some((user, Some(password))) = &own {
            return Some(Credential::basic(user, &password.0));
        }
        let host = url.host_str()?;
        // Over plain http only to whom the configuration names with plain http.
        let may_have = url.scheme() == "https" || !indexes.is_empty();
        let login = self.netrc.of(host).or_else(|| self.netrc.for_others().filter(|_| !indexes.is_empty()));
        if let Some(login) = login.filter(|_| may_have) {
            return Some(Credential::basic(&login.user, &login.password));
        }
        // What pip sent to that server last. The page of an index is asked for before those of later ones.
        let is_page = |index: &Index| url.path().starts_with(index.url.path()) && url.path().ends_with('/');
        let before = match nearest {
            Some((at, index)) if is_page(index) => &indexes[..at],
            _ => &indexes,
        };
        let last = before.iter().rev().find_map(|index| index.user.as_ref());
        let last = last.filter(|(name, _)| own.as_ref().is_none_or(|(own, _)| own == name));
        let (user, password) = last.or(own.as_ref())?;
        Some(Credential::basic(user, password.as_ref().map_or("", |password| &password.0)))
    }

    /// Files of certificates to trust beside those of the system.
    pub fn trust(&self) -> &[PathBuf] {
        &self.trust
    }

    /// How to reach `url`.
    pub fn proxy(&self, _url: &Url) -> Proxy<'_> {
        self.proxy.as_ref().map_or(Proxy::Environment, |proxy| Proxy::Through(&proxy.0))
    }

    /// What the configuration says that is not done, and why.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    pub(super) fn files(&self) -> &Files {
        &self.files
    }

    fn configured(&self) -> impl Iterator<Item = &Index> {
        self.index.iter().chain(&self.extra)
    }
}

/// It is every program's file, and pip goes on without one that it cannot read.
fn read_netrc(variables: &Variables, files: &mut Files, notes: &mut Vec<String>) -> Result<Netrc> {
    let home = variables.home();
    let named = variables.set("NETRC").map(|file| vec![path(file, Path::new("/"), home.as_deref())]);
    let usual = || home.iter().flat_map(|home| [home.join(".netrc"), home.join("_netrc")]).collect();
    for file in named.unwrap_or_else(usual) {
        let why = match files.read(&file) {
            Ok(None) => continue,
            Ok(Some(text)) => match Netrc::parse(&text) {
                Ok(netrc) => return Ok(netrc),
                Err(line) => format!("line {line} cannot be read"),
            },
            // That passes, and is no word about the file.
            Err(error) if error.kind() == Kind::Exhausted => return Err(error),
            Err(error) => error.why().to_owned(),
        };
        notes.push(format!("{} is not used: {why}", file.display()));
        break;
    }
    Ok(Netrc::default())
}

/// How many directories both urls begin with.
fn shared_directories(one: &Url, other: &Url) -> usize {
    let directories = |url: &Url| -> Vec<String> {
        let path = url.path();
        path[..=path.rfind('/').unwrap_or(0)].split_inclusive('/').map(str::to_owned).collect()
    };
    directories(one).iter().zip(directories(other)).take_while(|(one, other)| *one == other).count()
}

/// As Python's `strtobool`.
fn is_true(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "y" | "yes" | "t" | "true" | "on" | "1")
}
