//! Names below `projects/`: what the lockfiles of a configured project pin.
//!
//! A registry that a project names may be the user's own, which only its client knows: whoever must not wait for
//! that asks first whether it is known ([`is_undecided`]).

use std::path::Path;

use super::{Name, next, what};
use crate::config::{Config, Project};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::key::{Key, Kind, Package, Reference};
use crate::project::{Ecosystem, Location, Named, Origin, Pin, Registries};

/// Reads `projects/<name>/<kind>/<package>`, with what follows inside the tree.
pub(super) fn split<'t>(text: &'t str, config: &Config) -> Result<(Name, &'t str)> {
    let (name, rest) = find(text, config, |pin, registries| name_of(pin, registries, config))?;
    match name {
        None => Ok((Name::Directory, rest)),
        Some(name) => Ok((name.map_err(|error| error.during(what(text)))?, rest)),
    }
}

/// Whether `path` is a pin from a registry of which it is not known yet whether it is the user's own. It is found
/// out by the next look ([`crate::project::Own::look`]).
pub fn is_undecided(path: &Path, config: &Config) -> bool {
    let text = path.to_str().filter(|text| text.starts_with("projects/"));
    let is_unknown = |pin: &Pin, registries: &Registries| {
        named(pin, registries).is_some_and(|named| config.own.known(&named).is_none())
    };
    text.and_then(|text| find(text, config, is_unknown).ok())
        .is_some_and(|(unknown, _)| unknown == Some(true))
}

/// What `of` says of the pin at the beginning of `text`, and what follows it; `None` for a directory.
fn find<'t, T>(
    text: &'t str,
    config: &Config,
    of: impl FnOnce(&Pin, &Registries) -> T,
) -> Result<(Option<T>, &'t str)> {
    let (_, rest) = next(text);
    if rest.is_empty() {
        return Ok((None, ""));
    }
    let (name, rest) = next(rest);
    let project = config.project(name).ok_or_else(|| unknown(text, name, config))?;
    if rest.is_empty() {
        return Ok((None, ""));
    }
    let (kind, rest) = next(rest);
    let Some(ecosystem) = Ecosystem::ALL.into_iter().find(|ecosystem| ecosystem.kind() == kind) else {
        let why = format!("a project has npm, crates and pypi, and no {kind:?}");
        return Err(Error::new(ErrorKind::NotFound, what(text), why));
    };
    if rest.is_empty() {
        return Ok((None, ""));
    }
    let (package, rest) = match rest.starts_with('@') {
        false => next(rest),
        true => {
            let (scope, after) = next(rest);
            if after.is_empty() {
                Package::new(Kind::Npm, &format!("{scope}/x")).map_err(|error| error.during(what(text)))?;
                return Ok((None, ""));
            }
            let (part, after) = next(after);
            (&rest[..scope.len() + 1 + part.len()], after)
        }
    };
    let pins = project.pins.at_hand().map_err(|error| error.during(what(text)))?;
    let pin = pins.find(ecosystem, package).map_err(|error| error.during(what(text)))?;
    Ok((Some(of(pin, &pins.project.registries)), rest))
}

/// The paths below the mount of all that a project pins, in order.
pub fn paths(project: &Project) -> Result<Vec<String>> {
    let pins = project.pins.refresh()?;
    let below = |ecosystem: Ecosystem| {
        let directory = format!("projects/{}/{}", project.name, ecosystem.kind());
        pins.names(ecosystem).map(move |name| format!("{directory}/{name}")).collect::<Vec<_>>()
    };
    Ok(Ecosystem::ALL.into_iter().flat_map(below).collect())
}

/// What a pin means. The same package elsewhere in the mount has the same key.
fn name_of(pin: &Pin, registries: &Registries, config: &Config) -> Result<Name> {
    let hashes = pin.hashes.clone();
    let kind = match pin.ecosystem {
        Ecosystem::Npm => Kind::Npm,
        Ecosystem::Crates => Kind::Crates,
        Ecosystem::Pypi => Kind::Pypi,
    };
    match &pin.origin {
        Origin::Registry { index } => {
            let (package, elsewhere) = match named(pin, registries) {
                Some(named) if config.own.find_out(&named) => (Package::new(kind, &pin.name)?, None),
                Some(named) => match safe(kind, named.registry.reveal()) {
                    Ok(url) => (Package::at(kind, &pin.name, url)?, None),
                    // The hash says what is right.
                    Err(_) if is_told(pin) => (Package::new(kind, &pin.name)?, Some(named)),
                    Err(error) => return Err(error),
                },
                None => {
                    let elsewhere =
                        index.as_ref().map(|index| Named::new(pin.ecosystem, &pin.name, index, true));
                    (Package::new(kind, &pin.name)?, elsewhere)
                }
            };
            let reference = Reference::exact_version(kind, &pin.version)?;
            let key = Key::package(package);
            Ok(Name::Pinned { key, reference, subpaths: Vec::new(), hashes, elsewhere })
        }
        Origin::Git { url, commit, subdirectory } => {
            let key = Key::git(config.git_url(url.reveal())?);
            let subpaths = subdirectory.iter().cloned().collect();
            let (reference, hashes) = (Reference::parse(commit)?, Vec::new());
            Ok(Name::Pinned { key, reference, subpaths, hashes, elsewhere: None })
        }
        Origin::Archive { url } => {
            let read = format!("read {} {}", pin.name, pin.version);
            let why = format!("it is pinned to the archive {url}, which is no package of a registry");
            Err(Error::new(ErrorKind::NotFound, read, why)
                .hint("read it where the project installed it, or its repository below git/"))
        }
    }
}

/// The package that `key` is, in the registry at the url `registry`, which may be the user's own.
///
/// Fails where a project may not name it.
pub fn at_registry(key: &Key, registry: &str, config: &Config) -> Result<Key> {
    let crate::key::Origin::Package(package) = key.origin() else { return Ok(key.clone()) };
    let kind = package.kind();
    let Some(ecosystem) = Ecosystem::ALL.into_iter().find(|one| one.kind() == kind.as_str()) else {
        return Ok(key.clone());
    };
    let registry = match kind {
        Kind::Crates => format!("sparse+{registry}"),
        _ => registry.to_owned(),
    };
    let package = match config.own.find_out(&Named::new(
        ecosystem,
        package.name(),
        &Location::new(&*registry),
        false,
    )) {
        true => Package::new(kind, package.name())?,
        false => Package::at(kind, package.name(), safe(kind, &registry)?)?,
    };
    Ok(Key::package(package))
}

/// The registry that a project has a package from, unless that is left to the user's configuration.
fn named(pin: &Pin, registries: &Registries) -> Option<Named> {
    let Origin::Registry { index } = &pin.origin else { return None };
    let by_project = registries.of_npm(pin).filter(|_| pin.ecosystem == Ecosystem::Npm);
    let of = |registry, by_lockfile| Named::new(pin.ecosystem, &pin.name, registry, by_lockfile);
    let by_lockfile = || index.as_ref().filter(|_| !is_told(pin)).map(|index| of(index, true));
    by_project.map(|registry| of(registry, false)).or_else(by_lockfile)
}

/// Whether the hash of a pin tells what it is, wherever it is from. npm and Python tools write down whichever mirror
/// they asked, and a hash says more than an address, so the user's own registry will do; cargo writes only what is
/// not its default.
fn is_told(pin: &Pin) -> bool {
    let is_strong = |hash: &String| !hash.starts_with("sha1") && !hash.starts_with("md5");
    pin.ecosystem != Ecosystem::Crates && pin.hashes.iter().any(is_strong)
}

/// What to do where the user's own registry has not what a project has from `elsewhere`; nothing if that is the same.
/// May have to ask a client.
pub fn advice(elsewhere: &Named, config: &Config) -> Option<String> {
    let Named { ecosystem, scope, registry, by_lockfile } = elsewhere;
    let how = match (ecosystem, scope.as_str()) {
        (Ecosystem::Npm, "") => format!("registry={registry} in .npmrc of the project, or of the user"),
        (Ecosystem::Npm, scope) => {
            format!("{scope}:registry={registry} in .npmrc of the project, or of the user")
        }
        (Ecosystem::Pypi, _) => "extra-index-url in the configuration of pip".to_owned(),
        (Ecosystem::Crates, _) => return None,
    };
    let by = if *by_lockfile { "the lockfile" } else { "the project's configuration" };
    (!config.own.find_out(elsewhere))
        .then(|| format!("{by} has it from {registry}, which is asked if {how} says so"))
}

/// The url of a registry that a lockfile names: as that of a `[[resource]]`, it may lead neither to this machine nor
/// to a private network, nor be read on the way. Whoever means such a one makes it the client's own.
fn safe(kind: Kind, url: &str) -> Result<&str> {
    let refused = |why: &str, hint: &str| {
        let what = format!("read the registry {:?}", crate::redact::redact_url(url));
        Err(Error::new(ErrorKind::Invalid, what, why).hint(hint.to_owned()))
    };
    let address = url.strip_prefix("sparse+");
    if kind == Kind::Crates && address.is_none() {
        return refused(
            "its index is a git repository, and srcfs asks only sparse ones",
            "write the address of its sparse index into the configuration of cargo, if it has one, and the lockfile anew",
        );
    }
    let address = address.unwrap_or(url);
    match url::Url::parse(address) {
        Ok(parsed) if parsed.scheme() == "https" && !crate::key::is_private(&parsed) => Ok(address),
        _ => refused(
            "a project may name only one that is reached by https and is not in a private network",
            "configure it as the registry of its client, if that is meant",
        ),
    }
}

fn unknown(text: &str, name: &str, config: &Config) -> Error {
    let error = Error::new(ErrorKind::NotFound, what(text), format!("no project is called {name:?}"));
    let names: Vec<&str> = config.projects.iter().map(|project| project.name.as_str()).collect();
    match crate::config::nearest(name, &names) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => error.hint(format!("name one with `srcfs add {name} --project DIR`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn project(lock: &str, text: &str) -> (tempfile::TempDir, Config) {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(lock), text).unwrap();
        let config = format!("[[project]]\nname = \"web\"\npath = {:?}\n", directory.path());
        (directory, Config::parse(&config).unwrap())
    }

    #[test]
    fn what_is_pinned_is_the_same_package_as_elsewhere() {
        let (_directory, config) = project("requirements.txt", &format!("Six==1.16 --hash={SHA}\n"));
        let parsed = |text: &str| Name::parse(text, &config).unwrap();
        for directory in ["projects", "projects/web", "projects/web/pypi", "projects/web/npm/@scope"] {
            assert_eq!(parsed(directory), Name::Directory, "{directory}");
        }
        for name in ["projects/web/pypi/six", "projects/web/pypi/SIX", "projects/web/pypi/six@1.16"] {
            let name = parsed(name);
            assert_eq!(name.key(), Some(&Key::package(Package::new(Kind::Pypi, "six").unwrap())));
            assert_eq!(name.reference(), Some(&Reference::Version("1.16.0".into())), "exactly that");
        }
        let (name, rest) = Name::split("projects/web/pypi/six/setup.py", &config).unwrap();
        assert!(matches!(name, Name::Pinned { .. }) && rest == "setup.py");
        assert_eq!(paths(&config.projects[0]).unwrap(), ["projects/web/pypi/six"]);
    }

    #[test]
    fn what_is_not_pinned_says_so_and_asks_nobody() {
        let (_directory, config) = project("requirements.txt", "six==1.16.0\n");
        for (text, why) in [
            ("projects/weeb/pypi/six", "did you mean web?"),
            ("projects/web/gems/six", "npm, crates and pypi"),
            ("projects/web/pypi/sixx", "six"),
            ("projects/web/npm/react", "none of them pins it"),
            ("projects/web/pypi/six@2", "six"),
        ] {
            let error = Name::parse(text, &config).unwrap_err();
            assert!(
                error.kind() == ErrorKind::NotFound && error.to_string().contains(why),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn a_projects_own_npmrc_says_where_its_packages_come_from() {
        let lock = serde_json::json!({ "lockfileVersion": 3, "packages": {
            "node_modules/lib": { "version": "1.0.0", "integrity": "sha512-AAAA" },
            "node_modules/@own/lib": { "version": "1.0.0", "integrity": "sha512-AAAA" },
        } });
        let (directory, config) = project("package-lock.json", &lock.to_string());
        let npmrc = |text: &str| {
            std::fs::write(directory.path().join(".npmrc"), text).unwrap();
            config.projects[0].pins.refresh().unwrap();
        };
        let registry = |name: &str| {
            let name = Name::parse(&format!("projects/web/npm/{name}"), &config).unwrap();
            match name.key().unwrap().origin() {
                crate::key::Origin::Package(package) => package.registry().map(str::to_owned),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!((registry("lib"), registry("@own/lib")), (None, None));
        npmrc("@own:registry=https://own.test/npm/\n//own.test/npm/:_authToken=secret\n");
        assert_eq!((registry("lib"), registry("@own/lib").as_deref()), (None, Some("https://own.test/npm")));
        npmrc("registry=https://all.test\n");
        assert_eq!(registry("lib").as_deref(), Some("https://all.test"));
        // One that a project may not lead to is left to the user's configuration: the hash says what is right.
        npmrc("registry=http://127.0.0.1:4873/\n@own:registry=https://own.test/${SECRET}\n");
        assert_eq!((registry("lib"), registry("@own/lib")), (None, None));
    }

    /// Clients that ask one registry.
    #[derive(Debug)]
    struct Ask(&'static str);

    impl crate::project::Clients for Ask {
        fn ask(&self, named: &Named) -> Option<bool> {
            Some(named.registry.reveal() == self.0)
        }
    }

    #[test]
    fn a_registry_that_is_the_users_own_is_no_other_wherever_it_is_and_that_may_have_to_be_found_out() {
        let lock = serde_json::json!({ "lockfileVersion": 3, "packages": {
            "node_modules/hashed": { "version": "1.0.0", "integrity": "sha512-AAAA" },
            "node_modules/old": { "version": "1.0.0", "resolved": "http://127.0.0.1/old/-/old-1.0.0.tgz" },
            "node_modules/far": { "version": "1.0.0", "resolved": "https://far.test/far/-/far-1.0.0.tgz" },
        } });
        let (directory, mut config) = project("package-lock.json", &lock.to_string());
        config.own = crate::project::Own::told_by(std::sync::Arc::new(Ask("http://127.0.0.1/")));
        let registry = |name: &str| {
            let path = format!("projects/web/npm/{name}");
            let undecided = is_undecided(Path::new(&path), &config);
            let name = Name::parse(&path, &config).unwrap();
            assert!(!is_undecided(Path::new(&path), &config), "it is known by now");
            match name.key().unwrap().origin() {
                crate::key::Origin::Package(package) => (package.registry().map(str::to_owned), undecided),
                other => panic!("{other:?}"),
            }
        };
        config.projects[0].pins.refresh().unwrap();
        assert_eq!(registry("hashed"), (None, false), "nobody need be asked");
        assert_eq!(registry("old"), (None, true));
        assert_eq!(registry("far"), (Some("https://far.test".to_owned()), true));
        for directory in ["projects", "projects/web", "projects/web/npm", "npm/old", "projects/web/npm/none"]
        {
            assert!(!is_undecided(Path::new(directory), &config), "{directory}");
        }
        std::fs::write(directory.path().join(".npmrc"), "registry=http://127.0.0.1/\n").unwrap();
        config.projects[0].pins.refresh().unwrap();
        assert_eq!(["hashed", "old", "far"].map(|name| registry(name).0), [None, None, None]);
    }

    #[test]
    fn a_registry_that_a_citation_names_is_held_to_what_a_project_may_name() {
        let own = crate::project::Own::told_by(std::sync::Arc::new(Ask("http://127.0.0.1/")));
        let config = Config { own, ..Config::default() };
        let package = |kind| Key::package(Package::new(kind, "dep").unwrap());
        for (kind, registry) in [
            (Kind::Npm, "https://own.test/npm"),
            (Kind::Crates, "https://own.test/index"),
            (Kind::Pypi, "https://own.test/simple"),
        ] {
            let there = at_registry(&package(kind), registry, &config).unwrap();
            assert_eq!(there, Key::package(Package::at(kind, "dep", registry).unwrap()));
            assert_eq!(there.at("1.0.0"), format!("{}/dep@1.0.0 of {registry}", kind.as_str()));
        }
        assert_eq!(
            at_registry(&package(Kind::Npm), "http://127.0.0.1/", &config).unwrap(),
            package(Kind::Npm)
        );
        for registry in ["http://own.test", "https://10.0.0.1/", "https://me:hunter2@own.test/", "x"] {
            let error = at_registry(&package(Kind::Npm), registry, &config).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_projects_own_yarnrc_says_where_the_packages_of_berry_come_from() {
        let lock = "__metadata:\n  version: 8\n\n\"lib@npm:^1.0.0\":\n  version: 1.0.0\n  resolution: \"lib@npm:1.0.0\"\n";
        let (directory, config) = project("yarn.lock", lock);
        std::fs::write(directory.path().join(".npmrc"), "registry=https://npmrc.test\n").unwrap();
        let registry = |rc: &str| {
            std::fs::write(directory.path().join(".yarnrc.yml"), rc).unwrap();
            config.projects[0].pins.refresh().unwrap();
            let name = Name::parse("projects/web/npm/lib", &config)?;
            match name.key().unwrap().origin() {
                crate::key::Origin::Package(package) => Ok(package.registry().map(str::to_owned)),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(registry("").unwrap(), None);
        let own = registry("npmRegistryServer: https://own.test/npm/\n").unwrap();
        assert_eq!(own.as_deref(), Some("https://own.test/npm"));
        // There is no hash by which another registry could be known to have the same.
        let error: Error = registry("npmRegistryServer: http://127.0.0.1:4873\n").unwrap_err();
        assert!(error.to_string().contains("by https and is not in a private network"), "{error}");
    }

    #[test]
    fn what_lies_elsewhere_is_reached_only_where_the_configuration_would() {
        let lock = |source: &str| {
            format!(
                "version = 4\n\n[[package]]\nname = \"dep\"\nversion = \"1.0.0\"\nsource = \"{source}\"\n"
            )
        };
        let commit = "a".repeat(40);
        let (_directory, config) =
            project("Cargo.lock", &lock(&format!("git+https://git.test/o/dep.git#{commit}")));
        let name = Name::parse("projects/web/crates/dep", &config).unwrap();
        assert_eq!(name.reference(), Some(&Reference::Commit(commit.clone())));
        assert_eq!(name.key().unwrap().source(), "https://git.test/o/dep.git");
        for url in ["http://git.test/dep", "https://127.0.0.1/dep", "https://me:hunter2@git.test/dep"] {
            let (_directory, config) = project("Cargo.lock", &lock(&format!("git+{url}#{commit}")));
            let error = Name::parse("projects/web/crates/dep", &config).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
        for index in ["http://index.test/", "https://127.0.0.1/", "https://10.0.0.1/x", "file:///etc"] {
            let (_directory, config) = project("Cargo.lock", &lock(&format!("sparse+{index}")));
            assert!(Name::parse("projects/web/crates/dep", &config).is_err(), "{index}");
        }
        let (_directory, config) = project("Cargo.lock", &lock("sparse+https://index.test/team/"));
        let name = Name::parse("projects/web/crates/dep", &config).unwrap();
        let own = Package::at(Kind::Crates, "dep", "https://index.test/team").unwrap();
        assert_eq!(name.key(), Some(&Key::package(own)));
        let (_directory, config) = project("Cargo.lock", &lock("registry+https://index.test/git"));
        let error = Name::parse("projects/web/crates/dep", &config).unwrap_err().to_string();
        assert!(error.contains("git repository"), "{error}");
    }
}
