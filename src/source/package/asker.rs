//! How a registry is asked: with the credentials, certificates and proxy that its own client is told to use.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::error::{Error, Kind, Result};
use crate::source::Progress;
use crate::source::http::credential::Credential;
use crate::source::http::documents::{Document, Documents};
use crate::source::http::{Downloaded, Http, Proxy, Request};
use crate::source::registry::{Cargo, Npm, Pypi};

/// What the configuration of a client says of asking.
pub(super) trait Access {
    /// Files of certificates that are trusted beside those of the system.
    fn trust(&self) -> &[PathBuf];
    /// How a url is reached.
    fn proxy(&self, url: &Url) -> Proxy<'_>;
}

impl Access for Npm {
    fn trust(&self) -> &[PathBuf] {
        self.trust()
    }
    fn proxy(&self, url: &Url) -> Proxy<'_> {
        self.proxy(url)
    }
}

impl Access for Cargo {
    fn trust(&self) -> &[PathBuf] {
        self.trust()
    }
    fn proxy(&self, url: &Url) -> Proxy<'_> {
        self.proxy(url)
    }
}

impl Access for Pypi {
    fn trust(&self) -> &[PathBuf] {
        self.trust()
    }
    fn proxy(&self, url: &Url) -> Proxy<'_> {
        self.proxy(url)
    }
}

/// Whether a document is to be the present one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// The server is asked.
    Now,
    /// It is asked, also for what is young enough not to be asked for.
    Anew,
    /// Nobody is.
    AtHand,
}

/// A document of a registry.
#[derive(Clone, Copy)]
pub(super) struct Page<'a> {
    pub(super) url: &'a Url,
    /// The media types that are understood.
    pub(super) accept: Option<&'a str>,
    pub(super) credential: Option<&'a Credential>,
    /// One that is younger is not asked for.
    pub(super) max_age: Duration,
}

/// Asks registries, for one purpose.
#[derive(Clone, Copy)]
pub(super) struct Asker<'a> {
    pub(super) http: &'a Http,
    pub(super) documents: &'a Documents,
    pub(super) access: &'a dyn Access,
    pub(super) progress: &'a Progress,
    pub(super) when: When,
}

impl Asker<'_> {
    /// What `read` makes of a document; `None` if the server says that there is none, or if it is not at
    /// hand. A document that cannot be read is not kept, so the next question brings it again.
    pub(super) fn read<T>(
        &self,
        page: &Page<'_>,
        read: impl FnOnce(&Document) -> Result<T>,
    ) -> Result<Option<T>> {
        let Page { url, accept, credential, max_age } = *page;
        let max_age = if self.when == When::Anew { Duration::ZERO } else { max_age };
        let request = Request { credential, accept, ..self.request(url) };
        let document = match self.when {
            When::AtHand => self.documents.at_hand(&request),
            When::Now | When::Anew => {
                match self.documents.fetch(self.http, request, max_age, self.progress) {
                    Ok(document) => Some(document),
                    Err(error) if error.kind() == Kind::NotFound => None,
                    Err(error) => return Err(error),
                }
            }
        };
        let Some(document) = document else { return Ok(None) };
        match read(&document) {
            Ok(value) => Ok(Some(value)),
            Err(error) => {
                self.documents.forget(&request);
                match self.when {
                    When::AtHand => Ok(None),
                    When::Now | When::Anew => Err(error),
                }
            }
        }
    }

    /// Fetches an archive of at most `limit` bytes into `sink`.
    pub(super) fn archive(
        &self,
        url: &Url,
        credential: Option<Credential>,
        limit: u64,
        sink: &mut dyn Write,
    ) -> Result<Downloaded> {
        let request = Request { credential: credential.as_ref(), limit, ..self.request(url) };
        self.http.download(request, sink, self.progress)
    }

    fn request<'r>(&'r self, url: &'r Url) -> Request<'r> {
        Request { trust: self.access.trust(), proxy: self.access.proxy(url), ..Request::new(url) }
    }
}

/// The url of what is at `path` below `registry`.
pub(super) fn below(registry: &Url, path: &str) -> Result<Url> {
    let mut base = registry.clone();
    base.set_query(None);
    base.set_fragment(None);
    if !base.path().ends_with('/') {
        let directory = format!("{}/", base.path());
        base.set_path(&directory);
    }
    base.join(path).map_err(|error| {
        let what = format!("ask {}", crate::source::http::shown(registry));
        Error::new(Kind::Config, what, error.to_string()).hint("correct the url of the registry")
    })
}

/// The url of a registry that a project names.
pub(super) fn registry_at(url: &str) -> Result<Url> {
    Url::parse(url).map_err(|error| {
        Error::new(
            Kind::Invalid,
            format!("read the registry {:?}", crate::redact::redact(url)),
            error.to_string(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_lies_below_the_registry() {
        for (registry, path, url) in [
            ("https://r.test", "@a%2fb", "https://r.test/@a%2fb"),
            ("https://r.test/npm?x#y", "x", "https://r.test/npm/x"),
            ("https://r.test/npm/", "se/rd/serde", "https://r.test/npm/se/rd/serde"),
        ] {
            assert_eq!(below(&Url::parse(registry).unwrap(), path).unwrap().as_str(), url);
        }
    }
}
