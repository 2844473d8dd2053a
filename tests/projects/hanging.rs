//! A project whose directory does not answer, as on a server that is away, hangs nobody but who asks for it.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::harness::repository::File;
use super::lockfiles::{WEB, directory, npm, package_lock, write};
use super::mounted2::{Site, errno, is_root, run, wait_until};
use super::place::Place;

/// A directory with these files, which answers only while the daemon behind it runs.
struct Remote {
    site: Site,
    directory: PathBuf,
}

impl Remote {
    /// Nobody has read any of its files yet.
    fn new(files: &[File]) -> Remote {
        let site = Site::mounted("refresh = \"never\"");
        site.repository_of("team/web", files);
        assert_eq!(run(Command::new("ls").arg(site.forge("team/web"))).code, 0, "{}", site.log());
        let [directory, empty] = ["remote", "empty"].map(|name| site.program.path().join(name));
        [&directory, &empty].iter().for_each(|place| fs::create_dir(place).unwrap());
        // Of another type: a mount of srcfs itself is no project's directory.
        let lower = format!("lowerdir={}:{}", site.forge("team/web").display(), empty.display());
        let mount = run(Command::new("mount").args(["-t", "overlay", "none", "-o", &lower]).arg(&directory));
        assert_eq!(mount.code, 0, "{mount:?}");
        Remote { site, directory }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.site.daemon()), signal).unwrap();
    }

    /// Has the configuration of `place` name it as the project `hung`.
    fn configure(&self, place: &Place) {
        let file = place.site.program.config();
        let line = format!("\n[[project]]\nname = \"hung\"\npath = {:?}\n", self.directory);
        fs::write(&file, fs::read_to_string(&file).unwrap() + &line).unwrap();
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.signal(Signal::SIGCONT);
        run(Command::new("umount").arg("-l").arg(&self.directory));
    }
}

fn start(program: &str, path: &std::path::Path) -> Child {
    let mut command = Command::new(program);
    command.arg(path).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn others_go_on_and_the_project_is_there_when_its_directory_answers() {
    if !is_root("mounting a file system") {
        return;
    }
    let mut place = Place::new();
    let (lib, other) = (npm(&place, "lib", "1.0.0"), npm(&place, "other", "1.0.0"));
    write(&place, "package-lock.json", &package_lock(&[("other", other.clone())], &["other"]));
    place.json(&["add", WEB, "--project", directory(&place).to_str().unwrap()]);
    let lock = package_lock(&[("lib", lib)], &["lib"]);
    let remote = Remote::new(&[File::new("package-lock.json", lock)]);
    remote.configure(&place);
    remote.signal(Signal::SIGSTOP);
    place.mount();

    // More than the mount has threads.
    let hung = place.path("projects/hung");
    let mut waiting: Vec<Child> = (0..10).map(|_| start("cat", &hung.join("npm/lib/version"))).collect();
    waiting.extend((0..10).map(|_| start("ls", &hung)));
    waiting.extend((0..2).map(|_| start("ls", &hung.join("npm"))));
    wait_until("they wait", || {
        let status: serde_json::Value = serde_json::from_str(&place.cat(".srcfs/status.json")).unwrap();
        status["waiting"].as_array().unwrap().len() >= 10
    });
    assert_eq!(place.ls("projects"), ["hung", WEB]);
    assert_eq!(place.ls("projects/web/npm"), ["other"]);
    assert_eq!(place.cat("projects/web/npm/other/version"), "1.0.0");
    assert_eq!(place.cat("npm/lib@1.0.0/version"), "1.0.0");
    assert!(place.cat("README.md").contains("srcfs"));
    for verb in ["update", "clear"] {
        let report = place.json(&[verb, "npm/other@1.0.0"]);
        assert!(report["unanswered"].is_null(), "{report}");
    }
    // What changes elsewhere is seen after a verb as ever.
    write(
        &place,
        "package-lock.json",
        &package_lock(&[("other", other), ("lib", npm(&place, "lib", "2.0.0"))], &[]),
    );
    place.json(&["update", "npm/other@1.0.0"]);
    assert_eq!(place.ls("projects/web/npm"), ["lib", "other"]);
    let listed = place.json(&["list"]);
    let of = |name: &str| {
        let mut rows = listed["projects"].as_array().unwrap().iter();
        rows.find(|row| row["key"] == format!("projects/{name}")).unwrap().clone()
    };
    assert_eq!(of(WEB)["pins"], 2, "{listed}");
    assert!(of("hung")["failures"].to_string().contains("does not answer"), "{listed}");
    assert!(waiting.iter_mut().all(|child| child.try_wait().unwrap().is_none()));

    // Who waits may give up.
    let mut first = waiting.remove(0);
    first.kill().unwrap();
    first.wait().unwrap();
    remote.signal(Signal::SIGCONT);
    for child in waiting {
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        assert!(output.status.success() && ["1.0.0", "npm", "lib"].contains(&&*text), "{output:?}");
    }
    assert_eq!(place.ls("projects/hung/npm"), ["lib"]);
}

#[test]
fn a_wait_for_a_project_has_a_bound() {
    if !is_root("mounting a file system") {
        return;
    }
    let mut place = Place::with("refresh = \"never\"\nreply_bound = \"1s\"");
    let lib = npm(&place, "lib", "1.0.0");
    let remote = Remote::new(&[File::new("package-lock.json", package_lock(&[("lib", lib)], &["lib"]))]);
    place.mount();
    remote.signal(Signal::SIGSTOP);
    // A project that is added later is nothing else.
    remote.configure(&place);
    wait_until("it is known", || place.ls("projects") == ["hung"]);
    let hung = place.path("projects/hung");
    assert_eq!(errno(fs::metadata(hung.join("npm/lib"))), libc::ETIMEDOUT);
    assert_eq!(
        errno(fs::read_dir(&hung).and_then(Iterator::collect::<std::io::Result<Vec<_>>>)),
        libc::ETIMEDOUT
    );
    remote.signal(Signal::SIGCONT);
    wait_until("it answers", || fs::metadata(hung.join("npm/lib")).is_ok());
    assert_eq!(place.cat("projects/hung/npm/lib/version"), "1.0.0");
}

#[test]
fn a_directory_that_is_a_fifo_hangs_nobody() {
    let mut place = Place::new();
    let fifo = directory(&place);
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let file = place.site.program.config();
    let line = format!("\n[[project]]\nname = \"web\"\npath = {fifo:?}\n");
    fs::write(&file, fs::read_to_string(&file).unwrap() + &line).unwrap();
    place.mount();
    assert!(place.ls("projects/web").is_empty());
    assert!(place.json(&["list"])["projects"][0]["failures"].to_string().contains("Not a directory"));
}

#[test]
fn a_directory_in_a_mount_of_srcfs_is_refused() {
    let mut place = Place::new();
    let lib = npm(&place, "lib", "1.0.0");
    place.mount();
    // A project in its own mount, by its name and through a link, and one with the mount in it.
    let inside = place.path("local");
    let [link, around] = ["link", "around"].map(|name| place.site.program.path().join(name));
    std::os::unix::fs::symlink(place.path("projects/deep/npm/lib"), &link).unwrap();
    fs::create_dir(&around).unwrap();
    let lock = package_lock(&[("lib", lib)], &["lib"]);
    fs::write(around.join("package-lock.json"), lock).unwrap();
    let project =
        |name: &str, path: &std::path::Path| format!("\n[[project]]\nname = {name:?}\npath = {path:?}\n");
    let file = place.site.program.config();
    let mut text = fs::read_to_string(&file).unwrap();
    text += &[("deep", &around), ("inside", &inside), ("link", &link)]
        .map(|(name, path)| project(name, path))
        .concat();
    fs::write(&file, text).unwrap();
    wait_until("it is read", || place.ls("projects") == ["deep", "inside", "link"]);
    for name in ["inside", "link"] {
        assert!(place.ls(&format!("projects/{name}")).is_empty());
        let explained = place.json(&["explain", place.path(&format!("projects/{name}")).to_str().unwrap()]);
        assert!(explained["failure"]["why"].as_str().unwrap().contains("lies in the mount"), "{explained}");
    }
    assert_eq!(place.cat("projects/deep/npm/lib/version"), "1.0.0", "others go on");
}

#[test]
fn a_project_around_the_mount_is_read_without_it() {
    let place = Place::new();
    let inside = directory(&place).join("src");
    fs::create_dir_all(&inside).unwrap();
    let lib = npm(&place, "lib", "1.0.0");
    write(&place, "package-lock.json", &package_lock(&[("lib", lib)], &["lib"]));
    // What would have the daemon ask itself.
    write(&place, "requirements.txt", "-r src/projects/web/pypi/six/requirements.txt\n");
    place.json(&["add", WEB, "--project", directory(&place).to_str().unwrap()]);
    let mut daemon = place.command(&["mount", "--foreground", inside.to_str().unwrap()]).spawn().unwrap();
    wait_until("it is mounted", || inside.join(".srcfs").symlink_metadata().is_ok());
    let read = run(Command::new("cat").arg(inside.join("projects/web/npm/lib/version")));
    let listed = place.json(&["list"]);
    let unmounted = place.run(&["unmount", inside.to_str().unwrap()]);
    wait_until("the daemon has ended", || daemon.try_wait().unwrap().is_some());
    assert_eq!((read.out.as_str(), unmounted.code), ("1.0.0", 0), "{read:?} {unmounted:?}");
    assert!(listed["projects"][0]["failures"].to_string().contains("into a mount"), "{listed}");
}
