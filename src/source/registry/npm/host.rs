//! Whose archives come from the configured registry instead: `replace-registry-host`.
//!
//! A mirror often passes on what the public registry says, with urls of the public registry in it, which
//! its users may be unable to reach. So npm replaces that one host unless it is told otherwise.
//!
//! The rules are those by which npm installs a package: a name counts at every port, as the host of a url
//! does, whose path narrows it; and the path of the registry comes before that of the archive unless it is
//! there already. Only a name that is written with a port counts at that port alone, and then the path stays
//! what it is. npm always means `registry` here; srcfs means the registry that the package is from, because a
//! scope's archives are not on another one.

use url::Url;

use super::layers::Layers;
use crate::source::registry::authority;

/// The hosts whose archives are asked of the registry.
#[derive(Debug)]
pub(super) enum Replaced {
    /// That of the registry which npm itself asks if nothing is configured.
    BuiltIn,
    Every,
    None,
    /// This one, at any port.
    Host(String),
    /// This one at this port.
    Server(String),
    /// This one, at any port, but only what is below this path, which is replaced by that of the registry.
    Below(String, String),
}

impl Replaced {
    pub(super) fn read(layers: &Layers) -> Replaced {
        let found = layers.get("replace-registry-host").and_then(|found| found.values.last());
        let text = match found.map(String::as_str) {
            None | Some("" | "npmjs") => return Replaced::BuiltIn,
            Some("always") => return Replaced::Every,
            Some("never") => return Replaced::None,
            Some(text) => text,
        };
        if let Ok(url) = Url::parse(text)
            && let Some(host) = url.host_str()
        {
            return match without_last_slash(url.path()) {
                "" => Replaced::Host(host.to_owned()),
                path => Replaced::Below(host.to_owned(), path.to_owned()),
            };
        }
        let is_port = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.rsplit_once(':') {
            Some((_, port)) if is_port(port) => Replaced::Server(text.to_ascii_lowercase()),
            _ => Replaced::Host(text.to_ascii_lowercase()),
        }
    }

    /// Where the archive that `registry` says is at `url` is asked for. `built_in` asks npm, and is called
    /// only if that matters.
    pub(super) fn by(&self, mut url: Url, registry: &Url, built_in: impl FnOnce() -> Option<Url>) -> Url {
        if let Some(path) = self.path(&url, registry, built_in) {
            let mut new = registry.clone();
            new.set_path(&path);
            new.set_query(url.query());
            return new;
        }
        // A registry behind an encrypting proxy may not know of it.
        if authority(&url) == authority(registry) && registry.scheme() == "https" {
            // Fails only between schemes of different nature, then it is refused later.
            let _ = url.set_scheme("https");
        }
        url
    }

    /// The path at which the registry is asked for `url`; none if it is not asked.
    fn path(&self, url: &Url, registry: &Url, built_in: impl FnOnce() -> Option<Url>) -> Option<String> {
        let host = url.host_str()?;
        let own = without_last_slash(registry.path());
        let below_own = match is_below(url.path(), own) {
            true => url.path().to_owned(),
            false => format!("{own}{}", url.path()),
        };
        match self {
            Replaced::None => None,
            Replaced::Every => Some(below_own),
            Replaced::Host(name) => (name == host).then_some(below_own),
            Replaced::Server(name) => (*name == authority(url)).then(|| url.path().to_owned()),
            Replaced::Below(name, path) => {
                let is_there = name == host && is_below(url.path(), path);
                is_there.then(|| format!("{own}{}", &url.path()[path.len()..]))
            }
            Replaced::BuiltIn => {
                let is_there = registry.host_str() == Some(host) && below_own == url.path();
                let is_replaced = !is_there && built_in().is_some_and(|one| one.host_str() == Some(host));
                is_replaced.then_some(below_own)
            }
        }
    }
}

fn without_last_slash(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}

/// Whether `path` is `top`, which ends with no slash, or below it.
fn is_below(path: &str, top: &str) -> bool {
    path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
