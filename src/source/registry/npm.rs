//! What npm is told: `.npmrc` of the project, the user and the machine, and `npm_config_…`.
//!
//! As npm 11 does it, with these differences, each of which is noted for the user where it matters: a
//! certificate is always checked (`strict-ssl=false` is not honoured), certificates written into the file
//! itself (`ca`) and client certificates are not used, a secret whose variable is not set is none, and a
//! secret goes over plain http only to a registry that is configured with plain http.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use url::Url;

use super::defaults::Defaults;
use super::files::{Files, path};
use super::{Proxy, authority, registry_url, serves, take_user};
use crate::config::variables::Variables;
use crate::error::Result;
use crate::npmrc;
use crate::source::http::credential::Credential;
use crate::source::http::trust;

mod credentials;
mod expand;
mod host;
mod layers;

use credentials::Credentials;
use host::Replaced;
use layers::Layers;

/// What npm is told.
#[derive(Debug)]
pub struct Npm {
    files: Files,
    defaults: Arc<Defaults>,
    variables: Variables,
    /// The registry of everything without a scope of its own, if one is configured.
    registry: Option<Url>,
    /// The registries of scopes, by `@scope`.
    scopes: BTreeMap<String, Url>,
    /// The `@scope` whose registry is asked before `registry`, if one is configured.
    scope: Option<String>,
    credentials: Credentials,
    replaced: Replaced,
    trust: Vec<PathBuf>,
    proxy: ProxySetting,
    notes: Vec<String>,
}

impl Npm {
    /// Reads what the files and the environment say. `project` is a directory whose `.npmrc` counts too.
    pub fn read(variables: &Variables, project: Option<&Path>, defaults: &Arc<Defaults>) -> Result<Npm> {
        let mut files = Files::default();
        let layers = Layers::read(variables, project, &mut files)?;
        let mut notes = Vec::new();
        let mut credentials = Credentials::read(&layers, &mut notes);

        let mut url_of = |key: &str| -> Result<Option<Url>> {
            let Some(found) = layers.get(key) else { return Ok(None) };
            let Some(text) = found.text() else { return Ok(None) };
            let origin = found.origin(key);
            let mut url = registry_url(text, &origin).map_err(|error| match expand::unset(text) {
                Some(name) => {
                    error.hint(format!("set the environment variable {name}, or write the url itself"))
                }
                None => error,
            })?;
            if let Some((user, password)) = take_user(&mut url) {
                credentials.add(&url, Credential::basic(&user, password.as_deref().unwrap_or_default()));
            }
            Ok(Some(url))
        };
        let registry = url_of("registry")?;
        let mut scopes = BTreeMap::new();
        let scoped = layers.keys().filter_map(|key| Some((key, key.strip_suffix(":registry")?)));
        for (key, scope) in scoped.filter(|(_, scope)| scope.starts_with('@')) {
            if let Some(url) = url_of(key)? {
                scopes.insert(scope.to_owned(), url);
            }
        }
        let scope = layers.get("scope").and_then(|found| found.text().map(npmrc::scope));

        let home = variables.home();
        let mut trust = Vec::new();
        if let Some(file) = layers.path("cafile", home.as_deref()) {
            match files.exists(&file) {
                true => trust.push(file),
                false => {
                    notes.push(format!("cafile is ignored, as npm does: there is no {}", file.display()))
                }
            }
        }
        // What node itself adds to the certificates it knows.
        if let Some(extra) = variables.set("NODE_EXTRA_CA_CERTS") {
            let file = path(extra, Path::new("/"), home.as_deref());
            // It is looked at again when it comes or changes.
            files.exists(&file);
            match trust::check(&file) {
                Ok(()) => trust.push(file),
                Err(error) => notes.push(format!(
                    "NODE_EXTRA_CA_CERTS in the environment is ignored, as node does: {}",
                    error.why()
                )),
            }
        }
        layers.note_what_is_not_done(&mut notes);
        let proxy = ProxySetting::read(&layers);
        let replaced = Replaced::read(&layers);
        let (defaults, variables) = (defaults.clone(), variables.clone());
        Ok(Npm {
            files,
            defaults,
            variables,
            registry,
            scopes,
            scope,
            credentials,
            replaced,
            trust,
            proxy,
            notes,
        })
    }

    /// The registry of the package `name` (`lodash`, `@types/node`): that of its scope, that of the scope
    /// which is configured for everything, the configured one, or what npm itself says.
    pub fn registry_of(&self, name: &str) -> Result<Url> {
        let scope = name.split_once('/').map_or(name, |(scope, _)| scope);
        let own = self.scopes.get(scope);
        let common = || self.scopes.get(self.scope.as_ref()?);
        if let Some(url) = own.or_else(common).or(self.registry.as_ref()) {
            return Ok(url.clone());
        }
        self.defaults.npm(&self.variables)
    }

    /// Where to ask for the archive which the registry `of` says is at `url`: there, or at the registry
    /// itself, as `replace-registry-host` says.
    pub fn archive_at(&self, url: Url, of: &Url) -> Url {
        // Without npm nobody knows its registry, and the url is taken as it is.
        self.replaced.by(url, of, || self.defaults.npm(&self.variables).ok())
    }

    /// Whether npm asks `own` for what a lockfile names at the registry `other`, as `replace-registry-host` says.
    pub(super) fn asks_instead(&self, own: &Url, other: &Url) -> bool {
        authority(other) != authority(own)
            && authority(&self.archive_at(other.clone(), own)) == authority(own)
    }

    /// What to send to `url`: the credential whose path is the longest that `url` lies below.
    pub fn credential_for(&self, url: &Url) -> Option<Credential> {
        if url.scheme() != "https" && !self.registries().any(|registry| serves(registry, url)) {
            return None;
        }
        self.credentials.of(url)
    }

    /// What to send to `url`, which the registry `of` names for an archive: as [`Npm::credential_for`], and
    /// if there is none, what `of` itself is sent, if `url` is on the same server.
    pub fn credential_for_archive(&self, url: &Url, of: &Url) -> Option<Credential> {
        let own = self.credential_for(url);
        own.or_else(|| serves(of, url).then(|| self.credential_for(of)).flatten())
    }

    /// Files of certificates to trust beside those of the system.
    pub fn trust(&self) -> &[PathBuf] {
        &self.trust
    }

    /// How to reach `url`.
    pub fn proxy(&self, url: &Url) -> Proxy<'_> {
        self.proxy.of(url)
    }

    /// What the configuration says that is not done, and why.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    pub(super) fn files(&self) -> &Files {
        &self.files
    }

    fn registries(&self) -> impl Iterator<Item = &Url> {
        self.registry.iter().chain(self.scopes.values())
    }
}

impl Layers {
    fn note_what_is_not_done(&self, notes: &mut Vec<String>) {
        if let Some(found) = self.get("strict-ssl")
            && found.values.last().is_some_and(|value| value == "false")
        {
            let origin = found.origin("strict-ssl=false");
            notes.push(format!("{origin} is not honoured: write the certificate of the registry's CA into a file and name it as cafile"));
        }
        if let Some(found) = self.get("ca")
            && found.text().is_some()
        {
            let origin = found.origin("ca");
            notes.push(format!(
                "{origin} is not used: write the certificates into a file and name it as cafile"
            ));
        }
    }
}

/// What npm says of proxies.
#[derive(Default)]
struct ProxySetting {
    url: Option<String>,
    /// Hosts, and domains below which all hosts are reached directly.
    except: Vec<String>,
}

impl ProxySetting {
    fn read(layers: &Layers) -> ProxySetting {
        let text = |key: &str| layers.get(key)?.text().map(str::to_owned);
        let except = layers.get("noproxy").or_else(|| layers.get("no-proxy"));
        let except = except.map(|found| found.values.join(",")).unwrap_or_default();
        let hosts = except.split(',').map(|host| host.trim().trim_matches('.').to_ascii_lowercase());
        ProxySetting {
            url: text("https-proxy").or_else(|| text("proxy")),
            except: hosts.filter(|host| !host.is_empty()).collect(),
        }
    }

    fn of(&self, url: &Url) -> Proxy<'_> {
        let host = url.host_str().unwrap_or_default();
        let is_below = |domain: &String| {
            host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        if self.except.iter().any(is_below) {
            return Proxy::Direct;
        }
        self.url.as_deref().map_or(Proxy::Environment, Proxy::Through)
    }
}

impl std::fmt::Debug for ProxySetting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The url may hold a password.
        f.debug_struct("ProxySetting").field("except", &self.except).finish_non_exhaustive()
    }
}

/// `url` as npm's keys spell it: `//host:port/path`.
fn spelled(url: &Url) -> String {
    format!("//{}{}", authority(url), url.path())
}
