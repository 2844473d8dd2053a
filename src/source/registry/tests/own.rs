//! Which registries that a project names are the user's own.

use super::{Home, Registries, defaults};
use crate::project::{Clients, Ecosystem, Location, Named};

fn named(ecosystem: Ecosystem, scope: &str, registry: &str) -> Named {
    Named { ecosystem, scope: scope.into(), registry: Location::new(registry), by_lockfile: false }
}

#[test]
fn the_registry_that_a_client_is_configured_with_is_the_users_however_it_is_written() {
    let home = Home::new();
    home.write(".npmrc", "registry=https://npm.example/repo/\n@own:registry=https://own.example:8443\n");
    home.write(
        ".config/pip/pip.conf",
        "[global]\nindex-url = https://me:secret@py.example/simple\nextra-index-url = https://more.example/simple\n",
    );
    home.write(
        ".cargo/config.toml",
        "[source.crates-io]\nreplace-with = \"m\"\n[source.m]\nregistry = \"sparse+https://crates.example/index/\"\n",
    );
    let registries = Registries::new(home.variables(&[]), None, defaults());
    for (ecosystem, scope, registry, own) in [
        (Ecosystem::Npm, "", "https://npm.example/repo", true),
        (Ecosystem::Npm, "", "https://NPM.Example:443/repo/", true),
        (Ecosystem::Npm, "@other", "https://npm.example/repo", true),
        (Ecosystem::Npm, "@own", "https://own.example:8443/", true),
        (Ecosystem::Npm, "@own", "https://npm.example/repo", false),
        (Ecosystem::Npm, "", "https://own.example:8443/", false),
        (Ecosystem::Npm, "", "https://npm.example/", false),
        (Ecosystem::Npm, "", "http://npm.example/repo", false),
        (Ecosystem::Npm, "", "https://somebody:secret@npm.example/repo", false),
        (Ecosystem::Npm, "", "no url", false),
        (Ecosystem::Pypi, "", "https://py.example/simple/", true),
        (Ecosystem::Pypi, "", "https://py.example/simple", true),
        (Ecosystem::Pypi, "", "https://more.example/simple", false),
        (Ecosystem::Crates, "", "sparse+https://crates.example/index/", true),
        (Ecosystem::Crates, "", "registry+https://crates.example/index/", false),
        (Ecosystem::Crates, "", "sparse+https://other.example/index/", false),
    ] {
        assert_eq!(
            registries.ask(&named(ecosystem, scope, registry)),
            Some(own),
            "{ecosystem:?} {scope} {registry}"
        );
    }
}

#[test]
fn a_host_that_npm_replaces_in_lockfiles_is_the_users_own_there_alone() {
    let home = Home::new();
    let asked = |by_lockfile, registry: &str| {
        let named = named(Ecosystem::Npm, "", registry);
        Registries::new(home.variables(&[]), None, defaults()).ask(&Named { by_lockfile, ..named }).unwrap()
    };
    home.write(".npmrc", "registry=https://npm.example/repo/\nreplace-registry-host=old.example\n");
    assert!(asked(true, "https://old.example/") && !asked(false, "https://old.example/"));
    assert!(!asked(true, "https://third.example/"));
    assert!(!asked(true, "https://npm.example/other/"), "it is another one on that host");
    home.write(".npmrc", "registry=https://npm.example/repo/\nreplace-registry-host=always\n");
    assert!(asked(true, "https://third.example/"));
    home.write(".npmrc", "registry=https://npm.example/repo/\nreplace-registry-host=never\n");
    assert!(!asked(true, "https://old.example/") && asked(true, "https://npm.example/repo"));
}

#[test]
fn what_a_client_cannot_say_is_not_said() {
    let home = Home::new();
    let asked = || {
        let registries = Registries::new(home.variables(&[]), None, defaults());
        registries.ask(&named(Ecosystem::Npm, "", "https://npm.example/"))
    };
    assert_eq!(asked(), None, "there is neither a configuration nor npm");
    home.write(".npmrc", "registry=https://npm.example");
    assert_eq!(asked(), Some(true));
}
