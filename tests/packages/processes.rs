//! Many processes, one download; and what a live reader holds.

use std::process::{Child, Command, Stdio};

use super::mounted2::{Site, wait_until};
use super::place::Place;

/// A second daemon on the cache of a place, with its own mount point. Dropping it ends it.
struct Second<'p> {
    place: &'p Place,
    point: std::path::PathBuf,
    daemon: Child,
}

impl<'p> Second<'p> {
    fn mount(place: &'p Place) -> Self {
        let point = place.site.program.path().join("second");
        let mut command = place.command(&["mount", "--foreground"]);
        let daemon = command.arg(&point).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_until("the second mount answers", || point.join(".srcfs/status.json").exists());
        Second { place, point, daemon }
    }
}

impl Drop for Second<'_> {
    fn drop(&mut self) {
        let _ = self.place.run(&["-q", "unmount", "--force", self.point.to_str().unwrap()]);
        let _ = self.daemon.wait();
    }
}

#[test]
fn two_daemons_and_twenty_processes_on_a_cold_package_cause_one_download() {
    let mut place = Place::new();
    for (kind, name) in [("npm", "ms"), ("crates", "cfg-if"), ("pypi", "iniconfig")] {
        place.registry.recorded(kind, name);
    }
    place.mount();
    let second = Second::mount(&place);
    for (kind, name, file) in
        [("npm", "ms", "package.json"), ("crates", "cfg-if", "Cargo.toml"), ("pypi", "iniconfig", "PKG-INFO")]
    {
        place.registry.hold(&place.registry.archives_path(kind, name));
        let at = |point: std::path::PathBuf| point.join(format!("{kind}/{name}/{file}"));
        let cat = |number: usize| {
            let point =
                if number.is_multiple_of(2) { place.site.mount_point() } else { second.point.clone() };
            Command::new("cat").arg(at(point)).stdout(Stdio::piped()).spawn().unwrap()
        };
        let readers: Vec<Child> = (0..20).map(cat).collect();
        place.registry.wait_until_held(1);
        place.registry.release();
        let texts: Vec<Vec<u8>> =
            readers.into_iter().map(|reader| reader.wait_with_output().unwrap().stdout).collect();
        assert!(!texts[0].is_empty() && texts.iter().all(|text| *text == texts[0]), "{kind}");
        assert_eq!(place.registry.downloads_of(kind, name), 1, "{kind}");
    }
}

#[test]
fn a_killed_fetch_is_begun_again_and_leaves_nothing() {
    let place = Place::new();
    place.registry.recorded("npm", "ms");
    place.registry.hold(&place.registry.archives_path("npm", "ms"));
    let mut get =
        place.command(&["get", "npm/ms"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    place.registry.wait_until_held(1);
    get.kill().unwrap();
    get.wait().unwrap();
    place.registry.release();
    assert_eq!(place.version("npm/ms"), "2.1.3");
    let left =
        |room: &str| std::fs::read_dir(place.site.program.cache().join("v1").join(room)).unwrap().count();
    place.json(&["gc"]);
    assert_eq!((left("staging"), left("trash")), (0, 0));
}

#[test]
fn a_reader_keeps_what_a_clear_takes_away_and_the_next_sees_the_new() {
    let mut place = Place::new();
    place.registry.npm("lib").version("1.0.0", &[("a", "old")]);
    place.mount();
    let mut open = std::fs::File::open(place.path("npm/lib/a")).unwrap();
    place.registry.npm("lib").version("1.1.0", &[("a", "new")]).tag("latest", "1.1.0");
    place.json(&["clear", "npm/lib"]);
    assert_eq!(place.cat("npm/lib/a"), "new");
    let mut held = String::new();
    std::io::Read::read_to_string(&mut open, &mut held).unwrap();
    assert_eq!(held, "old");
}

#[test]
fn what_is_cached_is_read_without_registries_also_after_a_restart() {
    let mut place = Place::recorded();
    let text = place.cat("npm/ms@2/package.json");
    place.cat("crates/cfg-if/Cargo.toml");
    // Nobody listens there any more.
    place.registry = super::registry::Registry::start();
    Site::unmount(&mut place.site);
    place.mount();
    assert_eq!(place.cat("npm/ms@2/package.json"), text);
    assert!(!place.cat("crates/cfg-if/Cargo.toml").is_empty());
    let run = place.run(&["update", "npm/ms@2"]);
    assert_ne!(run.code, 0, "{run:?}");
    assert_eq!(place.cat("npm/ms@2/package.json"), text, "an update that fails takes nothing away");
}

#[test]
fn offline_asks_nobody_and_says_so() {
    let place = Place::with("offline = true");
    place.registry.recorded("npm", "ms");
    let error = place.refused("npm/ms");
    assert!(error.contains("srcfs is offline"), "{error}");
    assert_eq!(place.registry.requests(), []);
}
