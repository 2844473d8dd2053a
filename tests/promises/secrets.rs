//! P17: no prompt from the daemon, no credential to another host, none in cache, logs, xattrs, process
//! arguments.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::harness::git_server::{Fault, GitServer, Stage};
use super::harness::repository::{File, Repository, many_files};
use super::mounted2::{Site, errnos, executable, files_below, xattr};
use super::no_execution::marking;

const SECRET: &str = "hunter2-is-the-secret";
/// `user:` and the secret, as HTTP carries them.
const ENCODED: &str = "dXNlcjpodW50ZXIyLWlzLXRoZS1zZWNyZXQ=";

fn tells(text: &[u8]) -> bool {
    [SECRET, ENCODED].iter().any(|secret| text.windows(secret.len()).any(|part| part == secret.as_bytes()))
}

/// A credential helper of the user that knows one host, that of the site, and writes down for which it was asked.
fn helper(site: &mut Site) -> std::path::PathBuf {
    let host = site.server().address();
    let directory = site.program.path().join("helper");
    let (script, asked) = (directory.join("helper"), directory.join("asked"));
    let text = format!(
        "#!/bin/sh\ntest \"$1\" = get || exit 0\nrequest=$(cat)\n\
         echo \"$request\" | sed -n 's/^host=//p' >> '{asked}'\n\
         echo \"$request\" | grep -qx 'host={host}' && printf 'username=user\\npassword={SECRET}\\n'\nexit 0\n",
        asked = asked.display()
    );
    executable(&script, &text);
    let config = directory.join("gitconfig");
    std::fs::write(&config, format!("[credential]\n\thelper = {}\n", script.display())).unwrap();
    site.set("GIT_CONFIG_GLOBAL", config.to_str().unwrap());
    asked
}

/// The processes whose arguments tell the secret, while `work` is done.
fn telling_processes(work: impl FnOnce()) -> BTreeSet<String> {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let (mut found, mut looked) = (BTreeSet::new(), 0);
            while !done.load(Relaxed) {
                for process in std::fs::read_dir("/proc").unwrap().flatten() {
                    let arguments = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
                    if tells(&arguments) {
                        found.insert(String::from_utf8_lossy(&arguments).into_owned());
                    }
                    looked += 1;
                }
            }
            assert!(looked > 0);
            found
        });
        // Also if it panics, so that the watcher ends.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        done.store(true, Relaxed);
        let found = watching.join().unwrap();
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        found
    })
}

fn no_file_tells(directory: &Path) {
    let files = files_below(directory);
    assert!(!files.is_empty());
    for file in files {
        assert!(!tells(&std::fs::read(&file).unwrap_or_default()), "{}", file.display());
        assert!(!tells(file.to_str().unwrap().as_bytes()));
    }
}

#[test]
fn a_credential_reaches_its_host_and_nothing_else() {
    let mut site = Site::new("");
    let elsewhere = tempfile::tempdir().unwrap();
    Repository::new(elsewhere.path().join("team/docs.git")).commit(&[File::new("a", "other\n")]);
    let other = GitServer::start(elsewhere.path());
    let url = other.url("{path}.git");
    site.configure(&format!("negative_ttl = \"0s\"\n[[host]]\nname = \"other.test\"\nurl = \"{url}\"\n"));
    let asked = helper(&mut site);
    let askpass = site.program.path().join("trap/askpass");
    let mark = site.program.path().join("trap/mark");
    marking(&askpass, &mark);
    for name in ["GIT_ASKPASS", "SSH_ASKPASS"] {
        site.set(name, askpass.to_str().unwrap());
    }
    site.set("DISPLAY", ":0");
    site.mount_by(&["-vvv", "mount", "--foreground"], |_| ());

    let mut repository = site.repository("team/private");
    repository.commit(&many_files(50, "one"));
    let locked = || Fault::Credentials("user".into(), SECRET.into());
    site.server().fail("team/private.git", Stage::Any, locked());
    other.fail("team/docs.git", Stage::Any, locked());
    for moved in ["team/moved", "team/hotel"] {
        site.repository_of(moved, &[File::new("a", "here\n")]);
    }
    site.server().fail("team/moved.git", Stage::Any, Fault::Redirect(other.url("team/docs.git")));
    let with_secret = other.url("team/docs.git").replace("http://", &format!("http://user:{SECRET}@"));
    site.server().fail("team/hotel.git", Stage::Any, Fault::Redirect(with_secret));

    let telling = telling_processes(|| {
        assert_eq!(site.cat(&site.forge("team/private/d000/f00000.txt")), "file 0 of one\n");
        // What is not for us is not asked for by a prompt.
        assert_eq!(errnos(&site.path("git/other.test/team/docs")), [libc::ENOENT; 2]);
        assert_eq!(errnos(&site.forge("team/moved")), [libc::ENOENT; 2]);
        assert_eq!(errnos(&site.forge("team/hotel"))[0], libc::EIO, "{}", site.log());
        repository.commit(&many_files(50, "two"));
        site.json(&["-vvv", "update"]);
    });
    assert_eq!(telling, BTreeSet::new());
    assert!(site.server().counts("team/private.git").credentials > 0);
    assert_eq!(other.counts("team/docs.git").credentials, 0, "the other host was given it");
    let asked = std::fs::read_to_string(asked).unwrap();
    assert!(asked.contains(&other.address().to_string()), "git asked for the other host too: {asked}");
    assert!(!mark.exists(), "somebody was asked");

    no_file_tells(&site.program.cache());
    let log = site.log();
    assert!(log.contains("DEBUG") || log.contains("TRACE") || log.contains("INFO"), "{log}");
    assert!(!tells(log.as_bytes()));
    for name in ["key", "revision", "url", "citation", "blob"] {
        let value = xattr(&site.forge("team/private/d000/f00000.txt"), &format!("user.srcfs.{name}"));
        assert!(!tells(value.unwrap().as_bytes()), "{name}");
    }
    for file in ["status.json", "errors.json"] {
        assert!(!tells(&std::fs::read(site.path(".srcfs").join(file)).unwrap()), "{file}");
    }
    for verb in [&["list"][..], &["status"], &["explain", "git/forge.test/team/hotel"], &["doctor"]] {
        let run = site.run(&[&["-vvv", "--json"], verb].concat());
        assert!(!tells(format!("{run:?}").as_bytes()), "{verb:?}");
    }
}

#[test]
fn a_refused_credential_is_permission_denied_and_is_shown_to_nobody() {
    let mut site = Site::new("");
    helper(&mut site);
    site.mount_by(&["-vvv", "mount", "--foreground"], |_| ());
    site.repository_of("team/private", &[File::new("a", "one\n")]);
    site.server().fail("team/private.git", Stage::Any, Fault::Credentials("user".into(), "another".into()));
    let path = site.forge("team/private");
    assert_eq!(errnos(&path), [libc::EACCES; 2]);
    let explained = site.explain(&path);
    assert_eq!(explained["failure"]["kind"], "denied", "{explained}");
    assert!(explained["failure"]["hint"].is_string());
    assert!(!tells(explained.to_string().as_bytes()) && !tells(site.log().as_bytes()));
    no_file_tells(&site.program.cache());
}
