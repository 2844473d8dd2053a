//! P4 and P8: what fails, is repeated or is malformed leaves nothing in the cache that nobody needs, and
//! costs nothing beside it.

use std::path::{Path, PathBuf};

use crate::harness::git_server::{Fault, Stage};
use crate::harness::repository::hermetic;
use crate::mounted2::{executable, run, wait_until};
use crate::setting::{DOCS, KEY, Setting, few};

fn names(directory: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// Nothing is on its way and no `git` runs.
fn assert_tidy(setting: &Setting, when: &str) {
    assert_eq!(setting.leftovers(), Vec::<PathBuf>::new(), "{when}");
    wait_until("no process of git is left", || setting.gits().is_empty());
}

#[test]
fn a_probe_or_a_fetch_that_fails_leaves_nothing_and_neither_does_repeating_it() {
    let mut setting = Setting::new();
    let mirrors = setting.program.cache().join("v1/mirrors/git");
    for (stage, fault) in [
        (Stage::Any, Fault::Status(401, vec!["WWW-Authenticate: Basic realm=\"x\"".to_owned()])),
        (Stage::Any, Fault::Status(404, Vec::new())),
        (Stage::Any, Fault::Hangup),
        (Stage::Any, Fault::Garbage),
        (Stage::Fetch, Fault::Hangup),
        (Stage::Fetch, Fault::Truncate(900)),
        (Stage::Fetch, Fault::Flip),
        (Stage::Fetch, Fault::Status(500, Vec::new())),
    ] {
        setting.server.fail(DOCS, stage, fault.clone());
        for _ in 0..2 {
            let failed = setting.program.run(&["get", KEY]);
            assert_eq!(failed.code, 1, "{fault:?}: {failed:?}");
            assert_tidy(&setting, &format!("{stage:?} {fault:?}"));
            assert_eq!(names(&mirrors), Vec::<PathBuf>::new(), "{stage:?} {fault:?}");
        }
    }
    setting.server.mend(DOCS);
    let url = setting.server.url(DOCS);
    for wrong in [&["--ref", "nope"][..], &["--subpath", "nope"]] {
        let refused = setting.program.run(&[&["add", "docs", &url], wrong].concat());
        assert_eq!(refused.code, 1, "{refused:?}");
        assert_tidy(&setting, &format!("{wrong:?}"));
    }
    for version in ["two", "three", "four"] {
        setting.program.json(&["get", KEY]);
        setting.program.json(&["get", KEY]);
        setting.docs.commit(&few(version));
        setting.program.json(&["update", KEY]);
        assert_tidy(&setting, version);
        assert_eq!(setting.generations().len(), 1);
    }
}

#[test]
fn clear_all_counts_named_and_anonymous_mirrors_and_frees_them() {
    let setting = Setting::new();
    setting.repository("other", &few("one"));
    let url = setting.server.url("team/other.git");
    let config = std::fs::read_to_string(setting.program.config()).unwrap();
    setting.program.configure(&format!("{config}\n[[resource]]\nname = \"named\"\ngit = \"{url}\"\n"));
    setting.program.json(&["get", "named", KEY]);
    assert_eq!(setting.generations().len(), 2);
    let report = setting.program.json(&["clear", "--all"]);
    let cleared = report["mirrors"].as_array().unwrap();
    let mut keys: Vec<_> = cleared.iter().map(|mirror| mirror["keys"][0].as_str().unwrap()).collect();
    keys.sort_unstable();
    assert_eq!(keys, [KEY, "git/github.com/team/other"], "{report}");
    let other = cleared.iter().find(|mirror| mirror["keys"][0] != KEY).unwrap();
    assert_eq!(other["shared"], serde_json::json!(["named"]), "{report}");
    assert!(cleared.iter().all(|mirror| mirror["freed"].as_u64().unwrap() > 0), "{report}");
    assert_eq!(setting.generations(), Vec::<PathBuf>::new());
    assert_tidy(&setting, "after the clear");
    assert_eq!(setting.program.json(&["clear", "--all"])["mirrors"], serde_json::json!([]));
}

#[test]
fn clear_all_ignores_malformed_names_and_leaves_what_is_beside_untouched() {
    let setting = Setting::new();
    setting.program.json(&["get", KEY]);
    let cache = setting.program.cache();
    let mirrors = cache.join("v1/mirrors");
    let state = std::fs::read(names(&mirrors.join("git"))[0].join("state.json")).unwrap();
    let malformed = [
        ("v1/mirrors/git/empty/note", &b"x"[..]),
        ("v1/mirrors/git/torn/state.json", b"{"),
        ("v1/mirrors/git/copied/state.json", &state),
        ("v1/mirrors/git/copied/inside/note", b"x"),
        ("v1/mirrors/git/..%2F..%2Fx/note", b"x"),
        ("v1/mirrors/git/-rf/note", b"x"),
        ("v1/mirrors/git/file", b"x"),
        ("v1/mirrors/svn/a%2Fb/state.json", &state),
        ("v1/mirrors/note", b"x"),
        ("v2/mirrors/git/later/state.json", b"{}"),
        ("notes", b"x"),
        ("../beside/note", b"x"),
    ]
    .map(|(path, content)| (cache.join(path), content.to_owned()));
    for (path, content) in &malformed {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    std::os::unix::fs::symlink(setting.program.path().join("beside"), mirrors.join("git/link")).unwrap();

    let report = setting.program.json(&["clear", "--all"]);
    assert_eq!(report["mirrors"].as_array().unwrap().len(), 1, "{report}");
    assert_eq!(report["mirrors"][0]["was_cached"], true);
    for (path, content) in &malformed {
        assert_eq!(std::fs::read(path).unwrap(), *content, "{}", path.display());
    }
    assert_tidy(&setting, "after the clear");
    setting.program.json(&["get", KEY]);
}

/// Everything that git and its user see of a repository.
fn seen(repository: &Path) -> String {
    let mut seen = String::new();
    for arguments in [
        &["status", "--porcelain", "--untracked-files=no"][..],
        &["for-each-ref"],
        &["rev-parse", "HEAD"],
        &["reflog"],
        &["stash", "list"],
        &["config", "--local", "--list"],
        &["count-objects", "-v"],
        &["diff"],
        &["diff", "--cached"],
    ] {
        let said = run(hermetic("git").arg("-C").arg(repository).args(arguments));
        assert_eq!(said.code, 0, "{said:?}");
        seen.push_str(&said.out);
    }
    for name in ["FETCH_HEAD", "ORIG_HEAD", "shallow", "objects/info/alternates"] {
        seen.push_str(&format!("{name}: {}\n", repository.join(".git").join(name).exists()));
    }
    seen
}

/// A fetch into a directory that is no repository (any more) must not find the one around it.
#[test]
fn a_users_repository_around_the_cache_is_never_touched_even_if_ours_is_damaged() {
    let mut setting = Setting::new();
    let user = setting.program.path().to_owned();
    let git = |arguments: &[&str]| {
        let done = run(hermetic("git").arg("-C").arg(&user).args(arguments));
        assert_eq!(done.code, 0, "{arguments:?}: {done:?}");
        done.out
    };
    git(&["init", "-q", "-b", "main"]);
    std::fs::write(user.join("work"), "committed\n").unwrap();
    std::fs::write(user.join("staged"), "committed\n").unwrap();
    git(&["add", "work", "staged"]);
    git(&["commit", "-q", "-m", "mine"]);
    std::fs::write(user.join("work"), "not committed\n").unwrap();
    std::fs::write(user.join("staged"), "staged\n").unwrap();
    git(&["add", "staged"]);
    let before = seen(&user);

    // As in a hook of that repository.
    let srcfs = |arguments: &[&str], path: &str| {
        let mut command = setting.program.command(arguments);
        command.current_dir(&user).env("GIT_DIR", user.join(".git")).env("GIT_WORK_TREE", &user);
        command.env("GIT_INDEX_FILE", user.join(".git/index")).env("PATH", path);
        run(&mut command)
    };
    let path = std::env::var("PATH").unwrap();
    for arguments in [&["get", KEY][..], &["update", KEY], &["clear", KEY], &["get", KEY]] {
        assert_eq!(srcfs(arguments, &path).code, 0, "{arguments:?}");
        assert_eq!(seen(&user), before, "{arguments:?}");
    }

    // Ours stops being a repository: what is published, and then what is fetched into, just before.
    let generation = setting.generations().remove(0);
    for name in ["HEAD", "config"] {
        std::fs::remove_file(generation.join(name)).unwrap();
    }
    setting.docs.commit(&few("two"));
    srcfs(&["update", KEY], &path);
    assert_eq!(seen(&user), before);

    let trap = user.join("trap");
    let real = run(std::process::Command::new("sh").args(["-c", "command -v git"])).out;
    let script = "#!/bin/sh\nfor word; do case $word in --git-dir=/dev/null) ;; --git-dir=*) \
                  rm -f \"${word#--git-dir=}/HEAD\" \"${word#--git-dir=}/config\"; \
                  touch \"$0.used\";; esac; done\nexec REAL \"$@\"\n";
    executable(&trap.join("git"), &script.replace("REAL", real.trim()));
    setting.docs.commit(&few("three"));
    let failed = srcfs(&["update", KEY], &format!("{}:{path}", trap.display()));
    assert!(trap.join("git.used").exists(), "{failed:?}");
    assert_eq!(failed.code, 1, "{failed:?}");
    assert_eq!(seen(&user), before);
    assert_eq!(std::fs::read_to_string(user.join("work")).unwrap(), "not committed\n");

    assert_eq!(srcfs(&["update", KEY], &path).code, 0);
    assert_eq!(seen(&user), before);
}
