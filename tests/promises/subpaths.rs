//! A named resource may show only some paths of its repository.

use super::harness::repository::File;
use super::mounted2::{Site, errno, errnos};

const BRISK: &str = "quiet = \"100ms\"\nnegative_ttl = \"0s\"";

fn site() -> Site {
    let site = Site::new("");
    site.repository_of(
        "team/docs",
        &[
            File::new("README.md", "readme\n"),
            File::new("guide/intro.md", "intro\n"),
            File::new("guide/deep/more.md", "more\n"),
            File::new("src/main.rs", "fn main() {}\n"),
            File::new("src/lib/x.rs", "x\n"),
        ],
    );
    site
}

fn configure(site: &Site, subpaths: &[&str]) {
    let url = site.server().url("team/docs.git");
    let quoted: Vec<String> = subpaths.iter().map(|path| format!("{path:?}")).collect();
    let subpaths = quoted.join(", ");
    site.configure(&format!(
        "{BRISK}\n[[resource]]\nname = \"docs\"\ngit = \"{url}\"\nsubpaths = [{subpaths}]\n"
    ));
}

/// All files that a new process finds.
fn files(site: &Site) -> String {
    site.sh("cd docs && find . -type f | LC_ALL=C sort | tr '\\n' ' '").out
}

#[test]
fn only_the_subpaths_and_their_parents_are_shown_and_a_changed_list_is_seen() {
    let mut site = site();
    configure(&site, &["guide", "src/lib"]);
    site.mount();
    assert_eq!(files(&site), "./guide/deep/more.md ./guide/intro.md ./src/lib/x.rs ");
    for hidden in ["docs/README.md", "docs/src/main.rs"] {
        assert_eq!(errno(std::fs::metadata(site.path(hidden))), libc::ENOENT);
    }
    let explained = site.explain(&site.path("docs/src/main.rs"));
    assert!(explained["state"].as_str().unwrap().contains("shows only"), "{explained}");
    // Without a name all of it is there.
    assert_eq!(site.cat(&site.forge("team/docs/README.md")), "readme\n");

    configure(&site, &["guide", "src"]);
    site.json(&["status"]);
    super::mounted2::wait_until("the new subpath is seen", || files(&site).contains("./src/main.rs"));
    configure(&site, &["guide/deep"]);
    super::mounted2::wait_until("the old ones are gone", || files(&site) == "./guide/deep/more.md ");
    assert_eq!(site.server().counts("team/docs.git").fetches, 1, "nothing was fetched for that");
}

#[test]
fn a_missing_subpath_is_absent_with_a_hint_and_comes_when_it_is_corrected() {
    let mut site = site();
    configure(&site, &["guid"]);
    site.mount();
    // A program would take ENOENT from a listing for an empty directory.
    let inside = || (errno(std::fs::read(site.path("docs/intro.md"))), errnos(&site.path("docs"))[1]);
    assert_eq!(inside(), (libc::ENOENT, libc::EIO));
    let explained = site.explain(&site.path("docs"));
    assert!(explained["failure"]["hint"].as_str().unwrap().contains("guide"), "{explained}");

    configure(&site, &["tree/main/guide"]);
    super::mounted2::wait_until("the pasted prefix is named", || {
        assert_eq!(inside(), (libc::ENOENT, libc::EIO));
        let explained = site.explain(&site.path("docs"));
        explained["failure"]["hint"].as_str().is_some_and(|hint| hint.contains("the branch \"main\""))
    });

    configure(&site, &["guide"]);
    super::mounted2::wait_until("it is there", || files(&site) == "./guide/deep/more.md ./guide/intro.md ");
    let explained = site.explain(&site.path("docs"));
    assert!(explained["failure"].is_null(), "it works: {explained}");
}
