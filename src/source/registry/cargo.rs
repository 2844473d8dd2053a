//! What cargo is told: `config.toml` of a project, its parents and `CARGO_HOME`, `credentials.toml`, and
//! `CARGO_…`.
//!
//! As cargo does it, with these differences: only sparse registries are asked (a git index, a
//! `local-registry` or a `directory` is an error that says so), no credential provider is run, and the
//! proxy of git's configuration is not looked for.
//!
//! Cargo sends a token only to a registry whose `config.json` says `auth-required`, or that answers 401 to
//! the question for it. Whoever asks has to do the same: a token can be had here for every registry.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use url::Url;

use super::files::{Files, path};
use super::{Proxy, proxy_url, registry_url, take_user};
use crate::config::variables::Variables;
use crate::error::{Error, Kind, Result};
use crate::source::http::credential::Credential;

mod layers;

use layers::{Found, Layers};

/// The registry that is meant when none is named, as cargo spells it.
const DEFAULT: &str = "crates-io";

/// What cargo is told.
pub struct Cargo {
    files: Files,
    layers: Layers,
    trust: Vec<PathBuf>,
    proxy: Option<String>,
    notes: Vec<String>,
}

impl Cargo {
    /// Reads what the files and the environment say. The configuration of `project` and of the directories
    /// above it counts too.
    pub fn read(variables: &Variables, project: Option<&Path>) -> Result<Cargo> {
        let mut files = Files::default();
        let layers = Layers::read(variables, project, &mut files)?;
        let cainfo = layers.get(&["http", "cainfo"])?.filter(|found| !found.text.is_empty());
        let trust = cainfo.map(|found| path(&found.text, &found.base, None)).into_iter().collect();
        let proxy = layers.get(&["http", "proxy"])?.map(|found| proxy_url(found.text.trim()));
        let registries = layers.names("registries").into_iter().chain(layers.registries_of_variables());
        let own = registries.map(|name| layers.origin_of(&["registries", &name, "credential-provider"]));
        // A name in a file and one in a variable may be the same registry.
        let mut origins: BTreeSet<String> = own.flatten().collect();
        for key in ["global-credential-providers", "credential-provider"] {
            origins.extend(layers.origin_of(&["registry", key]));
        }
        let why = "is not used: srcfs reads tokens from credentials.toml and the environment only";
        let notes = origins.iter().map(|origin| format!("{origin} {why}")).collect();
        Ok(Cargo { files, layers, trust, proxy, notes })
    }

    /// The index of the registry that is meant when none is named, after source replacement.
    pub fn default_index(&self) -> Result<Url> {
        self.replaced(DEFAULT)
    }

    /// The index at `index` after source replacement: another one, if a source of that address is replaced.
    pub fn index_at(&self, index: &Url) -> Result<Url> {
        for source in self.layers.names("source") {
            let registry = self.layers.get(&["source", &source, "registry"])?;
            let own = registry.and_then(|registry| sparse(&registry).ok());
            if own.is_some_and(|own| is_same(&own, index)) {
                return self.replaced(&source);
            }
        }
        Ok(index.clone())
    }

    /// The token for the registry with this index. It is for the downloads of that registry, too, where they are
    /// on the same server. Not to be sent unless the registry says that it wants one.
    pub fn credential_for(&self, index: &Url) -> Option<Credential> {
        let token = |key: &[&str]| credential(self.layers.get(key).ok()??);
        for name in self.layers.names("registries").into_iter().chain(self.layers.registries_of_variables()) {
            let address = self.registry(&name).ok().flatten();
            if address.and_then(|address| sparse(&address).ok()).is_some_and(|url| is_same(&url, index))
                && let Some(token) = token(&["registries", &name, "token"])
            {
                return Some(token);
            }
        }
        if own_index().is_ok_and(|url| is_same(&url, index)) { token(&["registry", "token"]) } else { None }
    }

    /// Files of certificates to trust beside those of the system.
    pub fn trust(&self) -> &[PathBuf] {
        &self.trust
    }

    /// How to reach `url`.
    pub fn proxy(&self, _url: &Url) -> Proxy<'_> {
        match self.proxy.as_deref() {
            None => Proxy::Environment,
            Some("") => Proxy::Direct,
            Some(proxy) => Proxy::Through(proxy),
        }
    }

    /// What the configuration says that is not done, and why.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    pub(super) fn files(&self) -> &Files {
        &self.files
    }
}

impl Cargo {
    fn registry(&self, name: &str) -> Result<Option<Found>> {
        self.layers.get(&["registries", name, "index"])
    }

    /// The index of the source `start`, or of what it is replaced with.
    fn replaced(&self, start: &str) -> Result<Url> {
        let what = || format!("find the index of the cargo source {start}");
        let sources = self.layers.names("source");
        let mut seen = BTreeSet::new();
        let mut name = start.to_owned();
        loop {
            if !seen.insert(name.clone()) {
                let why = format!("the source {name} is replaced with itself in the end");
                return Err(
                    Error::new(Kind::Config, what(), why).hint("take one replace-with of the circle away")
                );
            }
            if !sources.contains(&name) {
                return match self.registry(&name)? {
                    _ if name == DEFAULT => own_index(),
                    Some(found) => sparse(&found),
                    None => Err(Error::new(Kind::Config, what(), format!("there is no source {name}"))
                        .hint(format!("write registry = \"sparse+https://…\" below [source.{name}]"))),
                };
            }
            let get = |key| self.layers.get(&["source", &name, key]);
            if let Some(next) = get("replace-with")? {
                name = next.text;
                continue;
            }
            if let Some(found) = get("registry")? {
                return sparse(&found);
            }
            for kind in ["local-registry", "directory", "git"] {
                if let Some(found) = get(kind)? {
                    let why = format!("{} is no sparse registry, and srcfs can ask no other", found.origin);
                    return Err(Error::new(Kind::Config, what(), why).hint(SPARSE));
                }
            }
            if name == DEFAULT {
                return own_index();
            }
            let why = format!("nothing says where the source {name} is");
            return Err(Error::new(Kind::Config, what(), why).hint(SPARSE));
        }
    }
}

const SPARSE: &str = "write registry = \"sparse+https://…/\" there, the address of a sparse index";

/// Whether both are the address of one index, whose last slash need not be written.
fn is_same(one: &Url, other: &Url) -> bool {
    one.as_str().trim_end_matches('/') == other.as_str().trim_end_matches('/')
}

/// What cargo asks if nobody tells it another.
fn own_index() -> Result<Url> {
    sparse_url(crates_index::sparse::URL, "the address of cargo's own index")
}

fn sparse(found: &Found) -> Result<Url> {
    sparse_url(&found.text, &found.origin)
}

fn sparse_url(text: &str, origin: &str) -> Result<Url> {
    let Some(address) = text.strip_prefix("sparse+") else {
        let why = "it is the address of a git index, and srcfs can ask only a sparse one";
        return Err(Error::new(Kind::Config, format!("read {origin}"), why).hint(SPARSE));
    };
    let mut url = registry_url(address, origin)?;
    // Cargo itself refuses an index with a user in it.
    take_user(&mut url);
    Ok(url)
}

fn credential(token: Found) -> Option<Credential> {
    let is_header = !token.text.is_empty() && token.text.chars().all(|c| !c.is_ascii_control());
    is_header.then(|| Credential::raw(token.text))
}

impl std::fmt::Debug for Cargo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cargo")
            .field("files", &self.files)
            .field("trust", &self.trust)
            .finish_non_exhaustive()
    }
}
