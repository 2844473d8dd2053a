//! P16: nothing that a directory holds is run, whoever made it.

use std::fs;
use std::path::Path;

use super::mounted2::executable;
use super::place::Place;

/// A program that leaves a mark when it is run.
fn marking(path: &Path, mark: &Path) {
    executable(path, &format!("#!/bin/sh\necho \"$0 $*\" >> '{}'\ncat\n", mark.display()));
}

#[test]
fn no_hook_monitor_filter_alias_or_helper_of_a_repository_is_run() {
    let place = Place::new();
    let mark = place.site.program.path().join("mark");
    let trap = place.path().join("trap");
    marking(&trap, &mark);
    place.write(".gitattributes", "* filter=evil diff=evil\n");
    place.write_all(&["a", "sub/b"]);
    place.git(&["init", "--quiet"]);
    place.git(&["add", "--all"]);
    place.git(&["commit", "--quiet", "-m", "all"]);
    // Rules that are only in the index, of an object that is nowhere: git would fetch it.
    let missing = "1234567890123456789012345678901234567890";
    place.git(&["update-index", "--add", "--cacheinfo", &format!("100644,{missing},lost/.gitignore")]);
    place.git(&["update-index", "--skip-worktree", "lost/.gitignore"]);
    let trap = trap.display();
    for (name, value) in [
        ("core.fsmonitor", format!("{trap}")),
        ("core.fsmonitorHookVersion", "2".to_owned()),
        ("core.untrackedCache", "true".to_owned()),
        ("core.pager", format!("{trap}")),
        ("pager.ls-files", format!("{trap}")),
        ("core.sshCommand", format!("{trap}")),
        ("core.gitProxy", format!("{trap}")),
        ("core.askPass", format!("{trap}")),
        ("core.alternateRefsCommand", format!("{trap}")),
        ("alias.ls-files", format!("!{trap}")),
        ("alias.check-ignore", format!("!{trap}")),
        ("filter.evil.clean", format!("{trap}")),
        ("filter.evil.smudge", format!("{trap}")),
        ("filter.evil.process", format!("{trap}")),
        ("filter.evil.required", "true".to_owned()),
        ("diff.evil.textconv", format!("{trap}")),
        ("remote.origin.url", format!("ext::{trap}")),
        ("remote.origin.uploadpack", format!("{trap}")),
        ("remote.origin.promisor", "true".to_owned()),
        ("remote.origin.partialclonefilter", "blob:none".to_owned()),
        ("extensions.partialClone", "origin".to_owned()),
        ("protocol.ext.allow", "always".to_owned()),
        ("protocol.allow", "always".to_owned()),
    ] {
        place.git(&["config", name, &value]);
    }
    for hook in ["fsmonitor-watchman", "post-index-change", "pre-auto-gc", "post-checkout"] {
        marking(&place.path().join(".git/hooks").join(hook), &mark);
    }
    place.write_all(&["lost/c"]);
    let _ = fs::remove_file(&mark);
    place.add(&[]);
    place.write_all(&["new"]);
    assert_eq!(place.shown(), [".gitattributes", "a", "lost/c", "new", "sub/b", "trap"]);
    // The same below a plain directory, and with a directory of it.
    let sub = place.path().join("sub");
    place.json(&["add", "sub", "--path", sub.to_str().unwrap()]);
    assert_eq!(place.json(&["get", "local/sub"])["trees"][0]["tree"]["files"], 1);
    assert!(!mark.exists(), "{}", fs::read_to_string(&mark).unwrap());
}

#[test]
fn nothing_in_the_directory_is_written() {
    let place = Place::new();
    place.write_all(&["a", "b"]);
    place.commit();
    // The index is out of date now, and any other git would refresh it.
    place.write_all(&["a"]);
    let all = || {
        let find = super::mounted2::run(
            std::process::Command::new("find").arg(place.path()).args(["-printf", "%p %s %m %T@ %C@\n"]),
        );
        let mut lines: Vec<String> = find.out.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let before = all();
    place.add(&[]);
    place.update();
    assert_eq!(all(), before);
}
