//! What a git source makes of servers, networks and programs that fail: each fault has its kind and its
//! sentence (P13), every wait has a bound and can be broken off (P12), no process stays, and no secret
//! goes anywhere it should not (P17).
#![allow(clippy::disallowed_methods, reason = "tests start programs and read the environment")]

mod harness;

use harness::git_server::{Fault, GitServer, Stage, nobody};
use harness::git_source::{Place, options, plain, resolve, wait_until};
use harness::repository::{Repository, many_files};
use srcfs::error::{Error, Kind};
use srcfs::source::git::{Git, GitOptions};
use srcfs::source::{Progress, Resolved, Revision};

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What never comes in a test.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A server with one repository, `a.git`, which has one commit.
struct Served {
    root: tempfile::TempDir,
    server: GitServer,
    url: String,
    resolved: Resolved,
}

fn served() -> Served {
    let root = tempfile::tempdir().unwrap();
    let mut repository = Repository::new(root.path().join("a.git"));
    let commit = repository.commit(&many_files(200, "one"));
    let server = GitServer::start(root.path());
    let url = server.url("a.git");
    let revision = Revision::new(commit);
    let full_name = Some("refs/heads/main".to_owned());
    Served { root, server, url, resolved: Resolved { revision, full_name, moving: true } }
}

/// How resolving and preparing fail with `fault`.
fn failures(it: &Served, source: &Git, stage: Stage, fault: Fault) -> [Error; 2] {
    it.server.fail("a.git", stage, fault);
    let place = Place::empty();
    let prepared = place.prepare(source, &it.url, &it.resolved).unwrap_err();
    wait_until("no process is left", || place.processes().is_empty());
    [resolve(source, &it.url, "").err().unwrap_or_else(|| prepared.clone()), prepared]
}

#[test]
fn every_status_has_its_kind_and_says_what_to_do() {
    let it = served();
    for (status, headers, expected) in [
        (401, vec!["WWW-Authenticate: Basic realm=\"x\"".to_owned()], Kind::NotFoundOrPrivate),
        (403, vec![], Kind::NotFoundOrPrivate),
        (404, vec![], Kind::NotFound),
        (410, vec![], Kind::NotFound),
        (429, vec!["Retry-After: 30".to_owned()], Kind::RateLimited),
        (403, vec!["Retry-After: 30".to_owned()], Kind::RateLimited),
        (500, vec![], Kind::Network),
        (502, vec![], Kind::Network),
    ] {
        let limited = expected == Kind::RateLimited;
        for error in failures(&it, &plain(), Stage::Any, Fault::Status(status, headers)) {
            assert_eq!(error.kind(), expected, "{status}: {error}");
            assert!(error.advice().is_some(), "{error}");
            assert!(!limited || error.why().contains("30 s"), "{error}");
        }
    }
}

#[test]
fn a_failure_after_the_first_answer_is_no_answer_about_the_repository() {
    let it = served();
    for status in [404, 410, 500] {
        let [_, error] = failures(&it, &plain(), Stage::Fetch, Fault::Status(status, vec![]));
        assert_eq!(error.kind(), Kind::Network, "{status}: {error}");
    }
}

#[test]
fn broken_answers_are_the_networks_fault_and_nothing_is_accepted() {
    let it = served();
    for stage in [Stage::Any, Stage::Fetch] {
        for fault in
            [Fault::Hangup, Fault::Truncate(40), Fault::Truncate(0), Fault::TooShort(30), Fault::Garbage]
        {
            for error in failures(&it, &plain(), stage, fault.clone()) {
                assert_eq!(error.kind(), Kind::Network, "{stage:?} {fault:?}: {error}");
            }
        }
    }
    let [_, error] = failures(&it, &plain(), Stage::Fetch, Fault::Flip);
    assert_eq!(error.kind(), Kind::Network, "{error}");
}

#[test]
fn a_server_that_stalls_or_trickles_is_given_up() {
    std::thread::scope(|scope| {
        for (stage, fault) in [
            (Stage::Any, Fault::StallBeforeHeaders),
            (Stage::Any, Fault::StallInBody(20)),
            (Stage::Fetch, Fault::StallBeforeHeaders),
            (Stage::Fetch, Fault::StallInBody(200)),
            (Stage::Fetch, Fault::Trickle(600)),
        ] {
            scope.spawn(move || {
                // No deadline ends it.
                let (list_deadline, fetch_deadline) = (DAY, DAY);
                let stall = Duration::from_secs(1);
                let source = Git::new(GitOptions { stall, list_deadline, fetch_deadline, ..options(&[]) });
                for error in failures(&served(), &source, stage, fault.clone()) {
                    assert_eq!(error.kind(), Kind::TimedOut, "{stage:?} {fault:?}: {error}");
                    assert!(error.advice().is_some(), "{error}");
                }
            });
        }
    });
}

#[test]
fn what_never_ends_ends_at_the_deadline() {
    let it = served();
    let second = Duration::from_secs(1);
    let (list_deadline, fetch_deadline) = (second, second);
    // It is never silent for long enough.
    let source = Git::new(GitOptions { stall: DAY, list_deadline, fetch_deadline, ..options(&[]) });
    for error in failures(&it, &source, Stage::Any, Fault::Trickle(0)) {
        assert_eq!(error.kind(), Kind::TimedOut, "{error}");
    }
}

#[test]
fn nobody_at_the_address_is_unreachable() {
    let url = format!("http://{}/a.git", nobody());
    let error = resolve(&plain(), &url, "").unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable, "{error}");
}

#[test]
fn a_server_without_tls_is_no_https_server() {
    let it = served();
    let error = resolve(&plain(), &it.url.replace("http:", "https:"), "").unwrap_err();
    assert_eq!(error.kind(), Kind::Network, "{error}");
    assert!(error.advice().unwrap().contains("trusted connection"), "{error}");
}

#[test]
fn a_missing_repository_on_the_disk_is_not_found() {
    let error = resolve(&plain(), "file:///nonexistent/a.git", "").unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound, "{error}");
}

#[test]
fn a_directory_that_is_no_repository_is_not_found_also_inside_of_one() {
    let root = tempfile::tempdir().unwrap();
    let around = root.path().join("around");
    let mut git = harness::repository::hermetic("git");
    assert!(git.args(["init", "-q"]).arg(&around).status().unwrap().success());
    let plain_directory = around.join("plain");
    std::fs::create_dir(&plain_directory).unwrap();
    for path in [plain_directory.clone(), plain_directory.join("a.git")] {
        let url = format!("file://{}", path.display());
        for reference in ["", "main"] {
            let error = resolve(&plain(), &url, reference).unwrap_err();
            assert_eq!(error.kind(), Kind::NotFound, "{url}: {error}");
        }
        let resolved = Resolved { revision: Revision::new("1".repeat(40)), full_name: None, moving: false };
        let error = Place::empty().prepare(&plain(), &url, &resolved).unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound, "{url}: {error}");
    }
}

#[test]
fn refused_authentication_stops_at_once() {
    let it = served();
    let asked = || it.server.counts("a.git");
    it.server.fail("a.git", Stage::Any, Fault::Credentials("user".into(), "right".into()));
    let error = resolve(&plain(), &it.url, "").unwrap_err();
    assert_eq!(error.kind(), Kind::NotFoundOrPrivate, "{error}");
    assert_eq!(asked().requests, 1, "neither another branch nor another way was tried");

    let (name, value) = credential_store(it.root.path(), &it.url, "user", "wrong");
    let source = Git::new(options(&[(&name, &value)]));
    let error = resolve(&source, &it.url, "").unwrap_err();
    assert_eq!(error.kind(), Kind::Denied, "{error}");
    assert_eq!((asked().requests, asked().credentials), (3, 1), "the credential was offered once");
    let error = Place::empty().prepare(&source, &it.url, &it.resolved).unwrap_err();
    assert!(matches!(error.kind(), Kind::Denied | Kind::NotFoundOrPrivate), "{error}");
    assert!(asked().requests <= 5, "{:?}", asked());
}

#[test]
fn a_git_that_is_killed_is_reported_and_what_it_left_does_not_count() {
    let it = served();
    it.server.fail("a.git", Stage::Fetch, Fault::StallInBody(200));
    let place = Place::empty();
    let error = std::thread::scope(|scope| {
        let fetch = scope.spawn(|| place.prepare(&plain(), &it.url, &it.resolved));
        it.server.wait_for("a.git", |counts| counts.stalled == 1);
        // As the kernel does when memory is short.
        for (pid, name) in place.processes() {
            if name.starts_with("git") {
                let _ = std::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status();
            }
        }
        fetch.join().unwrap().unwrap_err()
    });
    assert!(matches!(error.kind(), Kind::Network | Kind::Io), "{error}");
    assert!(!error.why().is_empty() && error.advice().is_some(), "{error}");
    wait_until("no process is left", || place.processes().is_empty());
    it.server.mend("a.git");
    Place::empty().prepare(&plain(), &it.url, &it.resolved).unwrap();
}

#[test]
fn a_forge_hides_what_is_unknown() {
    let it = served();
    it.server.hide_unknown();
    let error = resolve(&plain(), &it.server.url("unknown.git"), "").unwrap_err();
    assert_eq!(error.kind(), Kind::NotFoundOrPrivate, "{error}");
    assert!(error.why().contains("does not exist or is private"), "{error}");
    assert!(resolve(&plain(), &it.url, "").is_ok());
}

/// git's own store of credentials with one of them.
fn credential_store(directory: &Path, url: &str, user: &str, password: &str) -> (String, String) {
    let host = url.strip_prefix("http://").unwrap().split('/').next().unwrap();
    let file = directory.join("credentials");
    std::fs::write(&file, format!("http://{user}:{password}@{host}\n")).unwrap();
    ("credential.helper".to_owned(), format!("store --file={}", file.display()))
}

#[test]
fn a_private_repository_is_fetched_with_the_users_credential() {
    let it = served();
    it.server.fail("a.git", Stage::Any, Fault::Credentials("user".into(), "hunter2".into()));
    let error = resolve(&plain(), &it.url, "").unwrap_err();
    assert_eq!(error.kind(), Kind::NotFoundOrPrivate, "{error}");

    let (name, value) = credential_store(it.root.path(), &it.url, "user", "hunter2");
    let source = Git::new(options(&[(&name, &value)]));
    assert_eq!(resolve(&source, &it.url, "").unwrap(), it.resolved);
    let place = Place::empty();
    place.prepare(&source, &it.url, &it.resolved).unwrap();
    assert!(it.server.counts("a.git").credentials > 0);
    assert!(!holds(&place.path(), b"hunter2"), "the credential is stored");
}

#[test]
fn a_refused_credential_is_denied_and_not_shown() {
    let it = served();
    it.server.fail("a.git", Stage::Any, Fault::Credentials("user".into(), "right".into()));
    let (name, value) = credential_store(it.root.path(), &it.url, "user", "hunter2");
    let source = Git::new(options(&[(&name, &value)]));
    let error = resolve(&source, &it.url, "").unwrap_err();
    assert_eq!(error.kind(), Kind::Denied, "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
}

#[test]
fn no_credential_is_in_the_arguments_of_a_process() {
    let it = served();
    it.server.fail("a.git", Stage::Any, Fault::Credentials("user".into(), "hunter2".into()));
    let (name, value) = credential_store(it.root.path(), &it.url, "user", "hunter2");
    let source = Git::new(options(&[(&name, &value)]));
    let (place, progress) = (Place::empty(), Progress::default());
    resolve(&source, &it.url, "").unwrap();
    it.server.fail("a.git", Stage::Any, Fault::StallBeforeHeaders);
    std::thread::scope(|scope| {
        scope.spawn(|| place.prepare_with(&source, &it.url, &it.resolved, None, &progress));
        it.server.wait_for("a.git", |counts| counts.stalled > 0);
        let processes = place.processes();
        assert!(processes.iter().any(|(_, name)| name.starts_with("git")), "{processes:?}");
        for (pid, _) in processes {
            let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            assert!(!String::from_utf8_lossy(&arguments).contains("hunter2"));
        }
        progress.cancel();
    });
}

#[test]
fn a_repository_that_moved_on_its_server_is_followed() {
    let it = served();
    for base in ["/a.git".to_owned(), it.url.clone()] {
        it.server.fail("old.git", Stage::Any, Fault::Redirect(base));
        let old = it.server.url("old.git");
        assert_eq!(resolve(&plain(), &old, "").unwrap(), it.resolved);
        Place::empty().prepare(&plain(), &old, &it.resolved).unwrap();
    }
}

#[test]
fn a_redirect_to_another_host_needs_permission_and_takes_no_credential_along() {
    let (from, to) = (served(), served());
    from.server.fail("a.git", Stage::Any, Fault::Redirect(to.url.clone()));
    let error = resolve(&plain(), &from.url, "").unwrap_err();
    assert_eq!(error.kind(), Kind::Network, "{error}");
    assert!(error.why().contains("not configured"), "{error}");
    assert_eq!(to.server.counts("a.git").requests, 0, "it was asked");

    let (name, value) = credential_store(from.root.path(), &from.url, "user", "hunter2");
    let target = to.url.clone();
    let source = Git::new(GitOptions {
        allowed: Arc::new(move |url| url.as_str() == target),
        ..options(&[(&name, &value)])
    });
    assert_eq!(resolve(&source, &from.url, "").unwrap(), to.resolved);
    to.server.fail("a.git", Stage::Any, Fault::Credentials("user".into(), "hunter2".into()));
    let error = resolve(&source, &from.url, "").unwrap_err();
    assert_eq!(error.kind(), Kind::NotFoundOrPrivate, "{error}");
    assert_eq!(to.server.counts("a.git").credentials, 0, "the credential went to another host");
}

#[test]
fn redirects_in_a_loop_or_to_a_login_page_end() {
    let it = served();
    it.server.fail("one.git", Stage::Any, Fault::Redirect("/two.git".into()));
    it.server.fail("two.git", Stage::Any, Fault::Redirect("/one.git".into()));
    let error = resolve(&plain(), &it.server.url("one.git"), "").unwrap_err();
    assert!(error.kind() == Kind::Network && error.why().contains("redirected"), "{error}");
    let login = Fault::Status(302, vec!["Location: /login?then=x".into()]);
    it.server.fail("a.git", Stage::Any, login);
    let error = resolve(&plain(), &it.url, "").unwrap_err();
    assert!(error.kind() == Kind::Network && error.advice().unwrap().contains("login"), "{error}");
}

#[test]
fn cancelling_ends_all_processes() {
    let it = served();
    it.server.fail("a.git", Stage::Any, Fault::StallBeforeHeaders);
    let (place, progress) = (Place::empty(), Progress::default());
    std::thread::scope(|scope| {
        let fetch = scope.spawn(|| place.prepare_with(&plain(), &it.url, &it.resolved, None, &progress));
        it.server.wait_for("a.git", |counts| counts.stalled == 1);
        // All that could write into the workplace holds its lease.
        let lease = place.lease_path();
        let gits: Vec<_> =
            place.processes().into_iter().filter(|(_, name)| name.starts_with("git")).collect();
        assert!(gits.len() >= 2, "git and its helper: {gits:?}");
        for (pid, name) in gits {
            assert_eq!(std::fs::read_link(format!("/proc/{pid}/fd/9")).unwrap(), lease, "{name}");
        }
        progress.cancel();
        let error = fetch.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), Kind::Interrupted, "{error}");
    });
    wait_until("no process is left", || place.processes().is_empty());
}

#[test]
fn no_process_is_left_when_srcfs_is_killed() {
    const PLACE: &str = "SRCFS_TEST_KILLED_PLACE";
    const URL: &str = "SRCFS_TEST_KILLED_URL";
    if let (Some(place), Ok(url)) = (std::env::var_os(PLACE), std::env::var(URL)) {
        // The process that is killed.
        let lease = std::fs::File::create(PathBuf::from(&place).join("lease")).unwrap();
        lease.lock().unwrap();
        let directory = PathBuf::from(&place).join("work");
        std::fs::create_dir(&directory).unwrap();
        let workplace = srcfs::source::Workplace {
            directory: &directory,
            borrow: None,
            lease: Some(std::os::fd::AsFd::as_fd(&lease)),
        };
        let resolved = Resolved { revision: Revision::new("1".repeat(40)), full_name: None, moving: false };
        let key = harness::git_source::key(&url);
        srcfs::source::Source::prepare(&plain(), &key, &resolved, workplace, &Progress::default()).unwrap();
        return;
    }
    let it = served();
    it.server.fail("a.git", Stage::Any, Fault::StallBeforeHeaders);
    let place = tempfile::tempdir().unwrap();
    let mut srcfs = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "no_process_is_left_when_srcfs_is_killed"])
        .env(PLACE, place.path())
        .env(URL, &it.url)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    it.server.wait_for("a.git", |counts| counts.stalled == 1);
    let lease = std::fs::File::open(place.path().join("lease")).unwrap();
    assert!(lease.try_lock().is_err(), "the lease is held");
    srcfs.kill().unwrap();
    srcfs.wait().unwrap();
    // Every process of the fetch holds the lease.
    wait_until("the lease is free", || lease.try_lock().is_ok());
}

/// A source whose ssh is a script that is called like ssh: options, host, command.
fn ssh(directory: &Path, script: &str) -> Git {
    let path = executable(directory, "ssh", script);
    let mut options = options(&[]);
    options.environment.push(("GIT_SSH_COMMAND".into(), path.into()));
    options.environment.push(("GIT_SSH_VARIANT".into(), "ssh".into()));
    Git::new(options)
}

#[test]
fn ssh_is_the_users_own() {
    let it = served();
    let url = format!("ssh://git@example.org{}/a.git", it.root.path().display());
    let source = ssh(it.root.path(), "for command; do :; done\nexec sh -c \"$command\"");
    assert_eq!(resolve(&source, &url, "").unwrap(), it.resolved);
    Place::empty().prepare(&source, &url, &it.resolved).unwrap();
}

#[test]
fn every_failure_of_ssh_has_its_kind_and_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    for (expected, message) in [
        (Kind::Denied, "git@example.org: Permission denied (publickey)."),
        (Kind::Network, "Host key verification failed."),
        (Kind::NotFoundOrPrivate, "ERROR: Repository not found."),
        (Kind::Unreachable, "ssh: Could not resolve hostname example.org: Name or service not known"),
        (Kind::Unreachable, "ssh: connect to host example.org port 22: Connection refused"),
        (Kind::TimedOut, "ssh: connect to host example.org port 22: Connection timed out"),
    ] {
        let source = ssh(directory.path(), &format!("echo '{message}' >&2; exit 255"));
        let error = resolve(&source, "git@example.org:a/b.git", "").unwrap_err();
        assert_eq!(error.kind(), expected, "{error}");
        assert!(error.advice().is_some(), "{error}");
    }
}

/// A program in place of git.
fn program(directory: &Path, script: &str) -> Git {
    let path = executable(directory, "git", script);
    Git::new(GitOptions { program: path, fetch_deadline: Duration::from_secs(1), ..options(&[]) })
}

#[test]
fn a_program_that_ignores_sigterm_and_starts_others_is_killed_with_them() {
    let it = served();
    let directory = tempfile::tempdir().unwrap();
    let source = program(directory.path(), "trap '' TERM HUP INT\nsleep 1000 &\nsleep 1000");
    let place = Place::empty();
    let error = place.prepare(&source, &it.url, &it.resolved).unwrap_err();
    assert_eq!(error.kind(), Kind::TimedOut, "{error}");
    wait_until("no process is left", || place.processes().is_empty());
}

#[test]
fn a_program_that_talks_without_end_does_not_fill_the_memory() {
    let directory = tempfile::tempdir().unwrap();
    let source = program(directory.path(), "exec yes aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    let error = resolve(&source, "https://example.org/a", "").unwrap_err();
    assert_eq!(error.kind(), Kind::TooLarge, "{error}");
}

#[test]
fn a_helper_that_stays_does_not_keep_a_fetch_from_ending() {
    let directory = tempfile::tempdir().unwrap();
    let mark = directory.path().join("pid");
    let id = "a".repeat(40);
    let script = format!("sleep 1000 & echo $! > {}\nprintf '{id}\\tHEAD\\n'", mark.display());
    let source = program(directory.path(), &script);
    let before = Instant::now();
    assert_eq!(resolve(&source, "https://example.org/a", "").unwrap().revision.as_str(), id);
    assert!(before.elapsed() < Duration::from_secs(30), "it waited for the helper");
    let helper = std::fs::read_to_string(mark).unwrap();
    assert!(Path::new("/proc").join(helper.trim()).exists(), "what git leaves on purpose goes on");
    std::process::Command::new("kill").arg(helper.trim()).status().unwrap();
}

#[test]
fn a_missing_or_old_git_says_what_to_install() {
    let directory = tempfile::tempdir().unwrap();
    let missing = Git::new(GitOptions { program: "/nonexistent/git".into(), ..options(&[]) });
    let old = program(directory.path(), "echo \"error: unknown option \\`x'\" >&2; exit 129");
    for source in [missing, old] {
        let error = resolve(&source, "https://example.org/a", "").unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported, "{error}");
        assert!(error.advice().unwrap().contains("install git"), "{error}");
    }
}

#[test]
fn nobody_is_asked_for_anything() {
    let directory = tempfile::tempdir().unwrap();
    // A session of its own without a terminal, no input, and every way to ask leads nowhere.
    let script = r#"
        test -t 0 -o -t 1 -o -t 2 && exit 3
        (: </dev/tty) 2>/dev/null && exit 4
        read line && exit 5
        test "$GIT_TERMINAL_PROMPT$GIT_ASKPASS" = 0 || exit 6
        test "$SSH_ASKPASS_REQUIRE" = force || exit 7
        test "$(pwd)" = / || exit 8
        read -r pid name state parent group session terminal rest </proc/$$/stat
        test "$session $group $terminal" = "$parent $parent 0" || exit 9
        printf 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\tHEAD\n'"#;
    let source = program(directory.path(), script);
    resolve(&source, "https://example.org/a", "").unwrap();
}

/// Makes a program. Another process writes it: were it open for writing here, whatever a parallel test
/// starts just now would inherit that for a moment, and the program would be busy.
fn executable(directory: &Path, name: &str, script: &str) -> PathBuf {
    let path = directory.join(name);
    let status = std::process::Command::new("sh")
        .args(["-c", "printf '#!/bin/sh\\n%s\\n' \"$1\" >\"$0\" && chmod 755 \"$0\""])
        .arg(&path)
        .arg(script)
        .status();
    assert!(status.unwrap().success());
    path
}

fn holds(directory: &Path, text: &[u8]) -> bool {
    std::fs::read_dir(directory).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => holds(&path, text),
            false => std::fs::read(&path).unwrap().windows(text.len()).any(|window| window == text),
        }
    })
}
