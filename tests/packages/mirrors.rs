//! One mirror a package: by its kind and name, whoever works on it and whatever else is called so.

use std::process::Stdio;

use super::harness::repository::File;
use super::mounted2::wait_until;
use super::place::Place;
use super::registry::Fault;

#[test]
fn names_that_look_alike_when_escaped_are_packages_of_their_own() {
    let mut place = Place::new();
    let names = ["@foo/bar__baz", "@foo__bar/baz", "foo__bar__baz", "@foo/bar-baz"];
    for name in names {
        place.registry.npm(name).version("1.0.0", &[("name", name)]);
    }
    place.mount();
    for name in names {
        assert_eq!(place.cat(&format!("npm/{name}/name")), name);
    }
    place.json(&["clear", "npm/@foo/bar__baz"]);
    for name in names {
        assert_eq!(place.cat(&format!("npm/{name}/name")), name);
    }
    let downloads = names.map(|name| place.registry.downloads_of("npm", name));
    assert_eq!(downloads, [2, 1, 1, 1], "only what was cleared came again");
}

#[test]
fn a_repository_and_a_package_of_one_name_exist_beside_each_other() {
    let mut place = Place::new();
    place.site.repository_of("team/lib", &[File::new("a", "git")]);
    for kind in ["npm", "crates"] {
        match kind {
            "npm" => drop(place.registry.npm("lib").version("1.0.0", &[("a", kind)])),
            _ => drop(place.registry.crates("lib").version("1.0.0", &[("a", kind)])),
        }
    }
    place.mount();
    let shown = |place: &Place| {
        ["git/forge.test/team/lib/a", "npm/lib/a", "crates/lib/a"].map(|name| place.cat(name))
    };
    assert_eq!(shown(&place), ["git", "npm", "crates"]);
    place.json(&["clear", "npm/lib"]);
    place.site.stop_server();
    place.registry.misbehave("/crates/", Fault::Status(500, vec![]));
    assert_eq!(shown(&place), ["git", "npm", "crates"], "clearing one leaves the others");
}

#[test]
fn a_name_that_becomes_another_kind_is_what_it_is_now() {
    let mut place = Place::new();
    place.site.repository_of("team/lib", &[File::new("a", "git")]);
    place.registry.npm("lib").version("1.0.0", &[("a", "npm")]);
    let configure = |place: &Place, origin: &str| {
        place.site.configure(&format!("refresh = \"never\"\n[[resource]]\nname = \"docs\"\n{origin}\n"));
    };
    let url = place.site.server().url("team/lib.git");
    configure(&place, &format!("git = \"{url}\""));
    place.mount();
    assert_eq!(place.cat("docs/a"), "git");
    configure(&place, "npm = \"lib\"");
    wait_until("the name is the package", || place.cat("docs/a") == "npm");
    configure(&place, &format!("git = \"{url}\""));
    wait_until("the name is the repository", || place.cat("docs/a") == "git");
}

#[test]
fn a_clear_waits_for_no_package_that_is_under_way_and_stands_in_nobodys_way() {
    let place = Place::new();
    place.registry.recorded("npm", "ms");
    place.registry.hold(&place.registry.archives_path("npm", "ms"));
    let get =
        place.command(&["get", "npm/ms"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    place.registry.wait_until_held(1);
    place.json(&["clear", "npm/ms"]);
    place.registry.release();
    let got = get.wait_with_output().unwrap();
    assert!(got.status.success(), "{}", String::from_utf8_lossy(&got.stderr));
    assert_eq!(place.version("npm/ms"), "2.1.3");
    assert_eq!(place.registry.downloads_of("npm", "ms"), 1, "what a clear overtakes is not fetched twice");
}

#[test]
fn versions_of_one_package_share_what_is_the_same_in_them() {
    let place = Place::new();
    // What cannot be compressed, so that it counts on the disk.
    let mut state = 1_u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'!' + u8::try_from(state >> 24).unwrap() % 90)
    };
    let large: String = (0..400_000).map(|_| noise()).collect();
    for version in ["1.0.0", "1.0.1", "1.0.2"] {
        place.registry.npm("lib").version(version, &[("large", large.as_str()), ("version", version)]);
        place.version(&format!("npm/lib@{version}"));
    }
    let mirrors = super::mounted2::files_below(&place.site.program.cache().join("v1/mirrors/npm"));
    let bytes: u64 = mirrors.iter().map(|file| file.metadata().unwrap().len()).sum();
    assert!(bytes < 2 * large.len() as u64, "three versions take {bytes} bytes");
}
