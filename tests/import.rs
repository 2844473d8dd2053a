//! `srcfs import` brings over what btca knows: all that can come, nothing half, and a word on the rest.
#![allow(clippy::disallowed_methods, reason = "tests start programs of their own")]

mod harness;
#[path = "harness/program.rs"]
mod program;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::repository::{File, Repository};
use program::{Program, Run};
use serde_json::{Value, json};

const PROJECT: &str = include_str!("import/project.jsonc");
const USER: &str = include_str!("import/user.jsonc");
const EARLY: &str = include_str!("import/early.json");

const OURS: &str = "# Ours.\nrefresh = \"2h\" # seldom\n\n[[resource]]\nname = \"own\" # first\ngit = \"https://git.example.org/own\"\n";

/// The program with a project directory, in which it runs, and a home.
struct Place {
    program: Program,
}

impl Place {
    fn new() -> Place {
        let place = Place { program: Program::new() };
        fs::create_dir_all(place.project()).unwrap();
        fs::create_dir_all(place.home()).unwrap();
        place
    }

    fn project(&self) -> PathBuf {
        self.program.path().join("project")
    }

    fn home(&self) -> PathBuf {
        self.program.path().join("home/.config/btca")
    }

    /// A file `name` of the project.
    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let file = self.project().join(name);
        fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    }

    fn command(&self, here: &Path, arguments: &[&str]) -> Command {
        let mut command = self.program.command(&[&["import"], arguments].concat());
        command.current_dir(here).env("HOME", self.program.path().join("home"));
        command
    }

    fn import(&self, arguments: &[&str]) -> Run {
        let output = self.command(&self.project(), arguments).output().unwrap();
        Run {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn report(&self, code: i32, arguments: &[&str]) -> Value {
        let run = self.import(&[&["--json"], arguments].concat());
        assert_eq!(run.code, code, "{run:?}");
        run.json()
    }

    fn config(&self) -> String {
        fs::read_to_string(self.program.config()).unwrap()
    }
}

/// Name and outcome of each.
fn outcomes(report: &Value) -> Vec<(&str, &str)> {
    let resources = report["resources"].as_array().unwrap();
    resources.iter().map(|one| (one["name"].as_str().unwrap(), one["outcome"].as_str().unwrap())).collect()
}

fn error(one: &Value) -> String {
    let text = |key: &str| one["error"][key].as_str().unwrap_or_default();
    format!("{}: {}; {}", text("what"), text("why"), text("hint"))
}

/// One resource of git as btca writes it.
fn git(name: &str, url: &str, branch: &str) -> Value {
    json!({ "type": "git", "name": name, "url": url, "branch": branch })
}

fn btca(resources: &[Value]) -> String {
    json!({ "resources": resources }).to_string()
}

#[test]
fn branches_search_paths_and_notes_come_along_and_the_rest_of_the_file_stays() {
    let place = Place::new();
    place.program.configure(OURS);
    place.file("btca.config.jsonc", PROJECT);
    let report = place.report(0, &[]);
    let added = [("handbook", "added"), ("engine", "added"), ("ui/kit", "added"), ("router", "added")];
    assert_eq!(outcomes(&report), added);
    assert_eq!(report["resources"][0]["line"], 8);
    assert!(
        report["resources"][0]["remarks"][0].as_str().unwrap().contains("tree/main/api is taken for api")
    );
    let expected = r#"
[[resource]]
name = "handbook"
git = "https://git.example.org/team/handbook"
ref = "main"
subpaths = ["api", "guide"]
note = """
Begin at guide/intro.md.
The api is generated."""

[[resource]]
name = "engine"
git = "https://git.example.org/team/engine.git"
ref = "next/2"

[[resource]]
name = "ui/kit"
npm = "@scope/ui-kit"
ref = "^3.1"

[[resource]]
name = "router"
npm = "router"
"#;
    assert_eq!(place.config(), format!("{OURS}{expected}"));
    let listed = place.program.json(&["list"]);
    assert_eq!(listed["resources"].as_array().unwrap().len(), 5);

    let modified = || fs::metadata(place.program.config()).unwrap().modified().unwrap();
    let before = modified();
    let again = place.report(0, &[]);
    assert!(outcomes(&again).iter().all(|(_, outcome)| *outcome == "present"), "{again}");
    assert_eq!(modified(), before, "there was nothing to write");
}

#[test]
fn the_project_wins_over_the_user_and_is_found_from_below() {
    let place = Place::new();
    let project = place.file("btca.config.jsonc", PROJECT);
    fs::write(place.home().join("btca.config.jsonc"), USER).unwrap();
    fs::write(place.home().join("btca.json"), "not even JSON").unwrap();
    let below = place.project().join("src/deep");
    fs::create_dir_all(&below).unwrap();
    let output = place.command(&below, &["--json"]).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["from"], json!([project, place.home().join("btca.config.jsonc")]));
    assert_eq!(outcomes(&report)[4..], [("engine", "overridden"), ("language", "added")]);
    assert!(output.status.success(), "that one is overridden is as it should be");
    assert!(place.config().contains("ref = \"next/2\""));
    assert!(!place.config().contains("hunter2"));
}

#[test]
fn a_file_of_the_first_format_counts_where_there_is_no_later_one() {
    let place = Place::new();
    fs::write(place.home().join("btca.json"), EARLY).unwrap();
    assert_eq!(outcomes(&place.report(0, &[])), [("language", "added")]);
    let config = place.config();
    for line in ["ref = \"main\"", "subpaths = [\"src\"]", "note = \"The book, not the compiler.\""] {
        assert!(config.contains(line), "{line}: {config}");
    }
}

#[test]
fn without_a_file_it_says_where_it_looked() {
    let place = Place::new();
    let run = place.import(&[]);
    assert_eq!(run.code, 1);
    assert!(run.err.contains("no btca.config.jsonc here") && run.err.contains(".config/btca"), "{run:?}");
    let run = place.import(&["nowhere.jsonc"]);
    assert!(run.code == 1 && run.err.contains("read nowhere.jsonc: it does not exist"), "{run:?}");
}

#[test]
fn what_cannot_come_is_told_each_with_its_reason_and_stops_no_other() {
    let place = Place::new();
    place.program.configure(OURS);
    let here = place.project().to_str().unwrap().to_owned();
    let with = |mut one: Value, key: &str, value: Value| {
        one[key] = value;
        one
    };
    let url = "https://git.example.org/x";
    let local = |path: &str| json!({ "type": "local", "name": format!("at{path}").replace(['/', ':', '\\'], "-"), "path": path });
    let npm = |version: &str| json!({ "type": "npm", "name": version, "package": "x", "version": version });
    let cases = [
        (
            git("own", url, "main"),
            "conflict",
            "with another source and ref; call it otherwise: --rename own=own-btca",
        ),
        (
            git("own/inner", url, "main"),
            "conflict",
            "would be one directory; call it otherwise: --rename own/inner=own-inner",
        ),
        (git("@types/node", url, "main"), "failed", "call it otherwise: --rename @types/node=types/node"),
        (git("npm/x", url, "main"), "failed", "call it otherwise: --rename npm/x=npm-x"),
        (git("a b", url, "main"), "failed", "call it otherwise: --rename NAME=OTHER"),
        (git("\u{1b}[31mred", url, "main"), "failed", "a character other than"),
        (git("up", "https://git.example.org/a/../../b?x", "main"), "failed", "a query"),
        (
            git("inside", "https://192.168.0.7/x", "main"),
            "failed",
            "add a [[host]] with name = \"192.168.0.7\"",
        ),
        (git("plain", "http://git.example.org/x", "main"), "failed", "use https://"),
        (
            git("page", "https://git.example.org/a/b/tree/main/c", "main"),
            "failed",
            "write https://git.example.org/a/b",
        ),
        (git("ext", "ext::sh -c id", "main"), "failed", "option or a helper"),
        (git("branch", url, "--upload-pack=x"), "failed", "it begins with -"),
        (with(git("path", url, "main"), "searchPath", json!("../x")), "failed", "read the subpath"),
        (
            with(git("path2", url, "main"), "searchPath", json!("/tree/dev/x")),
            "failed",
            "leave out \"/tree/dev/\"",
        ),
        (local("/nonexistent"), "failed", "it does not exist"),
        (local("docs"), "failed", "it is not absolute"),
        (local("C:\\docs"), "failed", "it is not absolute"),
        (npm("not/one"), "failed", "npm knows no such version, range or tag"),
        (
            json!({ "type": "npm", "name": "odd", "package": "x", "version": "a b" }),
            "failed",
            "no such version",
        ),
        (json!({ "type": "npm", "name": "odd2", "package": "../x" }), "failed", "npm package name"),
        (json!({ "type": "website", "name": "site", "url": url }), "failed", "no kind of source"),
        (json!({ "type": "git", "name": 7 }), "failed", "name is a number"),
        (json!({ "type": "local", "name": "here", "path": here }), "added", ""),
        (git("last", url, "main"), "added", ""),
        (git("last", url, "dev"), "failed", "stands in line 1 already"),
    ];
    let resources: Vec<Value> = cases.iter().map(|(one, ..)| one.clone()).collect();
    let file = place.file("x.jsonc", btca(&resources));
    let report = place.report(1, &[&file]);
    for ((given, outcome, told), found) in cases.iter().zip(report["resources"].as_array().unwrap()) {
        assert_eq!(found["outcome"], *outcome, "{given}: {found}");
        let said = error(found);
        assert!(said.contains(told), "{given}: {said}");
    }
    let config = place.config();
    assert!(config.starts_with(OURS), "{config}");
    assert_eq!(config.matches("[[resource]]").count(), 3, "{config}");
    assert!(config.contains(&format!("name = \"here\"\npath = \"{here}\"")), "{config}");

    let run = place.import(&[&file]);
    assert!(!run.out.contains('\u{1b}') && run.out.contains("\\u{1b}[31mred"), "{}", run.out);
    assert!(run.out.ends_with(", 2 already there, 2 in conflict, 21 not brought over\n"), "{}", run.out);
    let quiet = place.import(&["--quiet", &file]);
    assert!(
        !quiet.out.contains("already there") && quiet.out.contains("would be one directory"),
        "{}",
        quiet.out
    );
}

#[test]
fn a_note_that_srcfs_does_not_take_stays_behind_alone() {
    let place = Place::new();
    let mut one = git("docs", "https://git.example.org/x", "main");
    one["specialNotes"] = json!("looks\u{202e}odd");
    let report = place.report(1, &[&place.file("x.jsonc", btca(&[one]))]);
    assert_eq!(outcomes(&report), [("docs", "added")]);
    assert!(report["resources"][0]["left_out"][0].as_str().unwrap().contains("U+202E"), "{report}");
    assert!(!place.config().contains("note"));
}

#[test]
fn a_name_can_be_another_one_here() {
    let place = Place::new();
    place.program.configure(OURS);
    let url = "https://git.example.org/x";
    let file = place.file("x.jsonc", btca(&[git("@types/node", url, "main"), git("own", url, "main")]));
    let report = place.report(0, &[&file, "--rename", "@types/node=types/node", "--rename", "own=theirs"]);
    assert_eq!(outcomes(&report), [("types/node", "added"), ("theirs", "added")]);
    let before = place.config();
    for (rename, told) in [
        ("@types/nod=x", "did you mean @types/node?"),
        ("own=git", "git is a name of the mount itself"),
        ("own", "write NAME=OTHER"),
    ] {
        let run = place.import(&[&file, "--rename", rename]);
        assert!(run.code == 2 && run.err.contains(told), "{rename}: {run:?}");
    }
    assert_eq!(place.config(), before);
}

#[test]
fn a_dry_run_changes_nothing() {
    let place = Place::new();
    let file = place.file("x.jsonc", PROJECT);
    let run = place.import(&["--dry-run", &file]);
    assert_eq!(run.code, 0);
    assert!(run.out.contains("would add  ui/kit    pkg:npm/%40scope/ui-kit at ^3.1"), "{}", run.out);
    assert!(run.out.contains("4 would be added to"), "{}", run.out);
    assert!(!place.program.config().exists());
}

#[test]
fn with_check_only_what_exists_is_added() {
    let place = Place::new();
    let mut repository = Repository::new(place.program.path().join("srv/docs.git"));
    let first = repository.commit(&[File::new("guide/intro.md", "x\n"), File::new("src/a", "y\n")]);
    let url = repository.url();
    let paths = |name: &str, path: &str| {
        let mut one = git(name, &url, "main");
        one["searchPath"] = json!(path);
        one
    };
    let resources = [
        git("docs", &url, "main"),
        git("nobranch", &url, "nope"),
        git("norepository", &format!("{url}x"), "main"),
        paths("guide", "guide"),
        paths("nopath", "nope"),
        paths("pasted", "tree/dev/guide"),
    ];
    let file = place.file("x.jsonc", btca(&resources));
    let report = place.report(1, &["--check", &file]);
    let outcomes: Vec<&str> = outcomes(&report).iter().map(|(_, outcome)| *outcome).collect();
    assert_eq!(outcomes, ["added", "failed", "failed", "added", "failed", "failed"], "{report}");
    assert_eq!(report["resources"][0]["revision"], first.as_str());
    assert!(error(&report["resources"][5]).contains("tree/dev/"), "{report}");
    assert_eq!(place.config().matches("[[resource]]").count(), 2);
    // Unseen, all of them come.
    assert_eq!(place.report(0, &[&file])["checked"], false);
    assert_eq!(place.config().matches("[[resource]]").count(), 6);
}

#[test]
fn what_is_no_configuration_of_btca_changes_nothing() {
    let place = Place::new();
    place.program.configure(OURS);
    let huge = format!("{{\"resources\": [], \"x\": \"{}\"}}", "x".repeat(1024 * 1024));
    let marks = format!("<<<<<<< mine\n{PROJECT}");
    let deep = "[".repeat(500_000);
    for (text, code, told) in [
        (huge.as_bytes(), 1, "larger than 1 MiB"),
        (marks.as_bytes(), 2, "end the merge"),
        (deep.as_bytes(), 2, "depth exceeded"),
        (b"\xff\xfe{\x00}\x00", 2, "not UTF-8"),
        (b"", 2, "no object"),
        (b"{\"resources\": \"hunter2\"}", 2, "a text, not a list"),
        (b"{\"resources\": [\"hunter2\",, ]}", 2, "no JSON"),
        (b"[[resource]]\nname = \"x\"", 2, "no JSON"),
    ] {
        let file = place.file("x.jsonc", text);
        let good = place.file("good.jsonc", PROJECT);
        let run = place.import(&[&good, &file]);
        assert!(run.code == code && run.err.contains(told) && run.err.contains(&file), "{told}: {run:?}");
        assert!(!run.err.contains("hunter2"), "{run:?}");
        assert_eq!(place.config(), OURS, "{told}");
    }
    let run = place.import(&[place.project().to_str().unwrap()]);
    assert!(run.code == 1 && run.err.contains("directory"), "{run:?}");
    place.program.configure("ofline = true\n");
    let run = place.import(&[&place.file("good.jsonc", PROJECT)]);
    assert_eq!((run.code, place.config().as_str()), (3, "ofline = true\n"), "{run:?}");
}

#[test]
fn a_megabyte_where_a_name_was_expected_is_not_repeated() {
    let place = Place::new();
    let long = "x".repeat(100_000);
    let npm = json!({ "type": "npm", "name": "p", "package": long });
    let file = place.file(
        "x.jsonc",
        btca(&[git(&long, &long, "main"), git("g", &format!("https://h/{long}"), &long), npm]),
    );
    let report = place.report(1, &[&file]);
    assert_eq!(outcomes(&report).len(), 3);
    assert!(report.to_string().len() < 10_000, "{} bytes", report.to_string().len());
}

#[test]
fn no_credential_is_shown_or_kept() {
    let place = Place::new();
    let urls = [
        "https://user:hunter2@git.example.org/x",
        "https:user:hunter2@git.example.org/x",
        "https:////user:hunter2@git.example.org/x",
        "https://hunter2@git.example.org/x",
        "ssh://git:hunter2@git.example.org/x",
        "user:hunter2@git.example.org/x",
        "hunter2@git.example.org/x",
        "https://git.example.org/x?access_token=hunter2",
        "https://user:hunter2@git.example.org/x\u{200b}",
    ];
    let mut resources: Vec<Value> =
        urls.iter().enumerate().map(|(index, url)| git(&format!("n{index}"), url, "main")).collect();
    resources.push(git("https://user:hunter2@git.example.org/x", "https://git.example.org/x", "main"));
    let long = format!("https://user:{}hunter2@git.example.org/x", "x".repeat(110));
    resources.push(git(&long, "https://git.example.org/x", "main"));
    resources.push(git("b", "https://git.example.org/x", "https://user:hunter2@git.example.org"));
    let path = json!("https://user:hunter2@git.example.org/x/tree/main/docs");
    let mut one = git("p", "https://git.example.org/x", "main");
    one["searchPath"] = path.clone();
    resources.push(one);
    resources.push(json!({ "type": "npm", "name": "k", "package": path }));
    resources.push(json!({ "type": path, "name": "t" }));
    resources.push(json!({ "type": "local", "name": "l", "path": path }));
    let file = place.file("x.jsonc", btca(&resources));
    for arguments in [&["--json", &file][..], &[&file], &["--dry-run", "-vvv", &file]] {
        let run = place.import(arguments);
        assert_eq!(run.code, 1, "{run:?}");
        for text in [&run.out, &run.err] {
            assert!(!text.contains("hunter2"), "{arguments:?}: {text}");
        }
    }
    let kept = fs::read_to_string(place.program.config()).unwrap_or_default();
    assert!(!kept.contains("hunter2"), "{kept}");
}

#[test]
fn many_imports_at_once_add_each_resource_once() {
    let place = Place::new();
    place.program.configure(OURS);
    place.file("btca.config.jsonc", PROJECT);
    let running: Vec<_> =
        (0..6).map(|_| place.command(&place.project(), &["--quiet"]).spawn().unwrap()).collect();
    for mut one in running {
        assert!(one.wait().unwrap().success());
    }
    assert_eq!(place.config().matches("[[resource]]").count(), 5);
}
