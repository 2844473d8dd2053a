//! A git source resolves what a user names, and brings exactly that into a workplace: whole, in
//! packs, from a server that counts (P1, P14, P16), and nothing of it is run.
#![allow(clippy::disallowed_methods, reason = "tests start programs of their own")]

mod harness;

use harness::git_server::{Fault, GitServer, Stage};
use harness::git_source::{Place, key, options, plain, resolve};
use harness::repository::{EPOCH, File, Repository, many_files};
use srcfs::error::Kind;
use srcfs::key::Reference;
use srcfs::source::git::{Git, GitOptions};
use srcfs::source::{Progress, Resolved, Revision, Source};

use std::time::{Duration, SystemTime};

/// A server with one repository, `a.git`.
struct Served {
    root: tempfile::TempDir,
    server: GitServer,
    repository: Repository,
    url: String,
}

fn served() -> Served {
    let root = tempfile::tempdir().unwrap();
    let repository = Repository::new(root.path().join("a.git"));
    let server = GitServer::start(root.path());
    let url = server.url("a.git");
    Served { root, server, repository, url }
}

fn pinned(commit: &str) -> Resolved {
    Resolved { revision: Revision::new(commit), full_name: None, moving: false }
}

fn kind<T: std::fmt::Debug>(result: srcfs::error::Result<T>) -> Kind {
    result.unwrap_err().kind()
}

#[test]
fn the_default_is_the_branch_that_the_remotes_head_names() {
    let mut it = served();
    it.repository.commit(&[File::new("a", "1")]);
    let other = it.repository.commit_to("trunk", &[File::new("a", "2")]);
    it.repository.head("trunk");
    let resolved = resolve(&plain(), &it.url, "").unwrap();
    assert_eq!(resolved.revision.as_str(), other);
    assert_eq!(resolved.full_name.as_deref(), Some("refs/heads/trunk"));
    assert!(resolved.moving);
}

#[test]
fn a_detached_head_is_a_default_too() {
    let mut it = served();
    let first = it.repository.commit(&[File::new("a", "1")]);
    it.repository.commit(&[File::new("a", "2")]);
    it.repository.head(&first);
    let resolved = resolve(&plain(), &it.url, "").unwrap();
    assert_eq!(resolved.revision.as_str(), first);
    let place = Place::empty();
    assert_eq!(place.prepare(&plain(), &it.url, &resolved).unwrap().revision.as_str(), first);
}

#[test]
fn an_empty_repository_and_an_unborn_head_have_no_default() {
    let mut it = served();
    assert_eq!(kind(resolve(&plain(), &it.url, "")), Kind::NotFound);
    let commit = it.repository.commit(&[File::new("a", "1")]);
    it.repository.head("unborn");
    let error = resolve(&plain(), &it.url, "").unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(error.advice().unwrap().contains("name a branch"), "{error}");
    assert_eq!(resolve(&plain(), &it.url, "main").unwrap().revision.as_str(), commit);
}

#[test]
fn branches_and_tags_are_found_by_name_and_annotated_tags_are_peeled() {
    let mut it = served();
    let first = it.repository.commit(&[File::new("a", "1")]);
    let second = it.repository.commit(&[File::new("a", "2")]);
    it.repository.tag("light", &first);
    it.repository.annotated_tag("v1.0", &first);
    it.repository.branch("feature/x", &second);
    it.repository.branch("decoy/refs/heads/light", &second);
    for (reference, expected, full_name) in [
        ("light", &first, "refs/tags/light"),
        ("v1.0", &first, "refs/tags/v1.0"),
        ("tags/v1.0", &first, "refs/tags/v1.0"),
        ("feature/x", &second, "refs/heads/feature/x"),
        ("heads/main", &second, "refs/heads/main"),
    ] {
        let resolved = resolve(&plain(), &it.url, reference).unwrap();
        assert_eq!(resolved.revision.as_str(), expected, "{reference}");
        assert_eq!(resolved.full_name.as_deref(), Some(full_name));
        let place = Place::empty();
        assert_eq!(place.prepare(&plain(), &it.url, &resolved).unwrap().revision.as_str(), expected);
        assert_eq!(place.git(&["rev-parse", &format!("refs/srcfs/{expected}")]), *expected);
    }
    for missing in ["nope", "tags/main", "heads/light", "HEAD"] {
        assert_eq!(kind(resolve(&plain(), &it.url, missing)), Kind::NotFound, "{missing}");
    }
}

#[test]
fn a_branch_and_a_tag_of_one_name_are_an_error_that_names_both_spellings() {
    let mut it = served();
    let commit = it.repository.commit(&[File::new("a", "1")]);
    it.repository.branch("x", &commit);
    it.repository.tag("x", &commit);
    let error = resolve(&plain(), &it.url, "x").unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    let advice = error.advice().unwrap();
    for spelling in ["tags%2Fx", "heads%2Fx"] {
        assert!(advice.contains(&format!("@{spelling}")), "{error}");
        let reference = Reference::parse_path(spelling).unwrap();
        let resolved = plain().resolve(&key(&it.url), &reference, &[], &Progress::default()).unwrap();
        assert_eq!(resolved.revision.as_str(), commit);
    }
}

#[test]
fn an_abbreviated_id_is_looked_for_among_tips_and_cached_commits() {
    let mut it = served();
    let old = it.repository.commit(&[File::new("a", "1")]);
    let tip = it.repository.commit(&[File::new("a", "2")]);
    let ask = |text: &str, known: &[Revision]| {
        let reference = Reference::parse(text).unwrap();
        plain().resolve(&key(&it.url), &reference, known, &Progress::default())
    };
    assert_eq!(ask(&tip[..8], &[]).unwrap().revision.as_str(), tip);
    assert_eq!(ask(&old[..8], &[Revision::new(&old)]).unwrap().revision.as_str(), old);
    let error = ask(&old[..8], &[]).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(error.advice().unwrap().contains("full commit id"), "{error}");
}

#[test]
fn a_full_id_asks_nobody() {
    let it = served();
    let id = "A".repeat(40);
    let resolved = resolve(&plain(), &it.url, &id).unwrap();
    assert_eq!((resolved.revision.as_str(), resolved.moving), (id.to_lowercase().as_str(), false));
    assert_eq!(it.server.counts("a.git").requests, 0);
}

#[test]
fn a_commit_comes_whole_in_one_pack_with_one_fetch() {
    let mut it = served();
    let mut files = many_files(2000, "one");
    files.push(File::executable("run", "#!/bin/sh\n"));
    files.push(File::link("link", "run"));
    let commit = it.repository.commit(&files);
    let place = Place::empty();
    let progress = Progress::default();
    let resolved = resolve(&plain(), &it.url, "main").unwrap();
    let prepared = place.prepare_with(&plain(), &it.url, &resolved, None, &progress).unwrap();

    assert_eq!(prepared.revision.as_str(), commit);
    assert_eq!(prepared.tree, it.repository.git(&["rev-parse", "main^{tree}"]));
    assert_eq!(prepared.modified, SystemTime::UNIX_EPOCH + Duration::from_secs(EPOCH + 60));
    assert!(prepared.transferred > 10_000, "{prepared:?}");
    assert_eq!(progress.bytes(), prepared.transferred);
    let (objects, total) = progress.objects();
    assert!(objects == total && total > 2000, "{progress:?}");
    assert_eq!(it.server.counts("a.git").fetches, 1);

    assert_eq!(place.git(&["ls-tree", "-r", "--name-only", &commit]).lines().count(), 2002);
    place.git(&["fsck", "--full", "--strict", "--no-dangling"]);
    let counts = place.git(&["count-objects", "-v"]);
    assert!(counts.contains("count: 0\n") && counts.contains("packs: 1\n"), "{counts}");
    let mut names: Vec<_> = std::fs::read_dir(place.path().join("objects/pack"))
        .unwrap()
        .map(|entry| entry.unwrap().path().extension().unwrap().to_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["idx", "pack"]);
    assert!(!place.path().join("hooks").exists());
}

#[test]
fn only_what_is_new_travels_when_objects_can_be_borrowed() {
    let mut it = served();
    let mut files = many_files(2000, "one");
    it.repository.commit(&files);
    let first = Place::empty();
    let whole = first.prepare(&plain(), &it.url, &resolve(&plain(), &it.url, "").unwrap()).unwrap();

    files[0] = File::new("d000/f00000.txt", "changed\n");
    let commit = it.repository.commit(&files);
    let second = Place::empty();
    let resolved = resolve(&plain(), &it.url, "").unwrap();
    let prepared =
        second.prepare_with(&plain(), &it.url, &resolved, Some(&first.path()), &Progress::default()).unwrap();

    assert_eq!(prepared.revision.as_str(), commit);
    assert!(prepared.transferred * 20 <= whole.transferred, "{prepared:?} after {whole:?}");
    let counts = second.git(&["count-objects", "-v"]);
    assert!(counts.contains("count: 0\n") && counts.contains("packs: 1\n"), "{counts}");
    // Commit, two trees, a blob, and what they are deltas of.
    let objects = counts.lines().find_map(|line| line.strip_prefix("in-pack: ")).unwrap();
    assert!(objects.parse::<u32>().unwrap() <= 8, "{counts}");
    second.git(&["fsck", "--full", "--strict", "--no-dangling"]);
    assert_eq!(second.git(&["show", &format!("{commit}:d000/f00000.txt")]), "changed");
    let borders = std::fs::read_to_string(second.path().join("shallow")).unwrap();
    assert!(borders.contains(whole.revision.as_str()) && borders.contains(&commit), "{borders}");
}

#[test]
fn what_is_borrowed_already_is_prepared_too() {
    let mut it = served();
    it.repository.commit(&[File::new("a", "1")]);
    let resolved = resolve(&plain(), &it.url, "").unwrap();
    let (first, second) = (Place::empty(), Place::empty());
    let one = first.prepare(&plain(), &it.url, &resolved).unwrap();
    let two =
        second.prepare_with(&plain(), &it.url, &resolved, Some(&first.path()), &Progress::default()).unwrap();
    assert_eq!(one.tree, two.tree);
    second.git(&["fsck", "--full", "--no-dangling"]);
}

#[test]
fn a_commit_in_the_middle_of_history_is_fetched_by_its_id() {
    let mut it = served();
    it.repository.commit(&[File::new("a", "1")]);
    let middle = it.repository.commit(&[File::new("a", "2")]);
    it.repository.commit(&[File::new("a", "3")]);
    let place = Place::empty();
    place.prepare(&plain(), &it.url, &pinned(&middle)).unwrap();
    assert_eq!(place.git(&["show", &format!("{middle}:a")]), "2");
    assert_eq!(place.git(&["rev-list", "--count", &middle]), "1", "its history did not come");
}

#[test]
fn an_id_that_is_no_commit_of_the_repository_is_not_found() {
    let mut it = served();
    let commit = it.repository.commit(&[File::new("a", "1")]);
    let tag = it.repository.annotated_tag("v1", &commit);
    let tree = it.repository.git(&["rev-parse", "main^{tree}"]);
    let blob = it.repository.git(&["rev-parse", "main:a"]);
    for id in ["1".repeat(40), tree, blob] {
        let error = Place::empty().prepare(&plain(), &it.url, &pinned(&id)).unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound, "{error}");
    }
    let error = Place::empty().prepare(&plain(), &it.url, &pinned(&tag)).unwrap_err();
    assert!(error.kind() == Kind::NotFound && error.advice().unwrap().contains(&commit), "{error}");
}

#[test]
fn a_tag_of_something_else_than_a_commit_is_not_found() {
    let mut it = served();
    it.repository.commit(&[File::new("a", "1")]);
    let tree = it.repository.git(&["rev-parse", "main^{tree}"]);
    it.repository.annotated_tag("tree", &tree);
    let resolved = resolve(&plain(), &it.url, "tree").unwrap();
    let error = Place::empty().prepare(&plain(), &it.url, &resolved).unwrap_err();
    assert!(error.kind() == Kind::NotFound && error.why().contains("tree"), "{error}");
}

#[test]
fn a_server_that_hands_out_no_ids_is_asked_for_the_name() {
    let mut it = served();
    let commit = it.repository.commit(&[File::new("a", "1")]);
    it.repository.annotated_tag("v1", &commit);
    it.server.fail("a.git", Stage::Any, Fault::OldProtocol);
    let resolved = resolve(&plain(), &it.url, "v1").unwrap();
    it.repository.commit(&[File::new("a", "2")]);
    let place = Place::empty();
    place.prepare(&plain(), &it.url, &resolved).unwrap();
    assert_eq!(place.git(&["rev-parse", &format!("refs/srcfs/{commit}")]), commit);
    place.git(&["fsck", "--full", "--no-dangling"]);
    // Without a name there is nothing to ask for.
    let error = Place::empty().prepare(&plain(), &it.url, &pinned(&commit)).unwrap_err();
    assert!(error.kind() == Kind::NotFound && error.advice().is_some(), "{error}");
}

#[test]
fn a_reference_that_moved_in_between_is_stale() {
    for fault in [None, Some(Fault::OldProtocol)] {
        let mut it = served();
        it.repository.commit(&[File::new("a", "1")]);
        let resolved = resolve(&plain(), &it.url, "main").unwrap();
        it.repository.force_push("main", &[File::new("a", "2")]);
        it.repository.prune();
        if let Some(fault) = fault {
            it.server.fail("a.git", Stage::Any, fault);
        }
        let error = Place::empty().prepare(&plain(), &it.url, &resolved).unwrap_err();
        assert_eq!(error.kind(), Kind::Stale, "{error}");
        it.repository.delete_branch("main");
        let error = Place::empty().prepare(&plain(), &it.url, &resolved).unwrap_err();
        assert_eq!(error.kind(), Kind::Stale, "{error}");
    }
}

#[test]
fn offline_starts_no_process() {
    let options = GitOptions { offline: true, program: "/nonexistent/git".into(), ..options(&[]) };
    let source = Git::new(options);
    let url = "https://example.org/a";
    assert_eq!(kind(resolve(&source, url, "")), Kind::Offline);
    assert_eq!(kind(Place::empty().prepare(&source, url, &pinned(&"1".repeat(40)))), Kind::Offline);
}

#[test]
fn an_insteadof_of_the_user_may_lead_to_the_local_disk() {
    let root = tempfile::tempdir().unwrap();
    let mut repository = Repository::new(root.path().join("team/a.git"));
    let commit = repository.commit(&[File::new("a", "1")]);
    let rewrite = format!("url.file://{}/.insteadOf", root.path().display());
    let source = Git::new(options(&[(&rewrite, "https://example.org/")]));
    let url = "https://example.org/team/a.git";
    let resolved = resolve(&source, url, "").unwrap();
    assert_eq!(resolved.revision.as_str(), commit);
    let place = Place::empty();
    place.prepare(&source, url, &resolved).unwrap();
    assert_eq!(place.git(&["show", &format!("{commit}:a")]), "1");
    assert_eq!(kind(resolve(&source, "https://example.org/team/b.git", "")), Kind::NotFound);
}

#[test]
fn nothing_of_a_source_is_run_or_followed() {
    let mut it = served();
    let evil = it.server.url("evil.git");
    let commit = it.repository.commit(&[
        File::new(
            ".gitmodules",
            format!("[submodule \"s\"]\n\tpath = s\n\turl = {evil}\n\tupdate = !touch x\n"),
        ),
        File::submodule("s", &"1".repeat(40)),
        File::new(".gitattributes", "* filter=evil diff=evil\n"),
        File::new("a", "1"),
    ]);
    let mark = it.root.path().join("ran");
    let run = format!("touch {}", mark.display());
    let hooks = it.root.path().join("hooks");
    std::fs::create_dir(&hooks).unwrap();
    for hook in ["reference-transaction", "post-checkout", "post-index-change", "fsmonitor-watchman"] {
        let path = hooks.join(hook);
        std::fs::write(&path, format!("#!/bin/sh\n{run}\n")).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    it.server.fail("a.git", Stage::Any, Fault::BundleUri(it.server.url("bundle")));
    // Even a user whose configuration asks for it.
    let source = Git::new(options(&[
        ("core.hooksPath", hooks.to_str().unwrap()),
        ("core.fsmonitor", hooks.join("fsmonitor-watchman").to_str().unwrap()),
        ("filter.evil.smudge", &run),
        ("filter.evil.process", &run),
        ("filter.evil.required", "true"),
        ("fetch.recurseSubmodules", "true"),
        ("submodule.recurse", "true"),
        ("transfer.bundleURI", "true"),
        ("fetch.fsckObjects", "false"),
    ]));
    let place = Place::empty();
    place.prepare(&source, &it.url, &pinned(&commit)).unwrap();
    assert!(!mark.exists(), "something was run");
    assert_eq!(it.server.counts("evil.git").requests, 0);
    assert_eq!(it.server.counts("bundle").requests, 0);
}

#[test]
fn a_helper_transport_is_refused_even_if_the_user_rewrites_to_it() {
    let root = tempfile::tempdir().unwrap();
    let mark = root.path().join("ran");
    let rewrite = format!("url.ext::touch% {} %20.insteadOf", mark.display());
    let source = Git::new(options(&[(&rewrite, "https://example.org/"), ("protocol.ext.allow", "always")]));
    assert_eq!(kind(resolve(&source, "https://example.org/a", "")), Kind::Invalid);
    assert!(!mark.exists());
}
