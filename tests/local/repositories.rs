//! What is listed of a work tree of git: what git lists.

use std::fs;

use super::place::{Place, give_to_somebody_else};

#[test]
fn it_is_what_git_tracks_and_what_it_neither_tracks_nor_ignores() {
    let place = Place::new();
    place.write(".gitignore", "*.log\n/secret\n");
    place.write("sub/.gitignore", "deep\n");
    place.write_all(&["tracked", "node_modules/kept.js", "gone", "sub/a", "forced.log"]);
    place.commit();
    place.git(&["add", "--force", "forced.log"]);
    place.write_all(&["new", "x.log", "secret", "sub/deep/x", "sub/new"]);
    fs::remove_file(place.path().join("gone")).unwrap();
    place.write(".git/info/exclude", "excluded\n");
    place.write_all(&["excluded"]);
    place.add(&[]);
    assert_eq!(
        place.shown(),
        [
            ".gitignore",
            "forced.log",
            "new",
            "node_modules/kept.js",
            "sub/.gitignore",
            "sub/a",
            "sub/new",
            "tracked"
        ]
    );
    // What lies there, not what was committed.
    place.write("tracked", "changed");
    place.update();
    assert_eq!(place.content("tracked"), "changed");
}

#[test]
fn the_users_own_ignore_file_counts() {
    let mut place = Place::new();
    let global = place.site.program.path().join("gitconfig");
    let ignored = place.site.program.path().join("ignored");
    fs::write(&ignored, "*.swp\n").unwrap();
    fs::write(&global, format!("[core]\n\texcludesFile = {}\n", ignored.display())).unwrap();
    place.site.set("GIT_CONFIG_GLOBAL", global.to_str().unwrap());
    place.write_all(&["a", ".a.swp"]);
    place.git(&["init", "--quiet"]);
    place.add(&[]);
    assert_eq!(place.shown(), ["a"]);
}

#[test]
fn a_repository_without_commits_is_one() {
    let place = Place::new();
    place.git(&["init", "--quiet"]);
    place.write_all(&["a", "b.log"]);
    place.write(".gitignore", "*.log\n");
    place.add(&[]);
    assert_eq!(place.shown(), [".gitignore", "a"]);
}

#[test]
fn a_directory_in_a_repository_follows_its_rules_unless_all_of_it_is_ignored() {
    let place = Place::new();
    place.write(".gitignore", "*.log\n/out/\n");
    place.write_all(&["pkg/a", "pkg/x.log", "other/b", "out/c", "out/d.log"]);
    place.commit();
    let add = |name: &str| {
        let path = place.path().join(name);
        place.json(&["add", name, "--path", path.to_str().unwrap()]);
        place.json(&["get", &format!("local/{name}")])["trees"][0]["tree"]["files"].as_u64().unwrap()
    };
    assert_eq!(add("pkg"), 1);
    // It is named by its user, and no part of the repository that lies around it.
    assert_eq!(add("out"), 2);
}

#[test]
fn submodules_and_repositories_inside_show_what_their_own_git_lists() {
    let place = Place::new();
    let library = place.site.program.path().join("library");
    fs::create_dir(&library).unwrap();
    let git = |arguments: &[&str]| place.git_in("../library", arguments);
    git(&["init", "--quiet"]);
    fs::write(library.join("lib.c"), "lib").unwrap();
    fs::write(library.join(".gitignore"), "*.o\n").unwrap();
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "-m", "lib"]);

    place.write_all(&["a"]);
    place.commit();
    let library = library.to_str().unwrap();
    for name in ["sub", "away"] {
        place.git(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", library, name]);
    }
    place.git(&["commit", "--quiet", "-m", "sub"]);
    place.git(&["submodule", "--quiet", "deinit", "--force", "away"]);
    place.write_all(&["sub/lib.o", "sub/new.c", "nested/x.c", "nested/y.o"]);
    place.git_in("nested", &["init", "--quiet"]);
    place.write("nested/.gitignore", "*.o\n");
    place.add(&[]);
    assert_eq!(
        place.shown(),
        [
            ".gitmodules",
            "a",
            "away/",
            "nested/.gitignore",
            "nested/x.c",
            "sub/.gitignore",
            "sub/lib.c",
            "sub/new.c",
        ]
    );
}

#[test]
fn a_repository_below_a_plain_directory_follows_its_own_rules() {
    let place = Place::new();
    place.write_all(&["notes.log", "repo/a", "repo/b.log"]);
    place.write("repo/.gitignore", "*.log\n");
    place.git_in("repo", &["init", "--quiet"]);
    place.add(&[]);
    assert_eq!(place.shown(), ["notes.log", "repo/.gitignore", "repo/a"]);
}

#[test]
fn a_second_work_tree_and_a_sparse_one_show_what_lies_there() {
    let place = Place::new();
    place.write_all(&["a", "big/b", "small/c"]);
    place.commit();
    let second = place.site.program.path().join("second");
    place.git(&["worktree", "add", "--quiet", "--detach", second.to_str().unwrap()]);
    fs::write(second.join("new"), "new").unwrap();
    place.json(&["add", "second", "--path", second.to_str().unwrap()]);
    assert_eq!(place.json(&["get", "local/second"])["trees"][0]["tree"]["files"], 4);

    place.git(&["sparse-checkout", "set", "--cone", "small"]);
    place.add(&[]);
    let path = place.path();
    let revision = place.json(&["get", "local/work"])["trees"][0]["tree"]["files"].clone();
    assert_eq!(revision, 2, "{:?}", fs::read_dir(path).unwrap().collect::<Vec<_>>());
}

#[test]
fn a_bare_repository_is_refused_with_what_to_write_instead() {
    let place = Place::new();
    place.git(&["init", "--quiet", "--bare"]);
    let path = place.path();
    let refused = place.refused(&["add", "work", "--path", path.to_str().unwrap()]);
    assert!(refused.contains("without a work tree") && refused.contains("file://"), "{refused}");
    assert!(
        !place.site.program.config().exists()
            || !fs::read_to_string(place.site.program.config()).unwrap().contains("work")
    );
}

#[test]
fn what_is_gits_own_is_refused_with_the_directory_that_is_meant() {
    let place = Place::new();
    place.write_all(&["a"]);
    place.commit();
    let link = place.site.program.path().join("link");
    std::os::unix::fs::symlink(place.path().join(".git"), &link).unwrap();
    for path in [place.path().join(".git"), place.path().join(".git/refs"), link] {
        let refused = place.refused(&["add", "work", "--path", path.to_str().unwrap()]);
        assert!(refused.contains("a directory of git itself"), "{refused}");
        assert!(refused.contains(&format!("--path {}\n", place.path().display())), "{refused}");
    }
    place.add(&[]);
    assert_eq!(place.shown(), ["a"]);
}

#[test]
fn a_broken_repository_is_an_error_and_never_shows_what_it_ignores() {
    let place = Place::new();
    place.write_all(&["a", "secret"]);
    place.write(".gitignore", "secret\n");
    place.commit();
    place.add(&[]);
    assert_eq!(place.shown(), [".gitignore", "a"]);
    for (file, content) in [("HEAD", "rubbish"), ("index", "rubbish"), ("config", "[core\n")] {
        let file = place.path().join(".git").join(file);
        let whole = fs::read(&file).unwrap();
        fs::write(&file, content).unwrap();
        let refused = place.refused(&["update", "local/work"]);
        assert!(
            refused.contains("git status") && refused.contains(place.path().to_str().unwrap()),
            "{refused}"
        );
        fs::write(&file, whole).unwrap();
    }
    // One of which the rest is elsewhere, and gone.
    fs::remove_dir_all(place.path().join(".git")).unwrap();
    place.write(".git", "gitdir: /nonexistent/worktrees/work\n");
    let refused = place.refused(&["update", "local/work"]);
    assert!(refused.contains("not a git repository"), "{refused}");
    assert_eq!(place.content("a"), "a", "what is cached stays");
}

#[test]
fn whose_the_repository_is_does_not_matter() {
    if !super::mounted2::is_root("giving a repository to somebody else") {
        return;
    }
    let place = Place::new();
    place.write_all(&["a", "b.log"]);
    place.write(".gitignore", "*.log\n");
    place.commit();
    for path in [place.path(), place.path().join(".git"), place.path().join(".git/config")] {
        give_to_somebody_else(&path);
    }
    place.add(&[]);
    assert_eq!(place.shown(), [".gitignore", "a"]);
}
