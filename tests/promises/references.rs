//! What stands after `@`: a reference means what the repository says now, or it does not exist; never
//! something else instead.

use super::harness::repository::{File, many_files};
use super::mounted2::{Site, errno, errnos};

/// Processes forget what they saw soon.
const BRISK: &str = "quiet = \"100ms\"\nnegative_ttl = \"0s\"";

fn one_file(text: &str) -> Vec<File> {
    vec![File::new("a", text)]
}

#[test]
fn a_name_that_is_tag_and_branch_is_refused_and_its_two_spellings_work() {
    let site = Site::mounted(BRISK);
    let mut docs = site.repository("team/docs");
    let first = docs.commit(&one_file("main\n"));
    docs.tag("v1", &first);
    docs.commit_to("v1", &one_file("branch\n"));
    docs.commit_to("feature/x", &one_file("feature\n"));
    docs.annotated_tag("rel/2", &first);

    let both = site.forge("team/docs@v1");
    let [exists, inside] = errnos(&both);
    assert!(exists != 0 && inside != 0, "one of the two was served");
    let explained = site.explain(&both);
    let hint = explained["failure"]["hint"].as_str().unwrap();
    assert!(hint.contains("tags%2Fv1") && hint.contains("heads%2Fv1"), "{explained}");

    for (reference, text) in [
        ("tags%2Fv1", "main\n"),
        ("heads%2Fv1", "branch\n"),
        ("feature%2Fx", "feature\n"),
        ("heads%2Ffeature%2Fx", "feature\n"),
        ("rel%2F2", "main\n"),
        ("main", "main\n"),
    ] {
        assert_eq!(site.cat(&site.forge(&format!("team/docs@{reference}/a"))), text, "{reference}");
    }
    assert_eq!(site.cat(&site.forge("team/docs/a")), "main\n");
}

#[test]
fn what_does_not_exist_is_absent_whatever_else_does() {
    let site = Site::mounted(BRISK);
    let mut docs = site.repository("team/docs");
    let first = docs.commit(&one_file("one\n"));
    docs.tag("v1.0", &first);
    for reference in
        ["v1", "v1.0.0", "V1.0", "mai", "Main", "heads%2Fv1.0", "tags%2Fmain", "nope", "HEAD%2Fx"]
    {
        let path = site.forge(&format!("team/docs@{reference}"));
        assert_eq!(errnos(&path), [libc::ENOENT; 2], "{reference}");
        let explained = site.explain(&path);
        assert_eq!(explained["failure"]["kind"], "not_found", "{explained}");
        assert!(explained["failure"]["hint"].is_string(), "{explained}");
    }
    let mut other = first.clone().into_bytes();
    other[39] = if other[39] == b'0' { b'1' } else { b'0' };
    let other = String::from_utf8(other).unwrap();
    for commit in [other, "0".repeat(40), "f".repeat(40)] {
        assert_eq!(errnos(&site.forge(&format!("team/docs@{commit}"))), [libc::ENOENT; 2], "{commit}");
    }
    // An empty repository has no default.
    site.repository("team/empty");
    assert_eq!(errnos(&site.forge("team/empty")), [libc::ENOENT; 2]);
}

#[test]
fn an_abbreviated_commit_is_a_tip_or_cached_or_absent() {
    let site = Site::mounted(BRISK);
    let mut docs = site.repository("team/docs");
    let (first, second) = (docs.commit(&one_file("one\n")), docs.commit(&one_file("two\n")));
    let path = |commit: &str| site.forge(&format!("team/docs@{commit}/a"));
    assert_eq!(site.cat(&path(&second[..7])), "two\n");
    let old = site.forge(&format!("team/docs@{}", &first[..9]));
    assert_eq!(errnos(&old), [libc::ENOENT; 2]);
    let explained = site.explain(&old);
    assert!(explained["failure"]["hint"].as_str().unwrap().contains("full commit id"), "{explained}");
    // The full id says it all, and then the short one is known.
    assert_eq!(site.cat(&path(&first)), "one\n");
    assert_eq!(site.cat(&path(&first[..9])), "one\n");
    assert_eq!(errno(std::fs::metadata(path(&first[..6]))), libc::ENOENT, "six digits are a name");
}

/// All that a process reads of a tree of many files, as it stands sorted.
fn versions(site: &Site, name: &str) -> String {
    let read = site.sh(&format!("cd {name} && find . -type f -exec cat {{}} + | sed 's/.* of //' | sort -u"));
    assert_eq!((read.code, read.err.as_str()), (0, ""), "{}", site.log());
    read.out
}

#[test]
fn after_a_force_push_new_processes_see_the_new_and_the_old_commit_stays_readable() {
    let site = Site::mounted(BRISK);
    let mut docs = site.repository("team/docs");
    let first = docs.commit(&many_files(200, "one"));
    let name = "git/forge.test/team/docs";
    assert_eq!(versions(&site, name), "one\n");
    let held = std::fs::File::open(site.forge("team/docs/d003/f00199.txt")).unwrap();

    let second = docs.force_push("main", &many_files(200, "two"));
    docs.prune();
    let report = site.json(&["update"]);
    assert_eq!(report["references"][0]["revision"], second.as_str());
    assert_eq!(versions(&site, name), "two\n");
    assert_eq!(versions(&site, &format!("{name}@{first}")), "one\n", "it is cached");
    assert_eq!(std::io::read_to_string(held).unwrap(), "file 199 of one\n");

    site.json(&["clear", "git/forge.test/team/docs"]);
    assert_eq!(versions(&site, name), "two\n");
    // Nobody has it any more.
    let gone = site.forge(&format!("team/docs@{first}"));
    let gone = site.sh(&format!("ls {}", gone.display()));
    assert!(gone.err.contains("No such file"), "{gone:?}");
}

#[test]
fn a_moved_tag_is_seen_after_an_update_and_a_deleted_branch_says_that_it_is_gone() {
    let site = Site::mounted(BRISK);
    let mut docs = site.repository("team/docs");
    let first = docs.commit(&many_files(60, "one"));
    docs.tag("latest", &first);
    docs.branch("topic", &first);
    let second = docs.commit(&many_files(60, "two"));
    let name = |reference: &str| format!("git/forge.test/team/docs@{reference}");
    assert_eq!(versions(&site, &name("latest")), "one\n");
    assert_eq!(versions(&site, &name("topic")), "one\n");

    docs.tag("latest", &second);
    let report = site.json(&["update", &name("latest")]);
    assert_eq!(report["references"][0]["revision"], second.as_str(), "{report}");
    assert_eq!(versions(&site, &name("latest")), "two\n");

    docs.delete_branch("topic");
    let (code, report) = site.report(&["update", &name("topic")]);
    assert_eq!((code, &report["references"][0]["error"]["kind"]), (1, &"not_found".into()), "{report}");
    let said = site.run(&["update", &name("topic")]);
    let stays = format!("until `srcfs clear {}`", name("topic"));
    assert!(said.out.contains(&stays), "{said:?}");
    assert_eq!(versions(&site, &name(&first)), "one\n", "the commit is still there");
    site.json(&["clear", &name("topic")]);
    let gone = site.sh(&format!("ls {}", name("topic")));
    assert!(gone.err.contains("No such file"), "{gone:?}");
}

#[test]
fn a_reference_of_a_named_resource_is_looked_for_like_any_other() {
    let mut site = Site::new("");
    let mut docs = site.repository("team/docs");
    let first = docs.commit(&one_file("one\n"));
    docs.tag("v1", &first);
    docs.commit(&one_file("two\n"));
    let url = site.server().url("team/docs.git");
    site.configure(&format!("[[resource]]\nname = \"docs\"\ngit = \"{url}\"\nref = \"v1\""));
    site.mount();
    let asked = site.server().requests();
    assert_eq!(errno(std::fs::metadata(site.path("docs"))), 0);
    assert_eq!(site.server().requests(), asked, "a configured name is known");
    assert_eq!(errnos(&site.path("docs@nope")), [libc::ENOENT; 2]);
    assert_eq!(site.cat(&site.path("docs/a")), "one\n");
    assert_eq!(site.cat(&site.path("docs@main/a")), "two\n");
}
