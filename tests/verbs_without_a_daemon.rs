//! Verbs share the cache and its locks with daemons, nothing else: all of them work without one.
#![allow(clippy::disallowed_methods, reason = "tests start programs of their own")]

mod harness;
#[path = "harness/program.rs"]
mod program;

use harness::repository::{File, Repository};
use program::Program;
use serde_json::Value;

/// A program whose `github.com` is a directory with one repository, `team/docs`.
fn with_repository() -> (Program, Repository, String) {
    let program = Program::new();
    let root = program.path().join("srv");
    program.configure(&format!(
        "# Hosts of this test.\n[[host]]\nname = \"github.com\"\nurl = \"file://{}/{{path}}.git\"\n",
        root.display()
    ));
    let mut repository = Repository::new(root.join("team/docs.git"));
    let first = repository.commit(&files("one"));
    repository.tag("v1", &first);
    (program, repository, first)
}

fn files(version: &str) -> Vec<File> {
    vec![
        File::new("guide/intro.md", format!("guide, {version}\n")),
        File::new("guide/more.md", "more\n"),
        File::new("src/main.rs", "fn main() {}\n"),
    ]
}

fn error(value: &Value) -> (&str, String) {
    (value["error"]["kind"].as_str().unwrap(), value["error"].to_string())
}

#[test]
fn get_materializes_once_and_says_what_is_there() {
    let (program, _repository, first) = with_repository();
    let report = program.json(&["get", "git/github.com/team/docs", "git/github.com/team/docs@v1"]);
    let trees = report["trees"].as_array().unwrap();
    assert_eq!(trees[0]["tree"]["revision"], first.as_str());
    assert_eq!((&trees[0]["tree"]["files"], &trees[0]["tree"]["fetched"]), (&3.into(), &true.into()));
    assert_eq!(trees[1]["tree"]["fetched"], false, "the tag names what is there already");
    let again = program.json(&["get", "git/github.com/team/docs"]);
    assert_eq!(again["trees"][0]["tree"]["fetched"], false);
}

#[test]
fn one_key_that_fails_does_not_stop_the_others() {
    let (program, _repository, _) = with_repository();
    let run = program.run(&["get", "--json", "git/github.com/team/docs@v9", "git/github.com/team/docs"]);
    assert_eq!(run.code, 1, "{run:?}");
    let report = run.json();
    assert_eq!(report["trees"][0]["error"]["kind"], "not_found");
    assert_eq!(report["trees"][1]["tree"]["files"], 3);
    let explained = program.json(&["explain", "git/github.com/team/docs@v9"]);
    assert_eq!(explained["failure"]["kind"], "not_found");
    let status = program.json(&["status"]);
    assert_eq!(status["errors"].as_array().unwrap().len(), 1);
}

#[test]
fn add_checks_then_edits_and_remove_takes_the_mirror_along() {
    let (program, repository, first) = with_repository();
    let (url, before) = (repository.url(), std::fs::read_to_string(program.config()).unwrap());
    for wrong in [
        &["add", "docs", "file:///nonexistent/x.git"][..],
        &["add", "docs", &url, "--ref", "nope"],
        &["add", "docs", &url, "--subpath", "nope"],
        &["add", "docs", &url, "--subpath", "tree/main/guide"],
    ] {
        let run = program.run(wrong);
        assert_eq!(run.code, 1, "{wrong:?}: {run:?}");
        assert_eq!(std::fs::read_to_string(program.config()).unwrap(), before, "{wrong:?}");
    }
    let added =
        program.json(&["add", "docs", &url, "--ref", "main", "--subpath", "guide", "--note", "start there"]);
    assert_eq!(added["revision"], first.as_str());
    let after = std::fs::read_to_string(program.config()).unwrap();
    assert!(after.starts_with(&before), "comments and order stay: {after}");

    assert_eq!(program.json(&["get", "docs"])["trees"][0]["tree"]["files"], 2, "only the subpath counts");
    let listed = program.json(&["list"]);
    let row = &listed["resources"][0];
    assert_eq!(
        (&row["key"], &row["note"], &row["reference"]),
        (&"docs".into(), &"start there".into(), &"main".into())
    );
    let explained = program.json(&["explain", "docs/src/main.rs"]);
    assert!(explained["state"].as_str().unwrap().contains("shows only guide"), "{explained}");

    program.json(&["add", "again", &url]);
    let removed = program.json(&["remove", "docs"]);
    assert_eq!((&removed["kept_for"][0], &removed["cleared"]), (&"again".into(), &Value::Null));
    let removed = program.json(&["remove", "again"]);
    assert_eq!(removed["cleared"]["mirrors"][0]["was_cached"], true);
    assert_eq!(std::fs::read_to_string(program.config()).unwrap().trim_end(), before.trim_end());
    assert_eq!(program.json(&["list"])["resources"], Value::Array(Vec::new()));
}

#[test]
fn a_path_where_nothing_is_mounted_says_what_to_run() {
    let program = Program::new();
    let path = program.path().join("mount/npm/lib/package.json");
    let path = path.to_str().unwrap();
    for verb in ["explain", "cite", "get", "update", "path"] {
        for path in [path, "mount/npm/lib/package.json"] {
            let output =
                program.command(&["--json", verb, path]).current_dir(program.path()).output().unwrap();
            let told = String::from_utf8(output.stdout).unwrap();
            assert!(told.contains("run `srcfs mount`"), "{verb} {path}: {told}");
        }
        let elsewhere = program.run(&["--json", verb, "/nowhere/npm/lib"]);
        assert!(!elsewhere.out.contains("run `srcfs mount`"), "{verb}: {elsewhere:?}");
    }
}

#[test]
fn packages_get_names_as_repositories_do() {
    let program = Program::new();
    for (name, kind, package, reference) in [
        ("ui", "--npm", "react", Some("^18")),
        ("types/node", "--npm", "@types/node", None),
        ("json", "--crates", "serde-json", Some("1.0")),
        ("http", "--pypi", "Requests", Some("~=2.31")),
    ] {
        let mut arguments = vec!["add", name, kind, package, "--no-check"];
        arguments.extend(reference.iter().flat_map(|reference| ["--ref", reference]));
        program.json(&arguments);
    }
    let listed = program.json(&["list"]);
    let row = |index: usize| {
        let row = &listed["resources"][index];
        ["key", "kind", "reference", "path"].map(|key| row[key].as_str().unwrap_or("none").to_owned())
    };
    assert_eq!(row(0), ["ui", "npm", "^18", "npm/react@^18"]);
    assert_eq!(row(1), ["types/node", "npm", "", "npm/@types/node"]);
    assert_eq!(row(2), ["json", "crates", "1.0", "crates/serde-json@1.0"]);
    assert_eq!(row(3), ["http", "pypi", "~=2.31", "pypi/requests@~=2.31"]);
    assert!(program.run(&["list"]).out.contains("types/node  latest"));
    for key in ["ui", "npm/react@^18"] {
        let explained = program.json(&["explain", key]);
        assert_eq!(explained["state"], "it is not cached yet; nothing failed so far", "{key}");
        assert_eq!(program.json(&["clear", key])["mirrors"][0]["was_cached"], false);
    }
    let before = std::fs::read_to_string(program.config()).unwrap();
    for (wrong, told) in [
        (&["--npm", "react@18"][..], "write react, and 18 as ref"),
        (&["--npm", "react", "--ref", "a/b"], "version, range or tag"),
        (&["--crates", "serde", "--ref", "main"], "no such version or range"),
        (&["--npm", "x", "--pypi", "x"], "cannot be used with"),
        (&["--npm", "x", "https://example.org/a"], "cannot be used with"),
        (&["--npm", "x", "--ignore", "*.csv"], "cannot be used with"),
        (&[], "--npm <PKG>"),
    ] {
        let run = program.run(&[&["add", "more"], wrong].concat());
        assert!(run.code == 2 && run.err.contains(told), "{wrong:?}: {run:?}");
    }
    assert_eq!(std::fs::read_to_string(program.config()).unwrap(), before);
    for name in ["ui", "types/node", "json", "http"] {
        program.json(&["remove", name]);
    }
    assert_eq!(program.json(&["list"])["resources"], Value::Array(Vec::new()));
}

#[test]
fn two_spellings_of_one_source_are_one_line_of_the_list() {
    let (program, repository, _) = with_repository();
    program.json(&["get", "git/github.com/team/docs"]);
    let url = repository.url();
    program.json(&["add", "docs", url.strip_suffix(".git").unwrap()]);
    let listed = program.json(&["list"]);
    let keys: Vec<&Value> = listed["resources"].as_array().unwrap().iter().map(|row| &row["key"]).collect();
    assert_eq!(keys, ["docs"], "{listed}");
}

#[test]
fn update_fetches_only_what_moved() {
    let (program, mut repository, first) = with_repository();
    program.json(&["get", "git/github.com/team/docs", "git/github.com/team/docs@v1"]);
    let second = repository.commit(&files("two"));
    let report = program.json(&["update"]);
    let moved: Vec<(&str, bool)> = report["references"]
        .as_array()
        .unwrap()
        .iter()
        .map(|updated| (updated["revision"].as_str().unwrap(), updated["moved"].as_bool().unwrap()))
        .collect();
    assert_eq!(moved, [(second.as_str(), true), (first.as_str(), false)]);
}

#[test]
fn an_upstream_that_is_gone_leaves_what_is_cached() {
    let (program, repository, first) = with_repository();
    program.json(&["get", "git/github.com/team/docs"]);
    std::fs::rename(repository.path(), program.path().join("gone")).unwrap();
    let run = program.run(&["--json", "update"]);
    assert_eq!(run.code, 1);
    let report = run.json();
    assert_eq!(report["references"][0]["revision"], first.as_str());
    assert!(report["references"][0]["error"].is_object(), "{report}");
    assert_eq!(program.json(&["get", "git/github.com/team/docs"])["trees"][0]["tree"]["files"], 3);
}

#[test]
fn offline_gives_what_is_cached_and_asks_nobody() {
    let (program, _repository, _) = with_repository();
    program.json(&["get", "git/github.com/team/docs"]);
    let config = std::fs::read_to_string(program.config()).unwrap();
    program.configure(&format!("offline = true\n{config}"));
    assert_eq!(program.json(&["get", "git/github.com/team/docs"])["trees"][0]["tree"]["files"], 3);
    let run = program.run(&["--json", "get", "git/github.com/team/docs@v1"]);
    assert_eq!((run.code, run.json()["trees"][0]["error"]["kind"].as_str()), (1, Some("offline")));
}

#[test]
fn clear_says_which_other_names_shared_the_mirror() {
    let (program, repository, _) = with_repository();
    program.json(&["add", "docs", &repository.url()]);
    program.json(&["add", "team/other", &repository.url(), "--ref", "v1"]);
    program.json(&["get", "docs", "team/other"]);
    let report = program.json(&["clear", "docs"]);
    let cleared = &report["mirrors"][0];
    assert_eq!((&cleared["keys"][0], &cleared["shared"][0]), (&"docs".into(), &"team/other".into()));
    assert!(cleared["freed"].as_u64().unwrap() > 0 && cleared["held"] == 0, "{report}");
    assert_eq!(program.json(&["clear", "docs"])["mirrors"][0]["was_cached"], false);
    program.json(&["get", "team/other"]);
    assert_eq!(program.json(&["clear", "--all"])["mirrors"].as_array().unwrap().len(), 1);
    assert_eq!(program.json(&["status"])["cache"]["mirrors"], 0);
}

#[test]
fn errors_are_json_too_and_have_their_exit_codes() {
    let (program, ..) = with_repository();
    for (arguments, code, kind) in [
        (&["get"][..], 2, "invalid"),
        (&["nonsense"], 2, "invalid"),
        (&["get", "git/github.com/team"], 2, "invalid"),
        (&["get", "git/github.com/team/../x"], 2, "invalid"),
        (&["get", "nope"], 1, "not_found"),
        (&["remove", "nope"], 1, "not_found"),
        (&["path", "git/github.com/team/docs"], 1, "not_found"),
        (&["add", "git/x", "https://example.org/a"], 2, "invalid"),
        (&["add", "x", "ext::sh -c true"], 2, "invalid"),
    ] {
        let run = program.run(&[&["--json"], arguments].concat());
        assert_eq!((run.code, error(&run.json()).0), (code, kind), "{arguments:?}: {run:?}");
    }
    program.configure("ofline = true\nidle = \"-3s\"\n");
    let run = program.run(&["--json", "list"]);
    let (kind, text) = (error(&run.json()).0.to_owned(), error(&run.json()).1);
    assert_eq!((run.code, kind.as_str()), (3, "config"));
    assert!(text.contains("did you mean offline?") && text.contains("line 2, column 8"), "{text}");
}

#[test]
fn secrets_and_control_characters_reach_no_terminal() {
    let program = Program::new();
    let run = program.run(&["add", "x", "https://user:hunter2@example.org/a"]);
    assert!(!run.err.contains("hunter2") && run.code == 2, "{run:?}");
    let run = program.run(&["get", "a\u{1b}[31m"]);
    assert!(!run.err.contains('\u{1b}'), "{run:?}");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let program = Program::new();
    let mut child =
        program.command(&["doctor", "--json"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let code = child.wait().unwrap().code();
    assert!(matches!(code, Some(0 | 1)), "{code:?}");
}

#[test]
fn verbs_work_without_a_home() {
    let program = Program::new();
    let output = program.command(&["list"]).env_remove("HOME").output().unwrap();
    assert!(output.status.success(), "everything is given");
    let output = program
        .command(&["list"])
        .env_remove("HOME")
        .env_remove("SRCFS_CACHE_DIR")
        .env_remove("XDG_CACHE_HOME")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3));
    assert!(text.contains("--cache-dir"), "{text}");
}
