//! What stands below `projects/<name>/`.

use super::harness::repository::File;
use super::lockfiles::{WEB, cargo_lock, directory, npm, package_lock, write};
use super::mounted2::{errno, wait_until};
use super::place::Place;
use super::registry::packing::{self, sha256};

/// A place that knows the project, whose lockfiles are written already; mounted.
fn mounted(mut place: Place) -> Place {
    place.json(&["add", WEB, "--project", directory(&place).to_str().unwrap()]);
    place.mount();
    place
}

#[test]
fn a_project_shows_exactly_what_its_lockfiles_pin_and_listing_asks_nobody() {
    let place = Place::new();
    let (lib, scoped) = (npm(&place, "lib", "1.0.0"), npm(&place, "@scope/pkg", "2.0.0"));
    npm(&place, "lib", "1.1.0");
    write(&place, "package-lock.json", &package_lock(&[("lib", lib), ("@scope/pkg", scoped)], &["lib"]));
    let lock = cargo_lock(&place, &[("my-crate", "0.3.0"), ("other", "1.0.0")]);
    write(&place, "Cargo.lock", &lock);
    place
        .registry
        .pypi("My.Project")
        .sdist("1.2", &[("version", "1.2")])
        .sdist("1.2.1", &[("version", "1.2.1")]);
    write(&place, "requirements.txt", "My_Project==1.2\n");
    let place = mounted(place);
    place.registry.reset();

    assert_eq!(place.ls("projects"), [WEB]);
    assert_eq!(place.ls("projects/web"), ["crates", "npm", "pypi"]);
    assert_eq!(place.ls("projects/web/npm"), ["@scope", "lib"]);
    assert_eq!(place.ls("projects/web/npm/@scope"), ["pkg"]);
    assert_eq!(place.ls("projects/web/crates"), ["my-crate", "other"]);
    assert_eq!(place.ls("projects/web/pypi"), ["my-project"]);
    assert_eq!(place.registry.requests(), [], "listing asks nobody");

    for (name, version) in [
        ("npm/lib", "1.0.0"),
        ("npm/@scope/pkg", "2.0.0"),
        ("crates/my-crate", "0.3.0"),
        ("crates/MY_crate", "0.3.0"),
        ("pypi/my-project", "1.2"),
        ("npm/lib@1.0.0", "1.0.0"),
    ] {
        assert_eq!(place.cat(&format!("projects/web/{name}/version")), version, "{name}");
    }
    // The same package elsewhere is the same mirror.
    assert_eq!(place.cat("npm/lib@1.0.0/version"), "1.0.0");
    assert_eq!(place.registry.downloads_of("npm", "lib"), 1);
    assert_eq!(place.attribute("projects/web/npm/lib/version", "key"), "projects/web/npm/lib");
}

#[test]
fn of_several_versions_each_has_its_name_and_the_roots_own_also_the_bare_one() {
    let place = Place::new();
    let (old, new) = (npm(&place, "lib", "1.0.0"), npm(&place, "lib", "2.0.0"));
    let user = npm(&place, "user", "1.0.0");
    let packages = [("lib", new), ("user", user), ("user/node_modules/lib", old)];
    write(&place, "package-lock.json", &package_lock(&packages, &["lib", "user"]));
    let place = mounted(place);
    assert_eq!(place.ls("projects/web/npm"), ["lib", "lib@1.0.0", "lib@2.0.0", "user"]);
    for (name, version) in [("lib", "2.0.0"), ("lib@1.0.0", "1.0.0"), ("lib@2.0.0", "2.0.0")] {
        assert_eq!(place.cat(&format!("projects/web/npm/{name}/version")), version, "{name}");
    }
}

#[test]
fn a_python_pin_of_one_number_is_that_version_whatever_the_number_means_elsewhere() {
    let place = Place::new();
    for name in ["one", "two"] {
        let project = place.registry.pypi(name);
        project.sdist("2.0", &[("version", "2.0")]).sdist("2.31.0", &[("version", "2.31.0")]);
    }
    write(&place, "requirements.txt", "one==2\ntwo==2\n");
    let place = mounted(place);
    assert_eq!(place.cat("pypi/one@2/version"), "2.31.0");
    assert_eq!(place.cat("projects/web/pypi/one/version"), "2.0");
    assert_eq!(place.cat("projects/web/pypi/two/version"), "2.0");
    assert_eq!(place.cat("pypi/two@2/version"), "2.31.0");
    place.json(&["update"]);
    assert_eq!(place.cat("projects/web/pypi/one/version"), "2.0");
    assert_eq!(place.cat("projects/web/pypi/two/version"), "2.0");
}

#[test]
fn what_is_not_pinned_does_not_exist_and_explain_says_what_is() {
    let place = Place::new();
    let lib = npm(&place, "library", "1.0.0");
    npm(&place, "library", "1.1.0");
    write(&place, "package-lock.json", &package_lock(&[("library", lib)], &["library"]));
    let place = mounted(place);
    place.registry.reset();
    for name in ["npm/librari", "npm/library@1.1.0", "npm/left-pad", "gems/x", "crates/x", "npm/..."] {
        let path = place.path(&format!("projects/web/{name}"));
        assert_eq!(errno(std::fs::metadata(&path)), libc::ENOENT, "{name}");
    }
    assert_eq!(errno(std::fs::metadata(place.path("projects/wob"))), libc::ENOENT);
    let explained = place.json(&["explain", place.path("projects/web/npm/librari").to_str().unwrap()]);
    assert!(explained.to_string().contains("pinned are library"), "{explained}");
    assert_eq!(place.registry.requests(), [], "no registry is asked what a lockfile pins");
}

#[test]
fn a_registry_that_publishes_something_else_than_the_lockfile_pins_is_not_shown() {
    let place = Place::new();
    let pinned = npm(&place, "lib", "1.0.0");
    write(&place, "package-lock.json", &package_lock(&[("lib", pinned)], &["lib"]));
    let lock = cargo_lock(&place, &[("lib", "1.0.0")]);
    write(&place, "Cargo.lock", &lock);
    // As a registry that was broken into would: everything agrees but the lockfile.
    place.registry.npm("lib").unpublished("1.0.0").version("1.0.0", &[("version", "evil")]);
    place.registry.crates("lib").unpublished("1.0.0").version("1.0.0", &[("version", "evil")]);
    // As a stranger's registry with a package of the same name.
    place.registry.pypi("own").sdist("1.0", &[("version", "evil")]);
    write(&place, "requirements.txt", &format!("own==1.0 --hash=sha256:{}\n", sha256(b"our own")));
    let place = mounted(place);
    for name in ["projects/web/npm/lib", "projects/web/crates/lib", "projects/web/pypi/own"] {
        assert_eq!(errno(std::fs::read(place.path(name).join("version"))), libc::EIO, "{name}");
        let explained = place.json(&["explain", place.path(name).to_str().unwrap()]).to_string();
        assert!(explained.contains("and the lockfile pins"), "{explained}");
        let got = place.run(&["get", name]);
        assert!(got.code != 0 && got.out.contains("and the lockfile pins"), "{got:?}");
    }
}

#[test]
fn a_python_lockfile_names_the_wheel_that_is_installed_and_the_sdist_is_shown() {
    let place = Place::new();
    let lib = place.registry.pypi("lib").sdist("1.0", &[("version", "1.0")]);
    let lib = lib.wheel("1.0", "py3-none-any", &[("lib.py", "")]);
    let wheel = sha256(&lib.bytes("lib-1.0-py3-none-any.whl"));
    write(&place, "requirements.txt", &format!("lib==1.0 --hash=sha256:{wheel}\n"));
    let place = mounted(place);
    assert_eq!(place.cat("projects/web/pypi/lib/version"), "1.0");
    let cited = place.json(&["cite", "projects/web/pypi/lib/version"]);
    assert!(!cited.to_string().contains(&wheel), "{cited}");
}

#[test]
fn what_a_lockfile_takes_from_a_repository_is_its_commit() {
    let place = Place::new();
    let mut repository = place.site.repository("team/dep");
    let commit = repository.commit(&[File::new("lib.rs", "pinned")]);
    repository.commit(&[File::new("lib.rs", "newer")]);
    let url = place.site.server().url("team/dep.git");
    let source = format!("git+{url}?branch=main#{commit}");
    let lock =
        format!("version = 3\n\n[[package]]\nname = \"dep\"\nversion = \"0.1.0\"\nsource = \"{source}\"\n");
    write(&place, "Cargo.lock", &lock);
    let place = mounted(place);
    assert_eq!(place.ls("projects/web/crates"), ["dep"]);
    assert_eq!(place.cat("projects/web/crates/dep/lib.rs"), "pinned");
    assert_eq!(place.attribute("projects/web/crates/dep/lib.rs", "revision"), commit);
}

#[test]
fn a_lockfile_that_cannot_be_read_hides_no_other_and_is_told() {
    let place = Place::new();
    let lib = npm(&place, "lib", "1.0.0");
    write(&place, "package-lock.json", &package_lock(&[("lib", lib)], &["lib"]));
    write(&place, "Cargo.lock", "<<<<<<< ours\nversion = 3\n=======\nversion = 4\n>>>>>>> theirs\n");
    let place = mounted(place);
    assert_eq!(place.cat("projects/web/npm/lib/version"), "1.0.0");
    let explained = place.json(&["explain", place.path("projects/web").to_str().unwrap()]).to_string();
    assert!(explained.contains("Cargo.lock") && explained.contains("merge"), "{explained}");
    let listed = place.json(&["list"]);
    assert_eq!(listed["projects"][0]["pins"], 1, "{listed}");
    assert!(listed["projects"][0]["failures"].to_string().contains("Cargo.lock"), "{listed}");
}

#[test]
fn a_project_that_is_gone_fails_until_it_is_back() {
    let place = Place::new();
    let lib = npm(&place, "lib", "1.0.0");
    write(&place, "package-lock.json", &package_lock(&[("lib", lib)], &["lib"]));
    let place = mounted(place);
    assert_eq!(place.cat("projects/web/npm/lib/version"), "1.0.0");
    let away = directory(&place).with_extension("away");
    std::fs::rename(directory(&place), &away).unwrap();
    let of = |name: &str| errno(std::fs::metadata(place.path(name)));
    wait_until("it is no empty directory", || of("projects/web") == libc::EIO);
    let explained = place.json(&["explain", place.path("projects/web").to_str().unwrap()]).to_string();
    assert!(explained.contains("No such file"), "{explained}");
    std::fs::rename(&away, directory(&place)).unwrap();
    wait_until("it is there again", || std::fs::metadata(place.path("projects/web")).is_ok());
    wait_until("it is listed again", || place.ls("projects/web") == ["npm"]);
    assert_eq!(place.cat("projects/web/npm/lib/version"), "1.0.0");
}

#[test]
fn an_archive_that_is_no_package_of_a_registry_is_told_and_not_guessed() {
    let place = Place::new();
    let archive = serde_json::json!({
        "version": "1.0.0",
        "resolved": "https://files.test/odd-1.0.0.tgz",
        "integrity": packing::integrity(b"x"),
    });
    let lock = package_lock(&[("odd", archive)], &[])
        .replace("\"dependencies\":{}", "\"dependencies\":{\"odd\":\"https://files.test/odd-1.0.0.tgz\"}");
    write(&place, "package-lock.json", &lock);
    let place = mounted(place);
    place.registry.reset();
    let error = place.refused("projects/web/npm/odd");
    assert!(error.contains("https://files.test/odd-1.0.0.tgz"), "{error}");
    assert_eq!(place.registry.requests(), []);
}

#[test]
fn a_false_hash_of_one_project_is_told_of_that_one_alone_for_as_long_as_it_is_false() {
    let place = Place::new();
    let mut false_one = npm(&place, "lib", "1.0.0");
    false_one["integrity"] = packing::integrity(b"something else").into();
    write(&place, "package-lock.json", &package_lock(&[("lib", false_one)], &["lib"]));
    let place = mounted(place);
    let explained = |name: &str| place.json(&["explain", name]).to_string();
    assert_eq!(errno(std::fs::read(place.path("projects/web/npm/lib/version"))), libc::EIO);
    assert!(explained("projects/web/npm/lib").contains("and the lockfile pins"));
    let other = explained("npm/lib@1.0.0");
    assert!(other.contains("it is cached, and nothing failed"), "{other}");
    assert!(place.json(&["status"]).to_string().contains("and the lockfile pins"), "a mount tells of it");
    place.json(&["update", "npm/lib@1.0.0"]);
    place.json(&["get", "npm/lib@1.0.0"]);
    assert_eq!(errno(std::fs::read(place.path("projects/web/npm/lib/version"))), libc::EIO);
    let still = explained("projects/web/npm/lib");
    assert!(still.contains("and the lockfile pins"), "{still}");
    // What explain says is also said of a file in it.
    assert!(explained("projects/web/npm/lib/version").contains("and the lockfile pins"));
}
