//! What somebody means who writes something else than a KEY: a url, `npm:react`, `@types/node`.

use super::{Name, names_of, path_of};
use crate::config::Config;
use crate::key::{GitUrl, Key, Kind, Package, Reference};

/// What else names kinds of packages, in package urls and elsewhere.
const KINDS: [(&str, Kind); 5] = [
    ("npm", Kind::Npm),
    ("crates", Kind::Crates),
    ("crate", Kind::Crates),
    ("cargo", Kind::Crates),
    ("pypi", Kind::Pypi),
];

/// The parts of `https://host/owner/repository`.
const PARTS_OF_A_REPOSITORY: usize = 5;

/// What to write instead of `text`, which is no KEY.
pub(super) fn instead(text: &str, config: &Config) -> Option<String> {
    let key = package(text, config).or_else(|| repository(text, config))?;
    Some(format!("write {key}"))
}

/// Whether it is a url or what git takes for one.
pub(super) fn is_url(text: &str) -> bool {
    text.contains("://") || text.starts_with("git@")
}

/// In which registries a name alone might be a package.
pub(super) fn packages(name: &str) -> Option<String> {
    let kinds =
        [Kind::Npm, Kind::Crates, Kind::Pypi].into_iter().filter(|kind| Package::new(*kind, name).is_ok());
    let all: Vec<String> = kinds.map(|kind| format!("{}/{name}", kind.as_str())).collect();
    let (last, others) = all.split_last()?;
    Some(if others.is_empty() { last.clone() } else { format!("{} or {last}", others.join(", ")) })
}

/// `npm:react@18`, `pkg:cargo/serde`, `@types/node`.
fn package(text: &str, config: &Config) -> Option<String> {
    let key = if text.starts_with('@') {
        format!("npm/{text}")
    } else {
        let (kind, name) = match text.strip_prefix("pkg:") {
            Some(rest) => rest.split_once('/')?,
            None => text.split_once(':')?,
        };
        let kind = KINDS.iter().find(|(other, _)| *other == kind)?.1;
        format!("{}/{}", kind.as_str(), name.replace("%40", "@"))
    };
    let is_key = Name::split(&key, config).is_ok_and(|(name, _)| name.key().is_some());
    is_key.then_some(key)
}

/// The url of a repository, or of a page of it.
fn repository(text: &str, config: &Config) -> Option<String> {
    if !is_url(text) {
        return None;
    }
    let key_of = |url: &str| {
        let key = Key::git(GitUrl::parse(url).ok()?);
        let name = names_of(&key, config).first().map(|name| (*name).to_owned());
        name.or_else(|| path_of(&key, &Reference::Default, config))
    };
    // Hosts are asked by https, however others clone from them.
    let address = match (
        text.strip_prefix("ssh://"),
        text.split_once("@").and_then(|(_, rest)| rest.split_once(':')),
    ) {
        (Some(rest), _) => format!("https://{}", rest.split_once('@').map_or(rest, |(_, rest)| rest)),
        (None, Some((host, path))) if !text.contains("://") => format!("https://{host}/{path}"),
        _ => text.to_owned(),
    };
    let page = address.split('/').take(PARTS_OF_A_REPOSITORY).collect::<Vec<_>>().join("/");
    [text, &address, &page].into_iter().find_map(key_of)
}
