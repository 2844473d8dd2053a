//! What registries do wrong: never shown as content, always said, and passing when the fault passes.

use super::mounted2::{errno, wait_until};
use super::place::{Place, tgz};
use super::registry::{Fault, Hashes, Registry, packing};

const FILES: [(&str, &str); 1] = [("a", "1")];

/// A package of each kind.
const ALL: [(&str, &str); 3] = [("npm", "lib"), ("crates", "lib"), ("pypi", "lib")];

fn all() -> Place {
    let place = Place::new();
    place.registry.npm("lib").version("1.0.0", &FILES);
    place.registry.crates("lib").version("1.0.0", &FILES);
    place.registry.pypi("lib").sdist("1.0.0", &FILES);
    place
}

#[test]
fn an_archive_that_is_not_what_was_published_is_never_visible() {
    let mut place = all();
    let forged = tgz(&[("package/a", "evil")]);
    place.registry.npm("lib").forged(forged.clone());
    place.registry.crates("lib").forged(forged.clone());
    place.registry.pypi("lib").forged(forged);
    place.mount();
    for (kind, name) in ALL {
        let path = place.path(&format!("{kind}/{name}/a"));
        assert_eq!(errno(std::fs::read(&path)), libc::EIO, "{kind}");
        let explained = place.json(&["explain", path.parent().unwrap().to_str().unwrap()]).to_string();
        assert!(
            explained.contains("the registry publishes") && explained.contains("nothing of it is shown"),
            "{explained}"
        );
    }
    // A bit that flips on the way is the same, and passes.
    let place = all();
    for (kind, name) in ALL {
        let path = place.registry.archives_path(kind, name);
        place.registry.misbehave_times(&path, 1, Fault::Flip);
        assert!(place.refused(&format!("{kind}/{name}")).contains("nothing of it is shown"), "{kind}");
        assert_eq!(place.version(&format!("{kind}/{name}")), "1.0.0", "{kind}");
    }
}

#[test]
fn without_a_strong_hash_nothing_is_shown_unless_it_is_allowed() {
    let place = all();
    place.registry.npm("lib").hashes(Hashes::Weak);
    place.registry.pypi("lib").hashes(Hashes::Weak);
    let error = place.refused("npm/lib");
    assert!(error.contains("only a SHA-1") && error.contains("weak_hashes = true"), "{error}");
    assert!(place.refused("pypi/lib").contains("no hash"), "MD5 is none");
    place.site.configure("weak_hashes = true");
    assert_eq!(place.version("npm/lib"), "1.0.0");
    place.json(&["clear", "npm/lib"]);
    place.registry.npm("lib").hashes(Hashes::None);
    assert!(place.refused("npm/lib").contains("no hash"), "that is never allowed");
}

#[test]
fn of_several_hashes_of_one_algorithm_an_archive_needs_one() {
    let mut place = Place::new();
    for (name, files) in [("lib", FILES), ("forged", [("a", "2")])] {
        place.registry.npm(name).version("1.0.0", &files).metadata(|manifest| {
            let own = manifest["dist"]["integrity"].as_str().unwrap();
            let other = format!("sha512-{}==", "A".repeat(86));
            let weaker = "sha1-AAAAAAAAAAAAAAAAAAAAAAAAAAA=";
            manifest["dist"]["integrity"] = format!("{weaker} {other} {own}").into();
        });
    }
    place.registry.npm("forged").forged(tgz(&[("package/a", "evil")]));
    place.mount();
    assert_eq!(place.cat("npm/lib/a"), "1");
    let published = place.registry.npm("lib").bytes("1.0.0");
    assert_eq!(place.attribute("npm/lib", "hash"), packing::integrity(&published), "the one that it has");
    assert!(place.refused("npm/forged").contains("nothing of it is shown"));
}

#[test]
fn trouble_with_metadata_is_not_absence_and_passes() {
    let place = all();
    for (kind, name) in ALL {
        let path = place.registry.metadata_path(kind, name);
        let key = format!("{kind}/{name}");
        for (fault, why) in [
            (Fault::Status(500, vec![]), "500"),
            (Fault::Status(429, vec!["Retry-After: 3600".to_owned()]), "come back"),
            (Fault::Hangup, ""),
            (Fault::RedirectLoop, "sent on more than 10 times"),
            (Fault::Truncate(5), ""),
            (Fault::Garbage, ""),
            (Fault::Deep(10_000), ""),
        ] {
            place.registry.misbehave(&path, fault.clone());
            let error = place.refused(&key);
            assert!(error.contains(why), "{key} {fault:?}: {error}");
            assert!(!error.contains("the registry has no"), "{key} {fault:?}: {error}");
        }
        place.registry.behave(&path);
        assert_eq!(place.version(&key), "1.0.0", "{key}");
    }
}

#[test]
fn what_the_registry_says_is_not_there_is_not_there() {
    let mut place = all();
    place.mount();
    for (kind, name) in ALL {
        for status in [404, 410] {
            place
                .registry
                .misbehave(&place.registry.metadata_path(kind, name), Fault::Status(status, vec![]));
            let error = place.refused(&format!("{kind}/{name}"));
            assert!(error.contains(&format!("the registry has no {kind}/{name}")), "{error}");
        }
        assert_eq!(errno(std::fs::metadata(place.path(&format!("{kind}/{name}")))), libc::ENOENT);
    }
}

#[test]
fn an_archive_that_breaks_off_is_not_shown_and_comes_again() {
    let place = all();
    for (kind, name) in ALL {
        let (path, key) = (place.registry.archives_path(kind, name), format!("{kind}/{name}"));
        for fault in
            [Fault::Truncate(20), Fault::TooLong(10), Fault::TooShort(10), Fault::Status(404, vec![])]
        {
            place.registry.misbehave(&path, fault.clone());
            let run = place.run(&["get", &key]);
            assert_ne!(run.code, 0, "{key} {fault:?}: {run:?}");
        }
        place.registry.behave(&path);
        assert_eq!(place.version(&key), "1.0.0", "{key}");
    }
}

#[test]
fn a_version_whose_archive_is_not_there_yet_exists_and_takes_nothing_away() {
    let mut place = Place::with("refresh = \"1s\"");
    place.registry.npm("lib").version("1.0.0", &FILES);
    place.registry.crates("lib").version("1.0.0", &FILES);
    place.registry.pypi("lib").sdist("1.0.0", &FILES);
    place.mount();
    for (kind, name) in ALL {
        assert_eq!(place.cat(&format!("{kind}/{name}/a")), "1");
    }
    place.registry.npm("lib").version("1.1.0", &[("a", "2")]);
    place.registry.crates("lib").version("1.1.0", &[("a", "2")]);
    place.registry.pypi("lib").sdist("1.1.0", &[("a", "2")]);
    for (kind, name) in ALL {
        let (archives, key) = (place.registry.archives_path(kind, name), format!("{kind}/{name}"));
        for status in [404, 403] {
            place.registry.misbehave(&archives, Fault::Status(status, vec![]));
            place.registry.reset();
            // Each asks again after a second, and then in vain.
            wait_until("the newer archive is asked for", || {
                assert_eq!(place.version(&key), "1.0.0", "{key} {status}");
                place.registry.requests().iter().any(|request| request.path.starts_with(&archives))
            });
            assert_eq!(place.cat(&format!("{key}/a")), "1", "{key} {status}");
            let newer = place.path(&format!("{key}@1.1.0/a"));
            assert_eq!(errno(std::fs::read(&newer)), libc::EIO, "{key} {status}");
            let error = place.refused(&format!("{key}@1.1.0"));
            assert!(error.contains("lists it, but its archive is not there"), "{key} {status}: {error}");
        }
        place.registry.behave(&archives);
        assert_eq!(place.version(&format!("{key}@1.1.0")), "1.1.0");
    }
}

#[test]
fn a_version_that_was_taken_back_is_not_there_even_if_what_was_said_of_it_is_at_hand() {
    let place = all();
    place.registry.npm("lib").version("1.1.0", &FILES);
    assert_eq!(place.version("npm/lib@1.1.0"), "1.1.0");
    place.json(&["clear", "npm/lib"]);
    place.registry.npm("lib").unpublished("1.1.0");
    let error = place.refused("npm/lib@1.1.0");
    assert!(error.contains("no such version any more"), "{error}");
    let error = place.refused("npm/lib@1.1.0");
    assert!(error.contains("1.0.0"), "it is known now, and the nearest is named: {error}");
}

#[test]
fn a_version_that_was_published_anew_is_had_as_it_is_now_after_a_clear() {
    let mut place = all();
    place.mount();
    let shown = |place: &Place| ALL.map(|(kind, name)| place.cat(&format!("{kind}/{name}@1.0.0/a")));
    assert_eq!(shown(&place), ["1", "1", "1"]);
    place.registry.npm("lib").version("1.0.0", &[("a", "2")]);
    place.registry.crates("lib").version("1.0.0", &[("a", "2")]);
    place.registry.pypi("lib").sdist("1.0.0", &[("a", "2")]);
    assert_eq!(shown(&place), ["1", "1", "1"], "what is cached of an exact version stays");
    for (kind, name) in ALL {
        place.json(&["clear", &format!("{kind}/{name}")]);
        // What the registry said before is at hand, and not true any more.
        assert_eq!(place.version(&format!("{kind}/{name}@1.0.0")), "1.0.0", "{kind}");
    }
    assert_eq!(shown(&place), ["2", "2", "2"]);
}

#[test]
fn an_archive_that_was_moved_is_fetched_from_where_it_is_now() {
    for status in [404, 403] {
        let (place, other) = (all(), Registry::start_at("127.0.0.2"));
        other.npm("lib").version("1.0.0", &FILES);
        other.pypi("lib").sdist("1.0.0", &FILES);
        for (kind, name) in ALL {
            let key = format!("{kind}/{name}");
            assert_eq!(place.version(&key), "1.0.0");
            place.json(&["clear", &key]);
            let archives = place.registry.archives_path(kind, name);
            place.registry.misbehave(&archives, Fault::Status(status, vec![]));
        }
        let base = other.url("");
        place.registry.npm("lib").elsewhere(&base);
        place.registry.pypi("lib").elsewhere(&base);
        place.registry.crates_at("{registry}/crates/files/moved/{crate}-{version}.crate");
        for (kind, name) in ALL {
            assert_eq!(place.version(&format!("{kind}/{name}@1.0.0")), "1.0.0", "{kind} {status}");
        }
    }
}

#[test]
fn metadata_that_is_too_large_is_refused_and_not_held() {
    let place = all();
    let path = place.registry.metadata_path("npm", "lib");
    for fault in [Fault::Announced(500 << 20), Fault::Bomb(500 << 20)] {
        place.registry.misbehave(&path, fault.clone());
        let error = place.refused("npm/lib");
        assert!(error.contains("larger than"), "{fault:?}: {error}");
    }
}

#[test]
fn a_version_that_no_grammar_allows_is_never_chosen() {
    let mut place = Place::new();
    let lib = place.registry.npm("lib").version("1.0.0", &FILES);
    lib.archive("../../x", tgz(&[("package/a", "evil")])).tag("latest", "1.0.0").tag("evil", "../../x");
    place.mount();
    assert_eq!(place.cat("npm/lib/a"), "1");
    assert_eq!(errno(std::fs::metadata(place.path("npm/lib@evil"))), libc::ENOENT);
    assert_eq!(place.ls("npm"), ["lib"]);
}

#[test]
fn a_registry_that_hangs_slows_nothing_that_is_cached() {
    let mut place = all();
    place.mount();
    assert_eq!(place.cat("npm/lib/a"), "1");
    place.registry.npm("slow").version("1.0.0", &FILES);
    place.registry.misbehave("/npm/slow", Fault::StallBeforeHeaders);
    let mut waiting = std::process::Command::new("cat").arg(place.path("npm/slow/a")).spawn().unwrap();
    place.registry.wait_until_held(1);
    assert_eq!(place.cat("npm/lib/a"), "1");
    assert!(place.ls("npm").contains(&"lib".to_owned()));
    assert!(waiting.try_wait().unwrap().is_none(), "it waits still");
    place.registry.behave("/npm/slow");
    place.registry.release();
    waiting.wait().unwrap();
}

#[test]
fn a_mirror_that_speaks_only_html_is_understood() {
    let mut place = all();
    place.registry.html_only();
    place.registry.full_only();
    place.mount();
    assert_eq!(place.cat("pypi/lib/a") + &place.cat("npm/lib/a"), "11");
}
