//! Names of packages, by the grammar of their registry.
//!
//! A name that its registry could not have is refused here, so nobody is asked for it. Spellings that a
//! registry takes for one name have one identity.

use std::fmt;

use url::Url;

use super::{Kind, refuse_invisible};
use crate::error::{Error, Kind as ErrorKind, Result};

/// A package of a registry.
#[derive(Clone, Debug)]
pub struct Package {
    kind: Kind,
    name: String,
    registry: Option<String>,
    identity: String,
    purl: String,
}

impl Package {
    /// The package `name` of the user's own registry of that kind.
    ///
    /// Fails with [`ErrorKind::Invalid`] for a name that the registry's grammar forbids.
    pub fn new(kind: Kind, name: &str) -> Result<Self> {
        Self::in_registry(kind, name, None)
    }

    /// The package `name` of the registry at the url `registry`, as project files name it.
    pub fn at(kind: Kind, name: &str, registry: &str) -> Result<Self> {
        let refused = |why: String| {
            let shown = crate::redact::redact(registry);
            Error::new(ErrorKind::Invalid, format!("read the registry {shown:?}"), why)
        };
        let url = Url::parse(registry).map_err(|error| refused(error.to_string()))?;
        if !matches!(url.scheme(), "https" | "http") || url.host().is_none() {
            return Err(refused("it is no http url".to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("it holds a credential".to_owned())
                .hint("leave it out, and give it to the configuration of the package manager"));
        }
        let url = url.as_str().trim_end_matches('/').to_owned();
        Self::in_registry(kind, name, Some(url))
    }

    fn in_registry(kind: Kind, name: &str, registry: Option<String>) -> Result<Self> {
        refuse_invisible("the package name", name)?;
        let checked = match kind {
            Kind::Npm => npm(name),
            Kind::Crates => crates(name),
            Kind::Pypi => pypi(name),
            Kind::Git | Kind::Local => Err("its kind has no packages"),
        };
        let normal = checked.map_err(|why| {
            let what = format!("read the {} package name {name:?}", kind.as_str());
            Error::new(ErrorKind::Invalid, what, why).hint("check its spelling")
        })?;
        // The registry names of crates as they were published; other spellings lead there.
        let name = if kind == Kind::Crates { name.to_owned() } else { normal.clone() };
        let identity = match &registry {
            Some(registry) => format!("{normal} {registry}"),
            None => normal,
        };
        let purl = purl(kind, &name, registry.as_deref());
        Ok(Package { kind, name, registry, identity, purl })
    }

    /// The same package with its name spelled so; `None` if that is another one.
    pub(super) fn spelled(&self, name: &str) -> Option<Self> {
        let spelled = Self::in_registry(self.kind, name, self.registry.clone()).ok()?;
        (spelled == *self).then_some(spelled)
    }

    /// What [`Package::as_str`] gave.
    pub fn parse(text: &str) -> Result<Self> {
        let refused =
            || Error::new(ErrorKind::Invalid, format!("read the package {text:?}"), "it is no package url");
        let url = Url::parse(text).map_err(|_| refused())?;
        let (scheme, path) = url.path().split_once('/').ok_or_else(refused)?;
        let kind = PURL_TYPES.iter().find(|(_, name)| *name == scheme).ok_or_else(refused)?.0;
        let name: String = url::form_urlencoded::parse(path.replace('+', "%2B").as_bytes())
            .map(|(name, _)| name.into_owned())
            .collect();
        match url.query_pairs().find(|(name, _)| name == REGISTRY) {
            Some((_, registry)) => Self::at(kind, &name, &registry),
            None => Self::new(kind, &name),
        }
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its name, as its registry is asked for it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its kind and name, whatever its registry is: `npm/react`.
    pub fn in_kind(&self) -> String {
        format!("{}/{}", self.kind.as_str(), self.name)
    }

    /// The url of its registry, if it is not the user's own one.
    pub fn registry(&self) -> Option<&str> {
        self.registry.as_deref()
    }

    /// Equal for all spellings that its registry takes for one.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// As a package url: <https://github.com/package-url/purl-spec>.
    pub fn as_str(&self) -> &str {
        &self.purl
    }
}

/// The kinds by the names that package urls have for them.
const PURL_TYPES: [(Kind, &str); 3] = [(Kind::Npm, "npm"), (Kind::Crates, "cargo"), (Kind::Pypi, "pypi")];
const REGISTRY: &str = "repository_url";

fn purl(kind: Kind, name: &str, registry: Option<&str>) -> String {
    let scheme = PURL_TYPES.iter().find(|(of, _)| *of == kind).map_or("generic", |(_, name)| name);
    let mut purl = format!("pkg:{scheme}/{}", name.replace('@', "%40"));
    if let Some(registry) = registry {
        let value: String = url::form_urlencoded::byte_serialize(registry.as_bytes()).collect();
        purl.push_str(&format!("?{REGISTRY}={value}"));
    }
    purl
}

/// The rules of npm's own `validate-npm-package-name`, those for old packages: capitals are allowed.
fn npm(name: &str) -> Result<String, &'static str> {
    const LONGEST: usize = 214;
    if name.len() > LONGEST {
        return Err("it is longer than 214 bytes");
    }
    let part = match name.strip_prefix('@') {
        None => name,
        Some(scoped) => {
            let Some((scope, part)) = scoped.split_once('/') else {
                return Err("a scope is followed by / and a name");
            };
            // With a scope in front, only a dot is forbidden there.
            npm_part(scope, &['.'])?;
            npm_part(part, &['.'])?;
            return Ok(name.to_owned());
        }
    };
    npm_part(part, &['.', '_', '-'])?;
    if matches!(name.to_ascii_lowercase().as_str(), "node_modules" | "favicon.ico") {
        return Err("npm forbids it");
    }
    Ok(name.to_owned())
}

fn npm_part(part: &str, forbidden: &[char]) -> Result<(), &'static str> {
    if part.is_empty() {
        return Err("a part of it is empty");
    }
    if part.starts_with(forbidden) {
        return Err("a part of it begins with a character that npm forbids there");
    }
    // Without ~'!()*, which npm has not allowed for long and no package in use has.
    if !part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')) {
        return Err("it holds a character other than letters, digits, dot, dash and underscore");
    }
    Ok(())
}

/// The rules of cargo and its registry; case and the sort of dash do not tell two crates apart.
fn crates(name: &str) -> Result<String, &'static str> {
    if name.len() > 64 {
        return Err("it is longer than 64 bytes");
    }
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Err("it does not begin with a letter");
    }
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) {
        return Err("it holds a character other than letters, digits, dash and underscore");
    }
    Ok(name.to_ascii_lowercase().replace('_', "-"))
}

/// The name format of <https://packaging.python.org/en/latest/specifications/name-normalization/>.
fn pypi(name: &str) -> Result<String, &'static str> {
    if name.len() > 128 {
        return Err("it is longer than 128 bytes");
    }
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')) {
        return Err("it holds a character other than letters, digits, dot, dash and underscore");
    }
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    if !ends(name.chars().next()) || !ends(name.chars().last()) {
        return Err("it does not begin and end with a letter or a digit");
    }
    let parts = name.split(['.', '-', '_']).filter(|part| !part.is_empty());
    Ok(parts.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-"))
}

impl PartialEq for Package {
    fn eq(&self, other: &Self) -> bool {
        (self.kind, &self.identity) == (other.kind, &other.identity)
    }
}

impl Eq for Package {}

impl std::hash::Hash for Package {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.kind, &self.identity).hash(state);
    }
}

impl PartialOrd for Package {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Package {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.kind, &self.identity).cmp(&(other.kind, &other.identity))
    }
}

impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.in_kind())?;
        match &self.registry {
            Some(registry) => write!(f, " of {registry}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(kind: Kind, name: &str) -> Package {
        Package::new(kind, name).unwrap()
    }

    #[test]
    fn spellings_that_a_registry_takes_for_one_name_are_one() {
        for (kind, one, other) in [
            (Kind::Crates, "serde_json", "serde-json"),
            (Kind::Crates, "Inflector", "inflector"),
            (Kind::Pypi, "Zope.Interface", "zope-interface"),
            (Kind::Pypi, "a__b..c", "A-B-C"),
        ] {
            assert_eq!(package(kind, one), package(kind, other), "{one}");
        }
        let typed = package(Kind::Crates, "Serde-JSON");
        assert_eq!(typed.spelled("serde_json").unwrap().as_str(), "pkg:cargo/serde_json");
        assert_eq!(typed.spelled("serde"), None);
        // npm tells them apart.
        assert_ne!(package(Kind::Npm, "JSONStream"), package(Kind::Npm, "jsonstream"));
        assert_ne!(package(Kind::Npm, "a-b"), package(Kind::Npm, "a_b"));
        assert_ne!(package(Kind::Npm, "x"), package(Kind::Crates, "x"));
        assert_eq!(package(Kind::Pypi, "Zope.Interface").name(), "zope-interface");
        assert_eq!(package(Kind::Crates, "serde_json").name(), "serde_json");
    }

    #[test]
    fn what_the_registry_forbids_is_refused_without_asking_it() {
        for (kind, names) in [
            (
                Kind::Npm,
                &[
                    "",
                    ".x",
                    "_x",
                    "-x",
                    "@x",
                    "@/x",
                    "@x/",
                    "@x/y/z",
                    "x/y",
                    "node_modules",
                    "favicon.ico",
                    "a b",
                    "a%2f",
                    "..",
                    "@../x",
                    "@x/..",
                    "a\\b",
                    "ä",
                ][..],
            ),
            (Kind::Crates, &["", "1x", "-x", "_x", "x.y", "x/y", "..", "ä", "x y"][..]),
            (Kind::Pypi, &["", ".x", "x.", "-x", "x-", "x/y", "..", "ä", "x y", "x%2f"][..]),
        ] {
            for name in names {
                assert_eq!(Package::new(kind, name).unwrap_err().kind(), ErrorKind::Invalid, "{name:?}");
            }
            assert!(Package::new(kind, &"x".repeat(300)).is_err());
            assert!(Package::new(kind, "a\u{202e}b").is_err());
        }
        for name in
            ["package.json", "JSONStream", "@types/node", "@a.b/c_d-e.f", "@-x/_y", "@_x/-y", "0", "x"]
        {
            assert_eq!(package(Kind::Npm, name).name(), name);
        }
    }

    #[test]
    fn a_package_is_what_its_url_says() {
        for one in [
            package(Kind::Npm, "@types/node"),
            package(Kind::Crates, "serde_json"),
            package(Kind::Pypi, "zope.interface"),
            Package::at(Kind::Npm, "@a/b", "https://npm.registry.test:8443/team+x/").unwrap(),
        ] {
            assert_eq!(Package::parse(one.as_str()).unwrap(), one, "{one:?}");
            assert_eq!(Package::parse(one.as_str()).unwrap().as_str(), one.as_str());
        }
        assert_eq!(package(Kind::Npm, "@types/node").as_str(), "pkg:npm/%40types/node");
        let own = Package::at(Kind::Npm, "x", "https://registry.test/").unwrap();
        assert_ne!(own, package(Kind::Npm, "x"));
        assert_eq!(own.registry(), Some("https://registry.test"));
        for url in ["file:///x", "https://u:p@registry.test/", "x", "ftp://registry.test/"] {
            assert!(Package::at(Kind::Npm, "x", url).is_err(), "{url}");
        }
        for text in ["", "pkg:npm", "pkg:gem/x", "https://x/y", "pkg:npm/.."] {
            assert!(Package::parse(text).is_err(), "{text}");
        }
    }
}
