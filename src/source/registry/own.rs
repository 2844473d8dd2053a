//! Whether a registry that a project names is the one that its client asks anyway.

use url::Url;

use super::{Registries, registry_url, take_user};
use crate::error::Result;
use crate::project::{Clients, Ecosystem, Named};

impl Clients for Registries {
    fn ask(&self, named: &Named) -> Option<bool> {
        self.is_own(named)
            .inspect_err(|error| log::debug!("whether {} is the user's own: {error}", named.registry))
            .ok()
    }
}

impl Registries {
    fn is_own(&self, named: &Named) -> Result<bool> {
        let text = named.registry.reveal();
        let text = match named.ecosystem {
            // Any other is an index in git.
            Ecosystem::Crates => text.strip_prefix("sparse+").unwrap_or_default(),
            _ => text,
        };
        // What is no such url, or is for somebody whom it names, nobody is configured with.
        let Ok(mut url) = registry_url(text, "a project") else { return Ok(false) };
        if take_user(&mut url).is_some() {
            return Ok(false);
        }
        match named.ecosystem {
            Ecosystem::Npm => {
                let npm = self.npm()?;
                let own = npm.registry_of(&named.scope)?;
                Ok(is_same(&own, &url) || (named.by_lockfile && npm.asks_instead(&own, &url)))
            }
            Ecosystem::Crates => Ok(is_same(&self.cargo()?.default_index()?, &url)),
            // An archive is taken from the first that has it, so only of the first one it is sure.
            Ecosystem::Pypi => Ok(self.pypi()?.indexes()?.first().is_some_and(|own| is_same(own, &url))),
        }
    }
}

/// Whether both lead to the same, however they are written. What parses a url has already made one of the case of its
/// host, and left out the port that is its scheme's own.
fn is_same(one: &Url, other: &Url) -> bool {
    let plain = |url: &Url| url.as_str().trim_end_matches('/').to_owned();
    plain(one) == plain(other)
}
