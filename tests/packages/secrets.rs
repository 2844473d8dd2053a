//! P17: a credential goes to its own registry and nowhere else, and is seen nowhere.

use super::mounted2::files_below;
use super::place::Place;
use super::registry::{Fault, Registry, USER};

const TOKEN: &str = "hunter2-very-secret-token";

/// A place whose registry wants a token for everything, and gets it.
fn private() -> Place {
    let mut place = Place::new();
    place.client = place.registry.configure_with_token(place.site.program.path(), TOKEN);
    for path in ["/npm/", "/crates/", "/pypi/"] {
        place.registry.require_token(path, TOKEN);
    }
    place.registry.npm("@team/lib").version("1.0.0", &[("a", "npm")]);
    place.registry.crates("lib").version("1.0.0", &[("a", "crate")]);
    place.registry.pypi("lib").sdist("1.0", &[("a", "sdist")]);
    place
}

#[test]
fn private_packages_are_had_with_the_clients_own_credentials() {
    let mut place = private();
    place.mount();
    assert_eq!(place.cat("npm/@team/lib/a"), "npm");
    assert_eq!(place.cat("crates/lib/a"), "crate");
    assert_eq!(place.cat("pypi/lib/a"), "sdist");
    assert_seen_nowhere(&place);
}

/// The token stands in no file of the cache, no log and no status.
fn assert_seen_nowhere(place: &Place) {
    for file in files_below(&place.site.program.cache()) {
        let content = std::fs::read(&file).unwrap();
        let found = content.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes());
        assert!(!found, "{} holds the token", file.display());
    }
    assert!(!place.site.log().contains(TOKEN));
    assert!(!place.json(&["status"]).to_string().contains(TOKEN));
}

#[test]
fn a_secret_in_the_url_of_an_archive_is_asked_for_and_seen_nowhere() {
    let mut place = Place::new();
    place.registry.npm("lib").version("1.0.0", &[("a", "1")]).metadata(|manifest| {
        let tarball = manifest["dist"]["tarball"].as_str().unwrap();
        manifest["dist"]["tarball"] = format!("{tarball}?key=/{TOKEN}#/{TOKEN}").into();
    });
    place.mount();
    assert_eq!(place.cat("npm/lib/a"), "1");
    assert!(place.registry.requests().iter().any(|request| request.target.contains(TOKEN)));
    assert_eq!(place.attribute("npm/lib", "archive"), "lib-1.0.0.tgz");
    let cited = place.json(&["cite", place.path("npm/lib/a").to_str().unwrap()]).to_string();
    assert!(!cited.contains(TOKEN), "{cited}");
    assert_seen_nowhere(&place);
    place.json(&["clear", "npm/lib"]);
    place.registry.misbehave(&place.registry.archives_path("npm", "lib"), Fault::Status(404, vec![]));
    let error = place.refused("npm/lib");
    assert!(error.contains("is not there") && !error.contains(TOKEN), "{error}");
}

#[test]
fn a_password_in_the_link_of_an_archive_is_sent_there_and_seen_nowhere() {
    let mut place = Place::new();
    let other = Registry::start_at("127.0.0.2");
    let lib = place.registry.pypi("lib").wheel("1.0", "py3-none-any", &[("a", "1")]);
    let file = "lib-1.0-py3-none-any.whl";
    other.pypi("lib").archive("1.0", file, lib.bytes(file));
    other.require_token("/", TOKEN);
    lib.elsewhere(&other.url("").replacen("//", &format!("//{USER}:{TOKEN}@"), 1));
    place.mount();
    assert_eq!(place.cat("pypi/lib/a"), "1");
    assert!(place.registry.requests().iter().all(|request| request.authorization().is_none()));
    assert_eq!(place.attribute("pypi/lib", "archive"), file);
    let cited = place.json(&["cite", place.path("pypi/lib/a").to_str().unwrap()]).to_string();
    assert!(!cited.contains(TOKEN), "{cited}");
    assert_seen_nowhere(&place);
    for status in [404, 401, 500] {
        place.json(&["clear", "pypi/lib"]);
        other.misbehave(&other.archives_path("pypi", "lib"), Fault::Status(status, vec![]));
        let error = place.refused("pypi/lib");
        assert!(error.contains("127.0.0.2") && !error.contains(TOKEN), "{error}");
    }
    assert_seen_nowhere(&place);
}

#[test]
fn an_index_that_begins_to_want_a_token_gets_it_and_not_before() {
    let mut place = Place::new();
    place.client = place.registry.configure_with_token(place.site.program.path(), TOKEN);
    for name in ["open", "closed", "other"] {
        place.registry.crates(name).version("1.0.0", &[("a", name)]);
    }
    place.version("crates/open");
    assert!(place.registry.requests().iter().all(|request| request.authorization().is_none()));
    place.registry.require_token("/crates/", TOKEN);
    for name in ["closed", "other"] {
        place.registry.reset();
        assert_eq!(place.version(&format!("crates/{name}")), "1.0.0");
        // It is not asked as anybody once it is known to want a token.
        let index = place.registry.metadata_path("crates", name);
        let refused = place.registry.requests().into_iter().filter(|request| request.path == index);
        let refused = refused.filter(|request| request.authorization().is_none()).count();
        assert_eq!(refused, usize::from(name == "closed"), "{name}");
    }
}

#[test]
fn without_a_credential_it_does_not_exist_or_is_private() {
    let mut place = private();
    place.client = place.registry.configure(place.site.program.path());
    std::fs::remove_file(place.site.program.path().join(".netrc")).unwrap();
    std::fs::remove_file(place.site.program.path().join(".cargo/credentials.toml")).unwrap();
    for key in ["npm/@team/lib", "crates/lib", "pypi/lib"] {
        let error = place.refused(key);
        assert!(error.contains("private"), "{key}: {error}");
    }
}

#[test]
fn a_refused_credential_is_said_and_not_shown() {
    let mut place = private();
    place.client = place.registry.configure_with_token(place.site.program.path(), "wrong-secret");
    let error = place.refused("npm/@team/lib");
    assert!(error.contains("credential") && !error.contains("wrong-secret"), "{error}");
}

#[test]
fn an_archive_on_another_host_is_fetched_without_the_credential() {
    let place = private();
    let other = Registry::start_at("127.0.0.2");
    let lib = place.registry.npm("@team/lib");
    other.npm("@team/lib").archive("1.0.0", lib.bytes("1.0.0"));
    lib.elsewhere(&other.url(""));
    assert_eq!(place.version("npm/@team/lib"), "1.0.0");
    let seen: Vec<_> =
        other.requests().iter().map(|request| request.authorization().map(str::to_owned)).collect();
    assert_eq!(seen, [None]);
}

#[test]
fn a_redirect_to_another_host_loses_the_credential() {
    let place = private();
    let other = Registry::start_at("127.0.0.2");
    other.npm("@team/lib").archive("1.0.0", place.registry.npm("@team/lib").bytes("1.0.0"));
    let path = place.registry.archives_path("npm", "@team/lib");
    place.registry.misbehave(&path, super::registry::Fault::Redirect(other.url("")));
    assert_eq!(place.version("npm/@team/lib"), "1.0.0");
    assert!(other.requests().iter().all(|request| request.authorization().is_none()));
    assert_eq!(other.requests().len(), 1);
}

#[test]
fn a_crate_on_another_host_is_fetched_without_the_token() {
    let place = private();
    let other = Registry::start_at("127.0.0.2");
    other.crates("lib").archive("1.0.0", place.registry.crates("lib").bytes("1.0.0"));
    place.registry.crates_at(&other.url("/crates/files/{crate}-{version}.crate"));
    assert_eq!(place.version("crates/lib"), "1.0.0");
    assert_eq!(other.requests().len(), 1);
    assert!(other.requests().iter().all(|request| request.authorization().is_none()));
}

#[test]
fn that_a_crate_on_another_host_wants_a_token_is_said() {
    let place = private();
    let other = Registry::start_at("127.0.0.2");
    other.require_token("/crates/", TOKEN);
    place.registry.crates_at(&other.url("/crates/files/{crate}-{version}.crate"));
    let error = place.refused("crates/lib");
    assert!(error.contains("the token of the index was not sent there"), "{error}");
    assert!(other.requests().iter().all(|request| request.authorization().is_none()));
}
