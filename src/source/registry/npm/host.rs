//! Whose archives come from the configured registry instead: `replace-registry-host`.
//!
//! A mirror often passes on what the public registry says, with urls of the public registry in it, which
//! its users may be unable to reach. So npm replaces that one host unless it is told otherwise.

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
    /// This one, with its port if that is not the scheme's own.
    One(String),
}

impl Replaced {
    pub(super) fn read(layers: &Layers) -> Replaced {
        match layers.get("replace-registry-host").and_then(|found| found.values.last()).map(String::as_str) {
            None | Some("" | "npmjs") => Replaced::BuiltIn,
            Some("always") => Replaced::Every,
            Some("never") => Replaced::None,
            Some(host) => Replaced::One(host.to_ascii_lowercase()),
        }
    }

    /// Where the archive that `registry` says is at `url` is asked for. `built_in` asks npm, and is called
    /// only if that matters.
    pub(super) fn by(&self, mut url: Url, registry: &Url, built_in: impl FnOnce() -> Option<Url>) -> Url {
        let own = authority(&url);
        if own == authority(registry) {
            // A registry behind an encrypting proxy may not know of it.
            if registry.scheme() == "https" {
                // Fails only between schemes of different nature, then it is refused later.
                let _ = url.set_scheme("https");
            }
            return url;
        }
        let replaced = match self {
            Replaced::BuiltIn => built_in().is_some_and(|built_in| authority(&built_in) == own),
            Replaced::Every => true,
            Replaced::None => false,
            Replaced::One(host) => *host == own,
        };
        if !replaced {
            return url;
        }
        // As npm installs what a lockfile names: below the whole path of the registry.
        let mut new = registry.clone();
        new.set_path(&format!("{}{}", registry.path().trim_end_matches('/'), url.path()));
        new.set_query(url.query());
        new
    }
}
