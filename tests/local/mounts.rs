//! Directories with mounts in them, and directories in mounts: a daemon never waits for itself.

use std::fs;

use super::mounted2::{errnos, is_root, run, wait_until};
use super::place::{KEY, Place};

/// A place whose mount lies in its directory.
fn around_its_own_mount() -> Place {
    let mut place = Place::new();
    let inside = place.path().join("src");
    fs::create_dir(&inside).unwrap();
    place.site.set("SRCFS_MOUNT", inside.to_str().unwrap());
    place
}

#[test]
fn a_directory_around_the_mount_is_shown_without_it() {
    for repository in [false, true] {
        let place = around_its_own_mount();
        place.write_all(&["a", "sub/b"]);
        if repository {
            place.git(&["init", "--quiet"]);
        }
        place.add(&[]);
        let mut daemon = place.command(&["mount", "--foreground"]).spawn().unwrap();
        let own = place.path().join("src/.srcfs");
        wait_until("it is mounted", || own.symlink_metadata().is_ok());
        let shown = place.path().join("src/local/work");
        // The daemon itself is asked, and would have to list what it shows.
        let listed = run(std::process::Command::new("find").args([".", "-type", "f"]).current_dir(&shown));
        place.write_all(&["new"]);
        let updated = place.run(&["update", KEY]);
        let unmounted = place.run(&["unmount"]);
        wait_until("the daemon has ended", || daemon.try_wait().unwrap().is_some());
        let mut listed: Vec<&str> = listed.out.lines().collect();
        listed.sort_unstable();
        assert_eq!(listed, ["./a", "./sub/b"], "a repository: {repository}");
        assert_eq!((updated.code, unmounted.code), (0, 0), "{updated:?} {unmounted:?}");
        let all = place.shown();
        assert!(
            all.contains(&"new".to_owned())
                && !all.iter().any(|path| path.starts_with("src/") && path != "src/")
        );
    }
}

#[test]
fn a_directory_in_a_mount_or_in_the_cache_is_refused() {
    let mut place = Place::new();
    place.write_all(&["a"]);
    place.add(&[]);
    place.site.mount();
    let (shown, cache) = (place.site.path(KEY), place.site.program.cache());
    for (path, why) in [
        (place.site.mount_point(), "lies in the mount"),
        (shown, "lies in the mount"),
        (place.site.path("git"), "lies in the mount"),
        (cache.clone(), "lies in the cache"),
        (cache.join("v1"), "lies in the cache"),
    ] {
        let add = ["add", "again", "--path", path.to_str().unwrap()];
        for more in [&[][..], &["--no-check"]] {
            let refused = place.refused(&[&add[..], more].concat());
            assert!(refused.contains(why), "{}: {refused}", path.display());
        }
    }
    // By hand in the configuration: an error at once, and no daemon that waits for itself.
    let config = fs::read_to_string(place.site.program.config()).unwrap();
    let loops = place.site.path("local/loop");
    let line = format!("\n[[resource]]\nname = \"loop\"\npath = \"{}\"\n", loops.display());
    fs::write(place.site.program.config(), config + &line).unwrap();
    wait_until("the daemon has read it", || place.site.sh("ls local").out.contains("loop"));
    assert_ne!(errnos(&loops)[1], 0);
    let explained = place.site.explain(&loops);
    assert!(explained["failure"]["why"].as_str().unwrap().contains("lies in the mount"), "{explained}");
}

#[test]
fn the_cache_is_not_shown_by_a_directory_around_it() {
    for repository in [false, true] {
        let place = Place::new();
        place.write_all(&["a"]);
        let all = place.site.program.path().to_owned();
        if repository {
            place.git_in("..", &["init", "--quiet"]);
        }
        place.json(&["add", "all", "--path", all.to_str().unwrap(), "--no-check"]);
        place.json(&["get", "local/all"]);
        let [generation] = &place.generations()[..] else { panic!() };
        let revision = place.json(&["get", "local/all"])["trees"][0]["tree"]["revision"].clone();
        let git = run(super::harness::repository::hermetic("git").arg("--git-dir").arg(generation).args([
            "ls-tree",
            "-r",
            "--name-only",
            revision.as_str().unwrap(),
        ]));
        assert!(git.out.contains("work/a") && !git.out.contains("cache"), "{git:?}");
    }
}

#[test]
fn other_file_systems_below_it_are_not_entered() {
    if !is_root("mounting a file system") {
        return;
    }
    for repository in [false, true] {
        let place = Place::new();
        place.write_all(&["a", "over/hidden", "new [x]* /y"]);
        if repository {
            place.commit();
        }
        // One over what git tracks, one over what it does not.
        let points = ["over", "untracked", "new [x]* "].map(|name| place.path().join(name));
        points.iter().for_each(|point| fs::create_dir_all(point).unwrap());
        for point in &points {
            let mount = run(std::process::Command::new("mount").args(["-t", "tmpfs", "none"]).arg(point));
            assert_eq!(mount.code, 0, "{mount:?}");
            fs::write(point.join("elsewhere"), "elsewhere").unwrap();
        }
        place.add(&["--no-check"]);
        let run_get = place.run(&["get", KEY]);
        let shown = (run_get.code == 0).then(|| place.shown());
        for point in &points {
            run(std::process::Command::new("umount").arg(point));
        }
        assert_eq!(shown.unwrap_or_else(|| panic!("{run_get:?}")), ["a"], "a repository: {repository}");
    }
}
