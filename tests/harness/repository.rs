//! Makes git repositories: files and commits as a test wants them, by `git fast-import`.
//!
//! Ids are the same in each run: author and times are fixed (the n-th commit is n minutes younger).
//! No configuration of the machine is read.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The time of a repository's first commit.
pub const EPOCH: u64 = 1_700_000_000;

/// One path of a commit.
#[derive(Clone, Debug)]
pub struct File {
    path: String,
    mode: &'static str,
    content: Vec<u8>,
}

impl File {
    /// A plain file.
    pub fn new(path: &str, content: impl Into<Vec<u8>>) -> Self {
        File { path: path.to_owned(), mode: "100644", content: content.into() }
    }

    /// An executable file.
    pub fn executable(path: &str, content: impl Into<Vec<u8>>) -> Self {
        File { mode: "100755", ..File::new(path, content) }
    }

    /// A symbolic link.
    pub fn link(path: &str, target: &str) -> Self {
        File { mode: "120000", ..File::new(path, target) }
    }

    /// A submodule at `commit`. Its url is what a `.gitmodules` of the test says.
    pub fn submodule(path: &str, commit: &str) -> Self {
        File { mode: "160000", ..File::new(path, commit) }
    }
}

/// A tree of `count` small files in directories of 50, each with a content that names `version`.
pub fn many_files(count: usize, version: &str) -> Vec<File> {
    (0..count)
        .map(|n| File::new(&format!("d{:03}/f{n:05}.txt", n / 50), format!("file {n} of {version}\n")))
        .collect()
}

/// A bare repository that a test fills.
#[derive(Debug)]
pub struct Repository {
    directory: PathBuf,
    commits: u64,
}

impl Repository {
    /// Makes an empty one with the default branch `main`. The directory is made too.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        let directory = directory.into();
        std::fs::create_dir_all(&directory).unwrap();
        let repository = Repository { directory, commits: 0 };
        repository.git(&["init", "--quiet", "--bare", "--initial-branch=main", "."]);
        repository
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.directory
    }

    /// Its url for git on this machine.
    pub fn url(&self) -> String {
        format!("file://{}", self.directory.display())
    }

    /// Adds a commit to `main` that has exactly these files; returns its id.
    pub fn commit(&mut self, files: &[File]) -> String {
        self.commit_to("main", files)
    }

    /// Adds a commit to a branch, which is made if there is none.
    pub fn commit_to(&mut self, branch: &str, files: &[File]) -> String {
        let parent = self.try_git(&["rev-parse", "--verify", "--quiet", &format!("refs/heads/{branch}")]);
        self.import(branch, parent.as_deref(), files)
    }

    /// Replaces a branch by a single new commit that has no parent; returns its id. At no moment is
    /// the branch absent.
    pub fn force_push(&mut self, branch: &str, files: &[File]) -> String {
        self.import(branch, None, files)
    }

    fn import(&mut self, branch: &str, parent: Option<&str>, files: &[File]) -> String {
        self.commits += 1;
        let time = EPOCH + 60 * self.commits;
        let message = format!("commit {}", self.commits);
        let mut stream = Vec::new();
        let mut head = format!("commit refs/heads/{branch}\nmark :1\n");
        writeln!(head, "committer Test <test@example.org> {time} +0000").unwrap();
        writeln!(head, "data {}\n{message}", message.len()).unwrap();
        if let Some(parent) = parent {
            writeln!(head, "from {parent}").unwrap();
        }
        stream.extend(head.into_bytes());
        stream.extend(b"deleteall\n");
        for File { path, mode, content } in files {
            if *mode == "160000" {
                let commit = String::from_utf8_lossy(content);
                writeln!(stream, "M {mode} {commit} {path}").unwrap();
            } else {
                writeln!(stream, "M {mode} inline {path}\ndata {}", content.len()).unwrap();
                stream.extend(content);
                stream.push(b'\n');
            }
        }
        stream.extend(b"get-mark :1\ndone\n");
        let arguments = [
            "fast-import",
            "--quiet",
            "--done",
            "--force",
            "--cat-blob-fd=1",
            "--date-format=raw-permissive",
        ];
        let (ok, output) = self.run(&arguments, &stream);
        assert!(ok, "git fast-import failed");
        output.trim().to_owned()
    }

    /// Makes or moves a tag.
    pub fn tag(&self, name: &str, commit: &str) {
        self.git(&["tag", "--force", "--end-of-options", name, commit]);
    }

    /// Makes or moves an annotated tag; returns the id of the tag object.
    pub fn annotated_tag(&self, name: &str, commit: &str) -> String {
        self.git(&["tag", "--force", "-a", "-m", name, "--end-of-options", name, commit]);
        self.git(&["rev-parse", &format!("refs/tags/{name}")])
    }

    /// Makes or moves a branch.
    pub fn branch(&self, name: &str, commit: &str) {
        self.git(&["update-ref", &format!("refs/heads/{name}"), commit]);
    }

    /// Deletes a branch; nothing happens if there is none.
    pub fn delete_branch(&self, name: &str) {
        self.git(&["update-ref", "-d", &format!("refs/heads/{name}")]);
    }

    /// Lets HEAD name a branch, or a commit itself (detached).
    pub fn head(&self, target: &str) {
        match target.len() == 40 {
            true => self.git(&["update-ref", "--no-deref", "HEAD", target]),
            false => self.git(&["symbolic-ref", "HEAD", &format!("refs/heads/{target}")]),
        };
    }

    /// Sets its own configuration.
    pub fn configure(&self, name: &str, value: &str) {
        self.git(&["config", name, value]);
    }

    /// Forgets for good what no branch or tag leads to.
    pub fn prune(&self) {
        self.git(&["reflog", "expire", "--expire=now", "--all"]);
        self.git(&["gc", "--quiet", "--prune=now"]);
    }

    /// Runs git in it; returns what it printed, without the last line break.
    pub fn git(&self, arguments: &[&str]) -> String {
        self.try_git(arguments).unwrap_or_else(|| panic!("git {arguments:?} failed"))
    }

    fn try_git(&self, arguments: &[&str]) -> Option<String> {
        let (ok, output) = self.run(arguments, b"");
        ok.then(|| output.trim_end().to_owned())
    }

    fn run(&self, arguments: &[&str], input: &[u8]) -> (bool, String) {
        let time = format!("{} +0000", EPOCH + 60 * self.commits);
        let mut child = hermetic("git")
            .arg("--git-dir=.")
            .args(arguments)
            .current_dir(&self.directory)
            .env("GIT_COMMITTER_DATE", &time)
            .env("GIT_AUTHOR_DATE", &time)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let output = std::thread::scope(|scope| {
            scope.spawn(move || stdin.write_all(input));
            child.wait_with_output().unwrap()
        });
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// `program` without any configuration of git but the repository's own.
pub fn hermetic(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("GIT_")) {
            command.env_remove(name);
        }
    }
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "Test").env(format!("GIT_{who}_EMAIL"), "test@example.org");
    }
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").env("LC_ALL", "C");
    command
}
