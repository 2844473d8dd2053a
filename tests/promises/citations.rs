//! A citation names what is shown: the revision that a mount shows there now, a path that exists in it,
//! lines that it has.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::harness::repository::File;
use super::mounted2::{Site, run, wait_until, xattr};
use super::program::Run;

const KEY: &str = "git/github.com/team/docs";
const PAGES: &str = "https://github.com/team/docs";
const SUBMODULE: &str = "1234567890123456789012345678901234567890";

/// A site whose server is github.com, by git's `insteadOf`. Not mounted yet.
pub(super) fn site(settings: &str) -> Site {
    let mut site = Site::new(settings);
    let rewrite = format!("url.{}.insteadOf", site.server().url(""));
    site.set("GIT_CONFIG_COUNT", "1");
    site.set("GIT_CONFIG_KEY_0", &rewrite);
    site.set("GIT_CONFIG_VALUE_0", "https://github.com/");
    site
}

fn files() -> Vec<File> {
    vec![
        File::new("src/lib.rs", "one\ntwo\nthree\nfour\n"),
        File::new("src/a b#%.rs", "one\ntwo"),
        File::new("src/x.rs:2", "its name ends so\n"),
        File::new("README.md", "# Title\n\ntext\n"),
        File::new("empty", ""),
        File::link("link", "src/lib.rs"),
        File::link("source", "src"),
        File::link("out", "../../other"),
        File::submodule("vendor/lib", SUBMODULE),
    ]
}

/// What it says of one path.
fn cite(site: &Site, path: &str) -> Value {
    let (code, report) = site.report(&["cite", path]);
    let item = report["citations"][0].clone();
    assert_eq!((code == 0, &item["asked"]), (item["error"].is_null(), &json!(path)), "{report}");
    item
}

fn in_mount(site: &Site, path: &str) -> String {
    site.path(KEY).join(path).to_str().unwrap().to_owned()
}

/// Runs `srcfs cite` in a directory of the mount.
fn cite_in(site: &Site, directory: &Path, arguments: &[&str]) -> Run {
    run(site.command(&[&["cite"], arguments].concat()).current_dir(directory))
}

#[test]
fn a_place_is_cited_by_its_revision_whether_it_is_named_in_a_mount_or_by_its_key() {
    let mut site = site("");
    let mut docs = site.repository("team/docs");
    let first = docs.commit(&files());
    site.mount();
    let blob = |path: &str| docs.git(&["rev-parse", &format!("{first}:{path}")]);
    for (path, sort, link) in [
        ("src/lib.rs", "file", format!("{PAGES}/blob/{first}/src/lib.rs")),
        ("src", "directory", format!("{PAGES}/tree/{first}/src")),
        ("", "directory", format!("{PAGES}/tree/{first}")),
        ("src/lib.rs:2", "file", format!("{PAGES}/blob/{first}/src/lib.rs#L2")),
        ("src/lib.rs:2-4", "file", format!("{PAGES}/blob/{first}/src/lib.rs#L2-L4")),
        ("src/a b#%.rs:1-2", "file", format!("{PAGES}/blob/{first}/src/a%20b%23%25.rs#L1-L2")),
        ("README.md:3", "file", format!("{PAGES}/blob/{first}/README.md?plain=1#L3")),
        // That file is there, so the number belongs to its name.
        ("src/x.rs:2", "file", format!("{PAGES}/blob/{first}/src/x.rs%3A2")),
        ("src/x.rs:2:1", "file", format!("{PAGES}/blob/{first}/src/x.rs%3A2#L1")),
        ("link", "symlink", format!("{PAGES}/blob/{first}/link")),
        // By where it really is: forges follow no link.
        ("source/lib.rs:1", "file", format!("{PAGES}/blob/{first}/src/lib.rs#L1")),
    ] {
        // First the KEY: the cache is empty, so it is fetched.
        for asked in [format!("{KEY}/{path}"), in_mount(&site, path)] {
            let cited = cite(&site, &asked);
            let told = (&cited["permalink"], &cited["citation"], &cited["type"], &cited["revision"]);
            assert_eq!(told, (&json!(link), &json!(link), &json!(sort), &json!(first)), "{asked}: {cited}");
            let plain = site.run(&["cite", &asked]);
            assert_eq!((plain.out, plain.err), (format!("{link}\n"), String::new()), "{asked}");
            assert_eq!(cited["key"], KEY);
            assert_eq!(cited["url"], format!("{PAGES}.git"));
            if sort != "directory" {
                let own = cited["path"].as_str().unwrap();
                assert_eq!(cited["blob"], blob(own), "{asked}");
            }
        }
    }
    let lines = cite(&site, &in_mount(&site, "src/lib.rs:2-4"));
    assert_eq!((&lines["path"], &lines["lines"]), (&json!("src/lib.rs"), &json!({"first": 2, "last": 4})));
    assert_eq!(site.server().counts("team/docs.git").fetches, 1);
}

#[test]
fn what_is_not_there_is_not_cited_and_does_not_stop_the_others() {
    let mut site = site("");
    site.repository("team/docs").commit(&files());
    site.mount();
    for (path, kind, why) in [
        ("src/lib.rs:5", "invalid", "it has 4 lines"),
        ("src/lib.rs:4-5", "invalid", "it has 4 lines"),
        ("src/a b#%.rs:3", "invalid", "it has 2 lines"),
        ("README.md:99999999999999999999", "invalid", "it has 3 lines"),
        ("empty:1", "invalid", "it is empty"),
        ("src/lib.rs:0", "invalid", "counted from 1"),
        ("src/lib.rs:3-2", "invalid", "before the first"),
        ("src:1", "invalid", "it is a directory"),
        ("vendor/lib:1", "invalid", "it is a directory"),
        ("link:1", "invalid", "src/lib.rs"),
        ("src/none.rs", "not_found", ""),
        ("src/none.rs:1", "not_found", ""),
        ("src/lib.rs:1:5", "not_found", "src/lib.rs:1, if the last number is a column"),
        ("src/lib.rs/x", "not_found", ""),
    ] {
        for asked in [format!("{KEY}/{path}"), in_mount(&site, path)] {
            let error = cite(&site, &asked)["error"].clone();
            assert_eq!(error["kind"], kind, "{asked}: {error}");
            assert!(error.to_string().contains(why), "{asked}: {error}");
        }
    }
    for asked in ["git/github.com/team/none/x", "git/github.com/team/docs@v9/x", "git/github.com", "nobody/x"]
    {
        assert!(cite(&site, asked)["error"]["why"].is_string(), "{asked}");
    }
    for place in [site.program.path().join("config/config.toml"), site.path("git"), site.path("README.md")] {
        let error = cite(&site, place.to_str().unwrap())["error"].clone();
        assert_eq!(error["kind"], "invalid", "{}: {error}", place.display());
    }
    let several = site.run(&["cite", &in_mount(&site, "empty"), &in_mount(&site, "none"), KEY]);
    assert_eq!((several.code, several.out.lines().count()), (1, 2), "{several:?}");
    assert!(several.err.contains("none"), "{several:?}");
}

#[test]
fn in_a_tree_a_path_is_written_from_the_working_directory_on() {
    let mut site = site("");
    let first = site.repository("team/docs").commit(&files());
    site.mount();
    assert_eq!(site.cat(&site.path(KEY).join("empty")), "");
    let inside = site.path(KEY);
    let link = format!("{PAGES}/blob/{first}/src/lib.rs#L2\n");
    for (directory, path) in [
        (inside.clone(), "src/lib.rs:2"),
        (inside.clone(), "./src/lib.rs:2"),
        (inside.join("src"), "lib.rs:2"),
        (inside.join("src"), "../src/lib.rs:2"),
        (inside.join("source"), "lib.rs:2"),
        // A KEY is one everywhere.
        (inside.clone(), "git/github.com/team/docs/src/lib.rs:2"),
        (site.mount_point(), "git/github.com/team/docs/src/lib.rs:2"),
    ] {
        let cited = cite_in(&site, &directory, &[path]);
        assert_eq!(cited.out, link, "{path} in {}: {cited:?}", directory.display());
    }
    let absent = cite_in(&site, &inside, &["src/none.rs"]);
    assert!(absent.code == 1 && absent.err.contains("no such file"), "{absent:?}");
}

#[test]
fn a_shell_that_stays_in_a_tree_cites_what_it_sees_there_and_not_what_is_newer() {
    let mut site = site("quiet = \"100ms\"");
    let mut docs = site.repository("team/docs");
    let first = docs.commit(&files());
    site.mount();
    let place = site.path(KEY).join("src");
    assert_eq!(site.cat(&place.join("a b#%.rs")), "one\ntwo");
    let newest = in_mount(&site, "src/lib.rs:2");
    let script = format!("read line && \"$0\" cite lib.rs:2 && cat lib.rs && \"$0\" cite '{newest}'");
    // With the environment of the program.
    let program = site.command(&[]);
    let environment = program.get_envs().filter_map(|(name, value)| Some((name, value?)));
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(script).arg(program.get_program()).envs(environment).current_dir(&place);
    let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let second = docs.commit(&[File::new("src/lib.rs", "other\nlines\n")]);
    site.json(&["update", KEY]);
    shell.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let told = String::from_utf8(shell.wait_with_output().unwrap().stdout).unwrap();
    let cited = |commit: &str| format!("{PAGES}/blob/{commit}/src/lib.rs#L2\n");
    assert_eq!(told, format!("{}one\ntwo\nthree\nfour\n{}", cited(&first), cited(&second)));
}

#[test]
fn a_mount_is_cited_by_what_it_shows_and_a_key_by_what_is_cached_and_neither_asks_again() {
    let mut site = site("quiet = \"100ms\"\nrefresh = \"never\"");
    let mut docs = site.repository("team/docs");
    let first = docs.commit(&files());
    site.mount();
    let lib = in_mount(&site, "src/lib.rs:1");
    let key = format!("{KEY}/src/lib.rs:1");
    assert_eq!(cite(&site, &lib)["revision"], first, "it is fetched as for any reader");
    let second = docs.commit(&[File::new("src/lib.rs", "other\n")]);
    let requests = site.server().counts("team/docs.git").requests;
    assert_eq!(
        (cite(&site, &lib)["revision"].clone(), cite(&site, &key)["revision"].clone()),
        (json!(first), json!(first))
    );
    assert_eq!(site.server().counts("team/docs.git").requests, requests);
    site.json(&["update", KEY]);
    assert_eq!(
        (cite(&site, &lib)["revision"].clone(), cite(&site, &key)["revision"].clone()),
        (json!(second), json!(second))
    );
    // By its name it is what it was.
    let pinned = cite(&site, &format!("{KEY}@{first}/src/lib.rs:4"));
    assert_eq!(pinned["permalink"], format!("{PAGES}/blob/{first}/src/lib.rs#L4"));
    site.stop_server();
    assert_eq!(cite(&site, &key)["revision"], second);
}

#[test]
fn a_named_resource_is_cited_by_its_repository_and_only_what_it_shows() {
    let mut site = site(&format!(
        "[[resource]]\nname = \"spec\"\ngit = \"{PAGES}.git\"\nref = \"main\"\nsubpaths = [\"src\"]\n"
    ));
    let first = site.repository("team/docs").commit(&files());
    site.mount();
    for asked in ["spec/src/lib.rs:2".to_owned(), site.path("spec/src/lib.rs:2").display().to_string()] {
        let cited = cite(&site, &asked);
        assert_eq!(cited["permalink"], format!("{PAGES}/blob/{first}/src/lib.rs#L2"), "{cited}");
        assert_eq!((&cited["key"], &cited["path"]), (&json!("spec"), &json!("src/lib.rs")));
    }
    for asked in ["spec/empty".to_owned(), site.path("spec/empty").display().to_string()] {
        assert_eq!(cite(&site, &asked)["error"]["kind"], "not_found", "{asked}");
    }
    assert!(cite(&site, "spec/empty")["error"]["why"].as_str().unwrap().contains("shows only src"));
    let told =
        |path: &str, name: &str| xattr(&site.path(&format!("spec/{path}")), &format!("user.srcfs.{name}"));
    assert_eq!(told("src/lib.rs", "key").as_deref(), Ok("spec"));
    assert_eq!(told("src/lib.rs", "citation"), Ok(format!("{PAGES}/blob/{first}/src/lib.rs")));
    assert_eq!(told("src", "citation"), Ok(format!("{PAGES}/tree/{first}/src")));
    assert_eq!(told("", "revision").as_deref(), Ok(first.as_str()));
}

#[test]
fn a_submodule_is_cited_by_its_place_and_says_what_it_is_of() {
    let mut site = site("");
    let mut files = files();
    let url = "https://user:hunter2@example.org/lib";
    files.push(File::new(".gitmodules", format!("[submodule \"l\"]\n\tpath = vendor/lib\n\turl = {url}\n")));
    let first = site.repository("team/docs").commit(&files);
    site.mount();
    for asked in [format!("{KEY}/vendor/lib"), in_mount(&site, "vendor/lib")] {
        let cited = cite(&site, &asked);
        assert_eq!((&cited["type"], &cited["permalink"]), (&json!("submodule"), &Value::Null), "{cited}");
        assert_eq!(cited["citation"], format!("{PAGES}.git@{first}:vendor/lib"));
        let of = json!({"commit": SUBMODULE, "url": "https://***@example.org/lib"});
        assert_eq!((&cited["submodule"], &cited["blob"]), (&of, &Value::Null), "{cited}");
    }
    let citation = xattr(&site.path(KEY).join("vendor/lib"), "user.srcfs.citation");
    assert_eq!(citation, Ok(format!("{PAGES}.git@{first}:vendor/lib")));
}

#[test]
fn a_directory_of_this_machine_is_cited_by_its_path_and_the_id_of_its_tree() {
    let mut site = Site::new("");
    let work = site.program.path().join("work");
    std::fs::create_dir_all(work.join("src")).unwrap();
    std::fs::write(work.join("src/x.rs"), "one\ntwo\n").unwrap();
    std::os::unix::fs::symlink("src", work.join("link")).unwrap();
    site.json(&["add", "work", "--path", work.to_str().unwrap()]);
    site.mount();
    let work = work.canonicalize().unwrap();
    let told = |path: &str, name: &str| {
        let place: PathBuf = site.path("local/work").join(path);
        xattr(&place, &format!("user.srcfs.{name}"))
    };
    assert_eq!(site.cat(&site.path("local/work/src/x.rs")), "one\ntwo\n");
    let tree = told("", "revision").unwrap();
    assert!(tree.len() == 40, "{tree}");
    for asked in
        ["local/work/src/x.rs:2".to_owned(), site.path("local/work/link/x.rs:2").display().to_string()]
    {
        let cited = cite(&site, &asked);
        assert_eq!(cited["citation"], format!("{}@{tree}:src/x.rs:2", work.display()), "{cited}");
        assert_eq!((&cited["kind"], &cited["permalink"]), (&json!("local"), &Value::Null));
        assert_eq!((&cited["key"], &cited["revision"]), (&json!("local/work"), &json!(tree)));
        assert_eq!(cited["blob"], told("src/x.rs", "blob").unwrap());
    }
    assert_eq!(told("src/x.rs", "citation"), Ok(format!("{}@{tree}:src/x.rs", work.display())));
    assert_eq!(told("src", "citation"), Ok(format!("{}@{tree}:src", work.display())));
    assert_eq!(told("src/x.rs", "key").as_deref(), Ok("local/work"));
    assert_eq!(told("src/x.rs", "url"), Ok(format!("file://{}", work.display())));
}

#[test]
fn attributes_stand_on_files_and_directories_and_name_their_own_place() {
    let mut site = site("");
    let mut docs = site.repository("team/docs");
    let first = docs.commit(&files());
    docs.tag("v1", &first);
    site.mount();
    let tagged = format!("{KEY}@v1");
    assert_eq!(site.cat(&site.path(&tagged).join("empty")), "");
    let told = |path: &str, name: &str| xattr(&site.path(&tagged).join(path), &format!("user.srcfs.{name}"));
    for (path, citation) in [
        ("", format!("{PAGES}/tree/{first}")),
        ("src", format!("{PAGES}/tree/{first}/src")),
        ("src/lib.rs", format!("{PAGES}/blob/{first}/src/lib.rs")),
        ("src/a b#%.rs", format!("{PAGES}/blob/{first}/src/a%20b%23%25.rs")),
    ] {
        let all = ["key", "revision", "url", "citation"].map(|name| told(path, name).unwrap());
        assert_eq!(all, [tagged.clone(), first.clone(), format!("{PAGES}.git"), citation], "{path:?}");
        let file = path.starts_with("src/");
        assert_eq!(told(path, "blob").is_ok(), file, "{path:?}");
    }
    // The kernel allows none on a link, so none is listed that could not be read.
    let link = site.path(&tagged).join("link");
    assert_eq!(xattr(&link, "user.srcfs.citation"), Err(libc::ENODATA));
    assert_eq!(super::mounted2::xattrs(&link), Vec::<String>::new());
    let listed = super::mounted2::xattrs(&site.path(&tagged).join("src/lib.rs"));
    assert_eq!(
        listed,
        ["blob", "citation", "key", "revision", "url"].map(|name| format!("user.srcfs.{name}"))
    );
}

#[test]
fn a_daemon_that_hangs_or_is_dead_hangs_no_citation() {
    let mut site = site("");
    site.repository("team/docs").commit(&files());
    site.mount();
    let lib = in_mount(&site, "src/lib.rs:1");
    assert!(cite(&site, &lib)["error"].is_null());
    let daemon = nix::unistd::Pid::from_raw(site.daemon());
    nix::sys::signal::kill(daemon, nix::sys::signal::Signal::SIGSTOP).unwrap();
    let hung = cite(&site, &lib);
    let by_key = cite(&site, &format!("{KEY}/src/lib.rs:1"));
    nix::sys::signal::kill(daemon, nix::sys::signal::Signal::SIGCONT).unwrap();
    assert!(hung["error"]["why"].as_str().unwrap().contains("no answer"), "{hung}");
    assert!(by_key["permalink"].is_string(), "{by_key}");
    nix::sys::signal::kill(daemon, nix::sys::signal::Signal::SIGKILL).unwrap();
    wait_until("the daemon is dead", || !site.is_serving());
    let dead = cite(&site, &lib);
    assert!(dead["error"]["why"].as_str().unwrap().contains("its daemon is dead"), "{dead}");
}

#[test]
fn what_the_configuration_says_of_a_host_counts_at_once() {
    let site = Site::mounted("");
    let first = site.repository("team/docs").commit(&files());
    let url = site.server().url("team/docs.git");
    let lib = site.forge("team/docs/src/lib.rs");
    let lines = format!("{}:2-3", lib.display());
    assert_eq!(cite(&site, &lines)["citation"], format!("{url}@{first}:src/lib.rs:2-3"));
    assert_eq!(cite(&site, &lines)["permalink"], Value::Null);
    assert_eq!(xattr(&lib, "user.srcfs.citation"), Ok(format!("{url}@{first}:src/lib.rs")));
    let template = site.server().url("{path}.git");
    site.configure(&format!("[[host]]\nname = \"pages\"\nurl = \"{template}\"\nforge = \"gitlab\"\n"));
    let page = format!("{}/-/blob/{first}/src/lib.rs", url.strip_suffix(".git").unwrap());
    assert_eq!(cite(&site, &lines)["permalink"], format!("{page}#L2-3"));
    wait_until("the mount says so too", || {
        // Whoever asks for a name has the file read again.
        site.sh("ls git").code == 0 && xattr(&lib, "user.srcfs.citation") == Ok(page.clone())
    });
}

#[test]
fn what_belongs_to_the_mount_and_what_is_shown_under_another_path_is_told_so() {
    let mut site = site("");
    let first = site.repository("team/docs").commit(&files());
    let work = site.program.path().join("work");
    std::fs::create_dir_all(work.join("src")).unwrap();
    std::fs::write(work.join("src/x.rs"), "one\n").unwrap();
    site.json(&["add", "work", "--path", work.to_str().unwrap()]);
    site.mount();
    assert_eq!(site.cat(&site.path(KEY).join("empty")), "");
    for own in ["README.md", ".srcfs", ".srcfs/status.json"] {
        let explained = site.explain(&site.path(own));
        assert!(explained["state"].as_str().unwrap().contains("belongs to the mount itself"), "{explained}");
    }
    let none = site.explain(&site.path(".srcfs/none"));
    assert!(none["failure"].is_object(), "{none}");
    let file = work.canonicalize().unwrap().join("src/x.rs");
    for verb in ["cite", "explain", "get"] {
        let run = site.run(&[verb, file.to_str().unwrap()]);
        let told = run.out.clone() + &run.err;
        assert!(told.contains("write local/work/src/x.rs"), "{verb}: {run:?}");
    }
    // What is removed is a name, and the path of what it shows leads to it.
    let removed = site.run(&["remove", site.path("local/work").to_str().unwrap()]);
    assert!(removed.code == 1 && removed.err.contains("did you mean local/work?"), "{removed:?}");
    // A path over a link of the tree exists as well.
    for (path, state) in [
        ("source/lib.rs", "source/lib.rs exists in this revision, and nothing failed"),
        ("source/none.rs", "source/none.rs does not exist in this revision"),
        ("link", "link exists in this revision, and nothing failed"),
    ] {
        let explained = site.json(&["explain", &format!("{KEY}/{path}")]);
        assert_eq!((&explained["state"], &explained["revision"]), (&json!(state), &json!(first)), "{path}");
    }
}
