//! What of a package is shown: the published archive, as its own client unpacks it.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use super::mounted2::{errno, run, xattr};
use super::place::{Place, contents, tgz};
use super::registry::packing;

#[test]
fn recorded_packages_are_shown_as_their_clients_unpack_them() {
    let place = Place::recorded();
    let unpacked = tempfile::tempdir().unwrap();
    for (name, archive, strip) in [
        ("npm/ms@2.1.3", "npm/ms/ms-2.1.3.tgz", "package"),
        ("npm/@types/ms@0.7.34", "npm/@types/ms/ms-0.7.34.tgz", "ms"),
        ("crates/cfg-if@1.0.0", "crates/cfg-if/cfg-if-1.0.0.crate", "cfg-if-1.0.0"),
        ("pypi/iniconfig@2.0.0", "pypi/iniconfig/iniconfig-2.0.0.tar.gz", "iniconfig-2.0.0"),
    ] {
        let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/registry").join(archive);
        let directory = unpacked.path().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let tar = run(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(&directory));
        assert_eq!(tar.code, 0, "{tar:?}");
        let (shown, wanted) = (contents(&place.path(name)), contents(&directory.join(strip)));
        assert!(!wanted.is_empty() && shown == wanted, "{name}");
    }
    let wheel = place.ls("pypi/tensorboard-data-server");
    assert!(wheel.iter().any(|name| name.ends_with(".dist-info")), "{wheel:?}");
}

#[test]
fn a_package_tells_what_it_is() {
    let place = Place::recorded();
    // It is told of what was looked into: an attribute alone fetches nothing.
    for name in ["npm/ms", "crates/cfg-if", "pypi/iniconfig", "pypi/tensorboard-data-server"] {
        assert!(!place.ls(name).is_empty());
    }
    let about = |name: &str, attribute: &str| place.attribute(name, attribute);
    assert_eq!(about("npm/ms", "version"), "2.1.3");
    assert_eq!(about("npm/ms", "archive"), "ms-2.1.3.tgz");
    assert!(about("npm/ms", "hash").starts_with("sha512-"));
    assert_eq!(about("npm/ms", "license"), "MIT");
    assert!(about("npm/ms", "repository").contains("vercel/ms"));
    assert!(!about("npm/ms", "description").is_empty());
    assert_eq!(about("crates/cfg-if", "license"), "MIT/Apache-2.0");
    assert!(about("crates/cfg-if", "hash").starts_with("sha256:"));
    assert!(about("pypi/iniconfig", "homepage").contains("iniconfig"));
    assert_eq!(about("pypi/iniconfig", "archive"), "iniconfig-2.0.0.tar.gz");
    assert_eq!(about("pypi/iniconfig", "archive.chosen"), "it is the sdist");
    let why = about("pypi/tensorboard-data-server", "archive.chosen");
    assert!(why.contains("any platform") && why.contains("no sdist"), "{why}");
    // Of the whole package, and not of each file.
    assert_eq!(xattr(&place.path("npm/ms/package.json"), "user.srcfs.license"), Err(libc::ENODATA));
    assert_eq!(about("npm/ms/package.json", "revision"), about("npm/ms", "revision"));
}

#[test]
fn a_citation_names_version_path_and_hash() {
    let place = Place::recorded();
    assert!(!place.ls("npm/@types/ms@2.1.0").is_empty());
    let hash = place.attribute("npm/@types/ms@2.1.0", "hash");
    let file = place.path("npm/@types/ms@2.1.0/package.json");
    let cited = place.json(&["cite", &format!("{}:2-3", file.display())]);
    let cited = &cited["citations"][0];
    assert_eq!(cited["citation"], format!("npm/@types/ms@2.1.0:package.json:2-3 {hash}"));
    assert_eq!(cited["permalink"], serde_json::Value::Null);
    assert_eq!(cited["package"]["license"], "MIT");
    assert_eq!(cited["package"]["hash"], hash);
    let of_key = place.json(&["cite", "npm/@types/ms@2.1.0/package.json:2-3"]);
    assert_eq!(of_key["citations"][0]["citation"], cited["citation"]);
    // What somebody cites can be checked.
    let again = place.json(&["cite", cited["citation"].as_str().unwrap()]);
    assert_eq!(again["citations"][0]["citation"], cited["citation"]);
    for (citation, why) in [
        (format!("npm/@types/ms@2.1.0:package.json:2-3 {hash}x"), "the citation names"),
        (format!("npm/@types/ms@2.1.0:package.json:2-9999 {hash}"), "lines"),
        (format!("npm/@types/ms@2.1.0:nothing.ts {hash}"), "nothing.ts"),
    ] {
        let run = place.run(&["--json", "cite", &citation]);
        assert!(run.code == 1 && run.out.contains(why), "{citation}: {run:?}");
    }
    assert_eq!(
        place.attribute("npm/@types/ms@2.1.0/package.json", "citation"),
        format!("npm/@types/ms@2.1.0:package.json {hash}")
    );
}

#[test]
fn the_citation_of_a_file_whose_name_has_blanks_is_read_back() {
    let place = Place::new();
    place.registry.npm("lib").version("1.0.0", &[("a dir/script (dev).tmpl", "one\ntwo\n")]);
    let cited =
        |text: &str| place.json(&["cite", text])["citations"][0]["citation"].as_str().unwrap().to_owned();
    for lines in ["", ":2"] {
        let citation = cited(&format!("npm/lib@1.0.0/a dir/script (dev).tmpl{lines}"));
        let expected = format!("npm/lib@1.0.0:a dir/script (dev).tmpl{lines} sha512-");
        assert!(citation.starts_with(&expected), "{citation}");
        assert_eq!(cited(&citation), citation);
        assert_eq!(cited(citation.rsplit_once(' ').unwrap().0), citation, "also without its hash");
    }
}

#[test]
fn files_have_the_time_at_which_the_version_was_published() {
    let mut place = Place::new();
    place.registry.pypi("lib").sdist("1.0", &[("a", "1")]).published(Some("2020-01-02T03:04:05.678Z"));
    place.registry.crates("lib").version("1.0.0", &[("a", "1")]).published(Some("2021-01-02T03:04:05Z"));
    place.mount();
    let mtime = |name: &str| std::fs::metadata(place.path(name)).unwrap().mtime();
    assert_eq!(place.cat("pypi/lib/a") + &place.cat("crates/lib/a"), "11");
    assert_eq!((mtime("pypi/lib"), mtime("pypi/lib/a")), (1_577_934_245, 1_577_934_245));
    assert_eq!(mtime("crates/lib/a"), 1_609_556_645);
}

#[test]
fn where_the_registry_says_no_time_it_is_that_of_the_archive_or_of_its_files() {
    let mut place = Place::new();
    for name in ["one", "two", "three"] {
        let package = place.registry.npm(name).version("1.0.0", &[("a", name)]);
        package.published(Some("2020-01-02T03:04:05.678Z"));
    }
    place.mount();
    let mtime = |name: &str| {
        assert_eq!(place.cat(&format!("npm/{name}/a")), name);
        std::fs::metadata(place.path(&format!("npm/{name}/a"))).unwrap().mtime()
    };
    // The short form of what npm says has no times.
    assert_eq!(mtime("one"), i64::try_from(packing::EPOCH).unwrap());
    place.registry.last_modified("Wed, 21 Oct 2015 07:28:00 GMT");
    assert_eq!(mtime("two"), 1_445_412_480);
    place.registry.full_only();
    assert_eq!(mtime("three"), 1_577_934_245);
}

#[test]
fn modes_are_those_of_the_archive_and_nothing_can_be_written() {
    let mut place = Place::new();
    let archive = tgz(&[("package/package.json", "{}"), ("package/bin/run!", "#!/bin/sh\n")]);
    place.registry.npm("lib").archive("1.0.0", archive);
    place.mount();
    let mode = |name: &str| std::fs::metadata(place.path(name)).unwrap().mode() & 0o7777;
    assert_eq!(place.cat("npm/lib/bin/run"), "#!/bin/sh\n");
    assert_eq!((mode("npm/lib/bin/run"), mode("npm/lib/package.json")), (0o555, 0o444));
    let written = std::fs::write(place.path("npm/lib/package.json"), "");
    assert!([libc::EROFS, libc::EACCES].contains(&errno(written)));
}

#[test]
fn no_script_of_a_package_is_run() {
    let mut place = Place::new();
    let touched = place.site.program.path().join("touched");
    let script = format!("touch {}", touched.display());
    let manifest = serde_json::json!({
        "name": "lib", "version": "1.0.0",
        "scripts": {"preinstall": script, "install": script, "postinstall": script, "prepare": script},
    });
    let archive = tgz(&[("package/package.json", &manifest.to_string())]);
    place.registry.npm("lib").archive("1.0.0", archive);
    let setup = format!("import os\nos.system({script:?})\n");
    place.registry.pypi("lib").sdist("1.0", &[("setup.py", setup.as_str())]);
    let build = format!("fn main() {{ std::process::Command::new(\"touch\").arg({touched:?}).status(); }}");
    place.registry.crates("lib").version("1.0.0", &[("build.rs", build.as_str())]);
    place.mount();
    assert_eq!(place.cat("npm/lib/package.json"), manifest.to_string());
    assert_eq!(place.cat("pypi/lib/setup.py"), setup);
    assert_eq!(place.cat("crates/lib/build.rs"), build);
    assert!(!touched.exists());
}

#[test]
fn a_link_that_npm_leaves_out_is_left_out_and_told() {
    let mut place = Place::new();
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(1);
    header.set_mode(0o644);
    builder.append_data(&mut header, "package/a", &b"1"[..]).unwrap();
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    builder.append_link(&mut link, "package/evil", "/etc/passwd").unwrap();
    let archive = packing::gzip(&builder.into_inner().unwrap());
    place.registry.npm("lib").archive("1.0.0", archive);
    place.mount();
    assert_eq!(place.ls("npm/lib"), ["a"]);
    let left_out = place.attribute("npm/lib", "left_out");
    assert!(left_out.starts_with("package/evil: ") && left_out.contains("/etc/passwd"), "{left_out}");
}

#[test]
fn an_archive_that_leads_out_of_its_place_is_refused_whole() {
    let mut place = Place::new();
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    let name = b"package/../../../evil";
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_size(1);
    header.set_cksum();
    builder.append(&header, &b"2"[..]).unwrap();
    let archive = packing::gzip(&builder.into_inner().unwrap());
    place.registry.npm("lib").archive("1.0.0", archive);
    place.mount();
    let path = place.path("npm/lib/a");
    assert_eq!(errno(std::fs::read(&path)), libc::EIO);
    let explained = place.json(&["explain", place.path("npm/lib").to_str().unwrap()]).to_string();
    assert!(explained.contains("evil"), "{explained}");
}

#[test]
fn of_several_files_of_a_version_the_sdist_is_shown_else_a_wheel() {
    let mut place = Place::new();
    let arch = std::env::consts::ARCH;
    let tags = |python: &str| format!("{python}-{python}-manylinux_2_17_{arch}");
    let both = place.registry.pypi("both").wheel("1.0", "py3-none-any", &[("both.py", "wheel")]);
    both.sdist("1.0", &[("both.py", "sdist")]);
    let native = place.registry.pypi("native").wheel("1.0", &tags("cp39"), &[("native.py", "39")]);
    native.wheel("1.0", &tags("cp312"), &[("native.py", "312")]).wheel(
        "1.0",
        "cp313-cp313-win_amd64",
        &[("native.py", "windows")],
    );
    place.registry.pypi("other").wheel("1.0", "cp313-cp313-win_amd64", &[("other.py", "windows")]);
    place.mount();
    assert_eq!(place.cat("pypi/both/both.py"), "sdist");
    assert_eq!(place.cat("pypi/native/native.py"), "312");
    let error = place.refused("pypi/other");
    assert!(error.contains("its wheels are for other platforms"), "{error}");
}
