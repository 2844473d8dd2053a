//! What a verb did is seen by whatever starts after it, and whom it disturbs it names (P6, P7).
#![allow(clippy::disallowed_methods, reason = "tests start programs of their own")]

mod harness;
#[path = "harness/program.rs"]
mod program;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use harness::repository::{File, Repository};
use program::Program;
use serde_json::Value;

/// A mounted program with one repository behind `github.com`: `team/docs`, of one file `a`.
struct Mounted {
    program: Program,
    repository: Repository,
}

impl Mounted {
    fn new() -> Mounted {
        let program = Program::new();
        let root = program.path().join("srv");
        program.configure(&format!(
            "[[host]]\nname = \"github.com\"\nurl = \"file://{}/{{path}}.git\"\n",
            root.display()
        ));
        let mut repository = Repository::new(root.join("team/docs.git"));
        repository.commit(&[File::new("a", "one")]);
        program.json(&["mount"]);
        Mounted { program, repository }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.program.path().join("mount").join(path)
    }

    /// What a new process reads there.
    fn read(&self, path: &str) -> String {
        cat(&self.path(path))
    }

    /// Another process that holds the file open until it is dropped.
    fn holder(&self, path: &str) -> Holder {
        // The shell opens it: this process must not become a reader itself.
        let mut command = Command::new("sh");
        command.args(["-c", "exec sleep 600 <\"$0\""]).arg(self.path(path)).current_dir("/");
        let holder = Holder(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        wait("the file to be open", || {
            let readers = self.program.json(&["status"])["readers"].clone();
            readers
                .as_array()
                .unwrap()
                .iter()
                .any(|one| one["pid"] == holder.0.id() && one["holds"] == "file")
        });
        holder
    }
}

struct Holder(Child);

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        self.program.run(&["unmount", "--force"]);
    }
}

fn cat(path: &Path) -> String {
    let output = Command::new("cat").arg(path).current_dir("/").output().unwrap();
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr)
}

fn wait(what: &str, condition: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < until, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_starts_after_an_update_or_a_clear_sees_the_change() {
    let mut mounted = Mounted::new();
    let file = "git/github.com/team/docs/a";
    assert_eq!(mounted.read(file), "one");
    for (round, verb) in ["update", "clear", "update", "clear", "update"].into_iter().enumerate() {
        let content = format!("round {round}");
        mounted.repository.commit(&[File::new("a", content.clone())]);
        let report = mounted.program.json(&[verb, "git/github.com/team/docs"]);
        assert_eq!(report.get("unanswered"), None, "{report}");
        assert_eq!(mounted.read(file), content, "after {verb}");
    }
}

#[test]
fn a_name_is_there_when_add_returns_and_gone_when_remove_does() {
    let mounted = Mounted::new();
    let url = mounted.repository.url();
    mounted.program.json(&["add", "team/docs", &url]);
    assert_eq!(mounted.read("team/docs/a"), "one");
    mounted.program.json(&["remove", "team/docs"]);
    assert!(mounted.read("team/docs/a").contains("No such file"));
}

#[test]
fn a_pinned_path_never_changes() {
    let mut mounted = Mounted::new();
    let key = "git/github.com/team/docs";
    let location = mounted.program.json(&["path", key, "--pin"]);
    let pinned = PathBuf::from(location["path"].as_str().unwrap()).join("a");
    assert_eq!(cat(&pinned), "one");
    mounted.repository.commit(&[File::new("a", "two")]);
    mounted.program.json(&["update", key]);
    assert_eq!((cat(&pinned), mounted.read(&format!("{key}/a"))), ("one".to_owned(), "two".to_owned()));
    // The path in the mount is a key too.
    let again = mounted.program.json(&["path", pinned.parent().unwrap().to_str().unwrap()]);
    assert_eq!(again["path"], location["path"]);
}

#[test]
fn clear_names_who_holds_what_and_waits_if_asked() {
    let mounted = Mounted::new();
    let key = "git/github.com/team/docs";
    let holder = mounted.holder(&format!("{key}/a"));
    let report = mounted.program.json(&["clear", key]);
    let cleared = &report["mirrors"][0];
    assert!(cleared["held"].as_u64().unwrap() > 0, "{report}");
    let readers = cleared["readers"].as_array().unwrap();
    let pids: Vec<&Value> = readers.iter().map(|reader| &reader["pid"]).collect();
    assert_eq!(pids, [&Value::from(holder.0.id())], "the daemon is no reader: {report}");
    assert_eq!((&readers[0]["holds"], &readers[0]["view"]), (&"file".into(), &key.into()));

    let mut waiting = mounted.program.command(&["--json", "clear", "--wait", key]);
    let mut waiting = waiting.stdout(Stdio::piped()).spawn().unwrap();
    assert!(waiting.try_wait().unwrap().is_none(), "it waits for the holder");
    drop(holder);
    let until = Instant::now() + Duration::from_secs(30);
    let status = loop {
        if let Some(status) = waiting.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < until, "the verb never ended");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(status.success());
}

#[test]
fn a_clear_that_would_wait_for_what_it_was_started_with_says_so_and_does_not() {
    let mounted = Mounted::new();
    let key = "git/github.com/team/docs";
    mounted.read(&format!("{key}/a"));
    let inherited = std::fs::File::open(mounted.path(&format!("{key}/a"))).unwrap();
    let mut waiting = mounted.program.command(&["clear", "--wait", key]);
    let mut waiting = waiting.stdin(inherited).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(30);
    while waiting.try_wait().unwrap().is_none() {
        if Instant::now() > until {
            waiting.kill().unwrap();
            panic!("it waits for itself");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let ended = waiting.wait_with_output().unwrap();
    let (out, said) = (String::from_utf8(ended.stdout).unwrap(), String::from_utf8(ended.stderr).unwrap());
    assert!(!ended.status.success() && out.starts_with(key), "{out}{said}");
    assert!(
        said.contains("this process itself was started with a file in git/github.com/team/docs"),
        "{said}"
    );
}

#[test]
fn status_tells_of_the_mount_and_explain_of_a_failure_in_it() {
    let mounted = Mounted::new();
    mounted.read("git/github.com/team/docs/a");
    let status = mounted.program.json(&["status"]);
    assert_eq!(status["mounts"][0]["mount_point"], mounted.path("").to_str().unwrap().trim_end_matches('/'));
    assert_eq!(status["mounts"][0]["views"], 1);
    let missing = mounted.path("git/github.com/team/none");
    assert!(cat(&missing.join("a")).contains("No such file"));
    let explained = mounted.program.json(&["explain", missing.to_str().unwrap()]);
    assert_eq!(explained["failure"]["kind"], "not_found", "{explained}");
    mounted.program.configure("nonsense = 1\n");
    wait("the daemon to see it", || {
        let problem =
            &mounted.program.run(&["--config", "/dev/null", "--json", "status"]).json()["mounts"][0];
        problem["configuration_problem"].as_str().is_some_and(|text| text.contains("nonsense"))
    });
}
