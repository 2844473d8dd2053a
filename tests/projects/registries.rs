//! Registries that a project names itself.

use super::lockfiles::{WEB, directory, npm, package_lock, write};
use super::mounted2::wait_until;
use super::place::Place;
use super::registry::Registry;
use super::registry::packing::{integrity, sha256};

/// A project whose files name the registries that the user's own clients ask.
fn own() -> Place {
    let place = Place::new();
    let lib = npm(&place, "lib", "1.0.0");
    // As clients wrote it long ago.
    let mut old = npm(&place, "old", "1.0.0");
    old.as_object_mut().unwrap().remove("integrity");
    write(&place, "package-lock.json", &package_lock(&[("lib", lib), ("old", old)], &["lib"]));
    write(&place, ".npmrc", &format!("registry={}\n", place.registry.url("/npm")));
    place.registry.pypi("six").sdist("1.16.0", &[("version", "1.16.0")]);
    let index = place.registry.url("/pypi/simple");
    write(&place, "requirements.txt", &format!("--index-url {index}\nsix==1.16.0\n"));
    place.json(&["add", WEB, "--project", directory(&place).to_str().unwrap()]);
    place
}

#[test]
fn what_comes_from_a_registry_that_is_the_users_own_is_the_same_tree_by_every_name() {
    let mut place = own();
    place.mount();
    for (name, of_all) in
        [("npm/lib", "npm/lib@1.0.0"), ("npm/old", "npm/old@1.0.0"), ("pypi/six", "pypi/six@1.16.0")]
    {
        let (kind, package) = name.split_once('/').unwrap();
        let of_project = format!("projects/web/{name}");
        assert_eq!(place.cat(&format!("{of_project}/version")), place.cat(&format!("{of_all}/version")));
        assert_eq!(place.registry.downloads_of(kind, package), 1, "{name}");
        let pinned = place.json(&["path", "--pin", &of_project]);
        assert_eq!(pinned["path"], place.path(of_all).to_str().unwrap());
        let cited = |key: &str| {
            let report = place.json(&["cite", key]);
            report["citations"][0]["citation"].as_str().unwrap().to_owned()
        };
        let citation = cited(&format!("{of_project}/version:1"));
        assert!(citation.starts_with(&format!("{of_all}:version:1 sha")), "{citation}");
        assert_eq!(
            place.attribute(&format!("{of_project}/version"), "citation"),
            citation.replace(":1 ", " ")
        );
        assert_eq!(cited(&citation), citation, "it is read back");
        // As it was cited where the registry was not one's own.
        let registry = place.registry.url(if kind == "npm" { "/npm" } else { "/pypi/simple" });
        assert_eq!(cited(&format!("{citation} of {registry}")), citation);
        let refused = place.run(&["cite", &format!("{citation} of https://127.0.0.1/npm")]);
        assert!(refused.code != 0 && (refused.err + &refused.out).contains("private network"), "{name}");
    }
}

#[test]
fn a_registry_that_becomes_the_users_own_is_one_from_then_on() {
    let mut place = Place::new();
    let mut lib = npm(&place, "lib", "1.0.0");
    lib.as_object_mut().unwrap().remove("integrity");
    write(&place, "package-lock.json", &package_lock(&[("lib", lib)], &["lib"]));
    place.json(&["add", WEB, "--project", directory(&place).to_str().unwrap()]);
    let npmrc = place.site.program.path().join(".npmrc");
    let before = std::fs::read_to_string(&npmrc).unwrap();
    std::fs::write(&npmrc, "registry=https://registry.test/\nreplace-registry-host=never\n").unwrap();
    place.mount();
    let is_there = |place: &Place| std::fs::metadata(place.path("projects/web/npm/lib/version")).is_ok();
    assert!(!is_there(&place), "a registry of a lockfile may not lie on this machine");
    std::fs::write(&npmrc, before).unwrap();
    wait_until("it is the user's own", || is_there(&place));
    assert_eq!(place.cat("projects/web/npm/lib/version"), "1.0.0");
}

#[test]
fn a_client_that_says_nothing_yet_holds_up_only_who_needs_to_know() {
    let mut place = own();
    let home = place.site.program.path().to_owned();
    let (bin, go) = (home.join("clients"), home.join("go"));
    std::fs::create_dir(&bin).unwrap();
    let script = format!(
        "#!/bin/sh\nwhile [ ! -e {} ]; do sleep 0.05; done\necho {}\n",
        go.display(),
        place.registry.url("/npm/")
    );
    std::fs::write(bin.join("npm"), script).unwrap();
    std::fs::set_permissions(bin.join("npm"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::write(home.join(".npmrc"), "").unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let path = std::env::join_paths([bin].into_iter().chain(std::env::split_paths(&path))).unwrap();
    let client = &place.client;
    place.site.mount_by(&["-v", "mount", "--foreground"], |command| {
        client.apply(command).env("PATH", &path);
    });
    assert_eq!(place.ls("projects/web"), ["npm", "pypi"]);
    assert_eq!(place.ls("projects/web/npm"), ["lib", "old"]);
    assert_eq!(place.cat("projects/web/pypi/six/version"), "1.16.0");
    let reader = std::process::Command::new("cat")
        .arg(place.path("projects/web/npm/lib/version"))
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    wait_until("it waits for npm", || {
        let status: serde_json::Value = serde_json::from_str(&place.cat(".srcfs/status.json")).unwrap();
        !status["waiting"].as_array().unwrap().is_empty()
    });
    assert_eq!(place.ls("projects/web/npm"), ["lib", "old"]);
    std::fs::write(&go, "").unwrap();
    let read = reader.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&read.stdout), "1.0.0");
    assert_eq!(place.cat("npm/lib@1.0.0/version"), "1.0.0");
    assert_eq!(place.registry.downloads_of("npm", "lib"), 1);
}

#[test]
fn what_the_users_own_registry_has_not_is_told_with_where_the_lockfile_has_it_from() {
    let (place, other) = (Place::new(), Registry::start_at("127.0.0.2"));
    place.registry.pypi("lib").sdist("1.0", &[("version", "1.0")]);
    let there = other.pypi("lib").sdist("1.0+cpu", &[("version", "1.0+cpu")]);
    let hash = sha256(&there.bytes("lib-1.0+cpu.tar.gz"));
    let index = other.url("/pypi/simple/");
    write(&place, "requirements.txt", &format!("--index-url {index}\nlib==1.0+cpu --hash=sha256:{hash}\n"));
    let mut scoped = npm(&place, "@team/absent", "1.0.0");
    place.registry.npm("@team/absent").unpublished("1.0.0");
    scoped["resolved"] = other.url("/npm/@team/absent/-/absent-1.0.0.tgz").into();
    let (mut changed, changed_at) =
        (npm(&place, "changed", "1.0.0"), other.url("/npm/changed/-/changed-1.0.0.tgz"));
    changed["integrity"] = integrity(b"what is there").into();
    changed["resolved"] = changed_at.into();
    let gone = serde_json::json!({ "version": "1.0.0", "resolved": place.registry.url("/npm/gone/-/gone-1.0.0.tgz"),
        "integrity": integrity(b"x") });
    let packages = [("@team/absent", scoped), ("changed", changed), ("gone", gone)];
    write(&place, "package-lock.json", &package_lock(&packages, &[]));
    place.json(&["add", WEB, "--project", directory(&place).to_str().unwrap()]);
    let npm_there = other.url("/npm");
    for (name, advice) in [
        ("pypi/lib", format!("the lockfile has it from {index}, which is asked if extra-index-url")),
        ("npm/@team/absent", format!("which is asked if @team:registry={npm_there}/ in .npmrc")),
        ("npm/changed", format!("which is asked if registry={npm_there}/ in .npmrc")),
    ] {
        let key = format!("projects/web/{name}");
        let (refused, explained) = (place.refused(&key), place.json(&["explain", &key]).to_string());
        assert!(refused.contains(&advice), "{refused}");
        assert!(explained.contains(&advice), "{explained}");
    }
    // It is the user's own: nothing else could be asked.
    assert!(!place.refused("projects/web/npm/gone").contains("which is asked"));
    assert_eq!(other.requests(), [], "nobody said that it may be asked");

    place.client.indexes(&place.registry.url("/pypi/simple/"), &index);
    assert_eq!(place.version("projects/web/pypi/lib"), "1.0+cpu");
}
