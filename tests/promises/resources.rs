//! Named resources that change: another repository, another branch, a default that moves. What a name
//! shows is what the configuration and the repository say now, without anybody clearing anything.

use super::harness::repository::{File, hermetic};
use super::mounted2::{Site, errnos, run, wait_until, xattr};

const BRISK: &str = "quiet = \"100ms\"\nnegative_ttl = \"0s\"\nrefresh = \"never\"";

fn one_file(text: &str) -> Vec<File> {
    vec![File::new("a", text)]
}

/// Has `docs` be the repository `path` of the site's server, with further lines.
fn configure(site: &Site, path: &str, more: &str) {
    let url = site.server().url(&format!("{path}.git"));
    site.configure(&format!("{BRISK}\n[[resource]]\nname = \"docs\"\ngit = \"{url}\"\n{more}\n"));
}

/// What a new process reads there, or nothing.
fn shown(site: &Site) -> String {
    site.sh("cat docs/a").out
}

#[test]
fn a_resource_whose_origin_changed_shows_the_new_one_and_keeps_the_old_mirror() {
    let mut site = Site::new("");
    site.repository_of("team/one", &one_file("one\n"));
    site.repository_of("team/two", &one_file("two\n"));
    configure(&site, "team/one", "");
    site.mount();
    assert_eq!(shown(&site), "one\n");
    let held = std::fs::File::open(site.path("docs/a")).unwrap();

    configure(&site, "team/two", "");
    wait_until("the new repository is shown", || shown(&site) == "two\n");
    assert_eq!(std::io::read_to_string(held).unwrap(), "one\n");

    // An origin that is not there is an error, not what another one had.
    configure(&site, "team/absent", "");
    wait_until("it is known to be missing", || site.sh("ls docs").code != 0);
    assert_eq!(shown(&site), "");
    assert_eq!(site.explain(&site.path("docs"))["failure"]["kind"], "not_found");

    configure(&site, "team/one", "");
    wait_until("the first one is back", || shown(&site) == "one\n");
    for path in ["team/one.git", "team/two.git"] {
        assert_eq!(site.server().counts(path).fetches, 1, "{path} was fetched once");
    }
}

#[test]
fn a_resource_whose_branch_changed_shows_that_branch_without_a_clear() {
    let mut site = Site::new("");
    let mut docs = site.repository_of("team/docs", &one_file("main\n"));
    docs.commit_to("topic", &one_file("topic\n"));
    let commit = docs.commit_to("other", &one_file("tagged\n"));
    docs.tag("v1", &commit);
    configure(&site, "team/docs", "");
    site.mount();
    assert_eq!(shown(&site), "main\n");
    for (reference, text) in [("topic", "topic\n"), ("v1", "tagged\n"), (commit.as_str(), "tagged\n")] {
        configure(&site, "team/docs", &format!("ref = \"{reference}\""));
        wait_until("the new reference is shown", || shown(&site) == text);
    }
    configure(&site, "team/docs", "ref = \"nope\"");
    wait_until("it is known to be missing", || site.sh("ls docs").code != 0);
    assert_eq!(shown(&site), "", "no other branch stands in for it");
    configure(&site, "team/docs", "ref = \"main\"");
    wait_until("main is back", || shown(&site) == "main\n");
    // A verb without a daemon sees the same.
    site.unmount();
    configure(&site, "team/docs", "ref = \"topic\"");
    let got = site.json(&["get", "docs"]);
    let topic = docs.git(&["rev-parse", "topic"]);
    assert_eq!(got["trees"][0]["tree"]["revision"], topic.as_str());
}

/// What the cache would say if upstream had been asked long ago.
fn outdate(site: &Site) {
    let mirror = std::fs::read_dir(site.program.cache().join("v1/mirrors/git")).unwrap().next().unwrap();
    let file = mirror.unwrap().path().join("state.json");
    let mut state: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    state["references"][""]["checked"] = 0.into();
    std::fs::write(&file, state.to_string()).unwrap();
}

#[test]
fn a_default_that_moves_is_refreshed_in_time_and_downloaded_only_if_it_moved() {
    const KEY: &str = "git/forge.test/team/docs";
    let mut site = Site::new("quiet = \"100ms\"\nrefresh = \"1h\"");
    let mut docs = site.repository_of("team/docs", &one_file("one\n"));
    let path = site.forge("team/docs/a");
    let counts = |site: &Site| site.server().counts("team/docs.git");
    site.json(&["get", KEY]);
    docs.commit(&one_file("two\n"));
    // It is not due.
    let before = counts(&site);
    assert_eq!(site.json(&["get", KEY])["trees"][0]["tree"]["fetched"], false);
    site.mount();
    assert_eq!(site.cat(&path), "one\n");
    assert_eq!(counts(&site), before);
    site.unmount();

    // Now it is: the mount answers with what it has, and asks beside that, for one single reader.
    outdate(&site);
    site.mount();
    site.cat(&path);
    wait_until("it is refreshed without a verb", || counts(&site).fetches == 2);
    wait_until("that is seen", || site.cat(&path) == "two\n");
    site.unmount();

    // Asked again, and nothing is new.
    outdate(&site);
    let before = counts(&site);
    site.json(&["get", KEY]);
    assert!(counts(&site).requests > before.requests);
    outdate(&site);
    site.mount();
    let before = counts(&site);
    wait_until("it is asked again", || {
        assert_eq!(site.cat(&path), "two\n");
        counts(&site).requests > before.requests
    });
    assert_eq!(counts(&site).fetches, 2, "nothing was downloaded again");
}

#[test]
fn nothing_of_git_is_visible_in_a_view_and_git_finds_no_repository_there() {
    let site = Site::mounted(BRISK);
    site.repository_of(
        "team/docs",
        &[File::new("a", "one\n"), File::new(".gitignore", "x\n"), File::new("sub/b", "two\n")],
    );
    let listed = site.sh(&format!("cd {}/team/docs && find . | LC_ALL=C sort", super::mounted2::FORGE));
    assert_eq!(listed.out, ".\n./.gitignore\n./a\n./sub\n./sub/b\n");
    for hidden in [
        ".git",
        ".git/HEAD",
        ".git/config",
        "sub/.git",
        "HEAD",
        "config",
        "objects",
        "refs",
        "shallow",
        "pin",
        "tables",
        "state.json",
    ] {
        assert_eq!(errnos(&site.forge(&format!("team/docs/{hidden}"))), [libc::ENOENT; 2], "{hidden}");
    }
    // Nor in what lies around the mount: it ends there.
    let around = run(hermetic("git").args(["init", "-q"]).arg(site.program.path()));
    assert_eq!(around.code, 0, "{around:?}");
    let asked = run(hermetic("git").args(["rev-parse", "--git-dir"]).current_dir(site.forge("team/docs")));
    assert!(asked.code != 0 && asked.err.contains("not a git repository"), "{asked:?}");
}

#[test]
fn every_file_names_its_repository_commit_and_permalink() {
    let site = Site::mounted(BRISK);
    let docs = site.repository_of("team/docs", &[File::new("sub/a b", "one\n"), File::new("c", "two\n")]);
    let commit = docs.git(&["rev-parse", "main"]);
    let url = site.server().url("team/docs.git");
    assert_eq!(site.cat(&site.forge("team/docs/c")), "two\n");
    for path in ["", "/sub", "/sub/a b"] {
        let told = |name: &str| {
            xattr(&site.forge(&format!("team/docs{path}")), &format!("user.srcfs.{name}"))
                .unwrap_or_else(|errno| panic!("{name} of {path:?}: {errno}"))
        };
        assert_eq!((told("url"), told("revision")), (url.clone(), commit.clone()), "{path:?}");
        assert!(told("key").contains("team/docs"), "{path:?}: {}", told("key"));
        let citation = told("citation");
        assert!(citation.contains(&commit) && citation.starts_with(&url), "{path:?}: {citation}");
        assert!(path.is_empty() || citation.contains("sub"), "{path:?}: {citation}");
        if path == "/sub/a b" {
            assert_eq!(told("blob"), docs.git(&["rev-parse", "main:sub/a b"]));
        }
    }
}
