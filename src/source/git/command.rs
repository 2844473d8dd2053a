//! The one place that says how git is called: its fixed options, its environment, its operands.
//!
//! Invariants: every command has an explicit `--git-dir`; no hook, file system monitor, background
//! task, submodule, bundle or redirect is followed; nobody is asked for anything; no text of a user
//! or a server reaches an option, because operands stand behind `--end-of-options`; and no credential
//! reaches an argument, because a [`GitUrl`] holds none. The user's own configuration (credential
//! helpers, proxies, ssh, `insteadOf`) stays in force: that is what the user's git is used for.
//!
//! Builds values only; [`super::child`] runs them.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::time::Duration;

use crate::key::GitUrl;

/// Options before the verb, the same for every command.
const FIXED: &[&str] = &[
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.askPass=",
    "credential.interactive=false",
    "fetch.prune=false",
    "fetch.pruneTags=false",
    "fetch.recurseSubmodules=no",
    // Always a pack, never loose objects: only packs are published.
    "fetch.unpackLimit=1",
    "fetch.writeCommitGraph=false",
    "gc.auto=0",
    "http.followRedirects=false",
    "maintenance.auto=false",
    "pack.writeReverseIndex=false",
    "protocol.version=2",
    "submodule.recurse=false",
    "transfer.bundleURI=false",
];

/// What git and its helpers find in the environment, whatever srcfs was started with.
const ENVIRONMENT: &[(&str, &str)] = &[
    // Messages are classified, so they must be in one language.
    ("LC_ALL", "C"),
    // What a url may become by the user's own `insteadOf`, and nothing that runs a program (`ext`)
    // or skips all authentication (`git`). Redirects never get here: git does not follow them.
    ("GIT_ALLOW_PROTOCOL", "file:http:https:ssh"),
    ("GIT_PROTOCOL_FROM_USER", "0"),
    ("GIT_CEILING_DIRECTORIES", "/"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    ("GIT_TERMINAL_PROMPT", "0"),
    // Empty is "none" for git, before core.askPass and SSH_ASKPASS are looked at.
    ("GIT_ASKPASS", ""),
    ("SSH_ASKPASS", "/bin/false"),
    ("SSH_ASKPASS_REQUIRE", "force"),
    ("GCM_INTERACTIVE", "never"),
    // The headers of each answer, on stderr: the target of a redirect, Retry-After, and whether a
    // credential was sent. Only super::transcript sees them, and keeps nothing else of them.
    ("GIT_TRACE_CURL", "1"),
    ("GIT_TRACE_CURL_NO_DATA", "1"),
    ("GIT_TRACE_REDACT", "1"),
];

/// Variables of git that say how the user reaches the network; any other `GIT_*` is dropped, because
/// it would name another repository, index or object store, or change what is printed.
const KEPT: &[&str] = &[
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_SYSTEM",
    "GIT_EXEC_PATH",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSH_VARIANT",
];
const KEPT_PREFIXES: &[&str] =
    &["GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_", "GIT_HTTP_", "GIT_PROXY_", "GIT_SSL_"];
/// Ways to a terminal, and working directories that a shell would look at.
const DROPPED: &[&str] = &["GPG_TTY", "OLDPWD", "PWD"];

/// A git command, ready to run.
#[derive(Debug)]
pub(super) struct Command {
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
}

impl Command {
    /// `git ls-remote` of `url`: the default branch, what `patterns` name, or all tips without any.
    pub(super) fn list(program: &Path, url: &GitUrl, what: Listing<'_>, silence: Duration) -> Self {
        // Outside any repository, said explicitly.
        let mut command = Self::new(program, Path::new("/dev/null"));
        // No byte for so long: curl gives up. What trickles is bounded by the deadline.
        let seconds = silence.as_secs().max(1);
        command.options(["-c", "http.lowSpeedLimit=1", "-c", &format!("http.lowSpeedTime={seconds}")]);
        command.options(["ls-remote"]);
        // Only with these does the server leave out everything else, such as its pull requests.
        let (heads, tags) = match what {
            Listing::Head => (false, false),
            Listing::Names { full_names } => {
                let any = |start| full_names.iter().any(|name| name.starts_with(start));
                (any("refs/heads/"), any("refs/tags/"))
            }
            Listing::Tips => (true, true),
        };
        let flags = [("--symref", !heads && !tags), ("--heads", heads), ("--tags", tags)];
        command.options(flags.iter().filter(|(_, wanted)| *wanted).map(|(flag, _)| *flag));
        command.options(["--end-of-options", url.as_str()]);
        match what {
            Listing::Head => command.options(["HEAD"]),
            Listing::Names { full_names } => command.options(full_names),
            Listing::Tips => {}
        }
        command
    }

    /// `git fetch` of one `refspec` into the bare repository `directory`.
    pub(super) fn fetch(program: &Path, directory: &Path, url: &GitUrl, refspec: &str) -> Self {
        let mut command = Self::new(program, directory);
        command.options(["fetch", "--depth=1", "--no-tags", "--no-write-fetch-head"]);
        command.options(["--no-auto-maintenance", "--no-recurse-submodules", "--progress"]);
        command.options(["--end-of-options", url.as_str(), refspec]);
        command
    }

    /// `git ls-files` of the work tree `top`, below `inside` of it: what is tracked, and what is neither
    /// tracked nor ignored, without looking at what matches `excluded`.
    pub(super) fn list_work_tree(program: &Path, top: &Path, inside: &Path, excluded: &[OsString]) -> Self {
        let mut command = Self::in_work_tree(program, top);
        command.options([
            "--literal-pathspecs",
            "ls-files",
            "-z",
            "-t",
            "--stage",
            "--cached",
            "--others",
            "--exclude-standard",
        ]);
        for pattern in excluded {
            command.options([OsStr::new("--exclude"), pattern]);
        }
        command.operand(inside)
    }

    /// `git check-ignore` of the directory `inside` of the work tree `top`.
    pub(super) fn is_ignored(program: &Path, top: &Path, inside: &Path) -> Self {
        let mut command = Self::in_work_tree(program, top);
        command.options(["check-ignore", "--quiet"]);
        // It knows no --literal-pathspecs; and no magic of theirs begins with a dot.
        command.operand(&Path::new(".").join(inside))
    }

    /// A command for a repository that somebody else may have made: it asks no server, whatever its
    /// configuration says that is missing and where it is to be had.
    fn in_work_tree(program: &Path, top: &Path) -> Self {
        let mut command = Self::new(program, &top.join(".git"));
        let mut work_tree = OsString::from("--work-tree=");
        work_tree.push(top);
        command.options([work_tree.as_os_str(), OsStr::new("-C"), top.as_os_str()]);
        command.with_environment(&[("GIT_ALLOW_PROTOCOL".into(), OsString::new())])
    }

    fn operand(mut self, path: &Path) -> Self {
        self.options(["--"]);
        if !path.as_os_str().is_empty() {
            self.options([path]);
        }
        self
    }

    fn new(program: &Path, directory: &Path) -> Self {
        let mut git_dir = OsString::from("--git-dir=");
        git_dir.push(directory);
        let mut arguments = vec![program.as_os_str().to_owned(), git_dir];
        for setting in FIXED {
            arguments.extend(["-c".into(), setting.into()]);
        }
        let mut environment: Vec<_> = std::env::vars_os().filter(|(name, _)| is_kept(name)).collect();
        environment.extend(ENVIRONMENT.iter().map(|(name, value)| (name.into(), value.into())));
        Command { arguments, environment }
    }

    fn options<'a>(&mut self, texts: impl IntoIterator<Item = &'a (impl AsRef<OsStr> + ?Sized + 'a)>) {
        self.arguments.extend(texts.into_iter().map(|text| text.as_ref().to_owned()));
    }

    /// Another program than git, with this environment and nothing else.
    pub(super) fn other(
        program: &Path,
        arguments: &[&OsStr],
        environment: Vec<(OsString, OsString)>,
    ) -> Self {
        let mut command = Command { arguments: vec![program.as_os_str().to_owned()], environment };
        command.options(arguments);
        command
    }

    /// Sets variables, as if srcfs had been started with them.
    pub(super) fn with_environment(mut self, extra: &[(OsString, OsString)]) -> Self {
        for (name, value) in extra {
            self.environment.retain(|(old, _)| old != name);
            self.environment.push((name.clone(), value.clone()));
        }
        self
    }

    /// The program and its arguments.
    pub(super) fn arguments(&self) -> &[OsString] {
        &self.arguments
    }

    /// The whole environment.
    pub(super) fn environment(&self) -> &[(OsString, OsString)] {
        &self.environment
    }
}

/// What to ask a remote for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Listing<'a> {
    /// Its HEAD, and the branch that it names.
    Head,
    /// These full names, each under `refs/heads/` or `refs/tags/`.
    Names {
        /// Checked by the grammar of references: no character of a pattern is in them.
        full_names: &'a [String],
    },
    /// All branches and tags.
    Tips,
}

fn is_kept(name: &OsStr) -> bool {
    // A name that is not UTF-8 is none of git's.
    let Some(name) = name.to_str() else { return true };
    if DROPPED.contains(&name) || ENVIRONMENT.iter().any(|(set, _)| *set == name) {
        return false;
    }
    !name.starts_with("GIT_")
        || KEPT.contains(&name)
        || KEPT_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_names_another_repository_is_inherited() {
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "PWD"] {
            assert!(!is_kept(OsStr::new(name)), "{name}");
        }
        for name in ["GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_CONFIG_PARAMETERS", "GIT_TRACE", "GPG_TTY"] {
            assert!(!is_kept(OsStr::new(name)), "{name}");
        }
        for name in ["HOME", "https_proxy", "SSH_AUTH_SOCK", "GIT_CONFIG_VALUE_0", "GIT_SSH_COMMAND"] {
            assert!(is_kept(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn operands_stand_behind_the_end_of_options() {
        let url = GitUrl::parse("https://example.org/a").unwrap();
        let names = ["refs/heads/x".to_owned()];
        for command in [
            Command::fetch(Path::new("git"), Path::new("/w"), &url, "a:b"),
            Command::list(
                Path::new("git"),
                &url,
                Listing::Names { full_names: &names },
                Duration::from_secs(3),
            ),
        ] {
            let arguments = command.arguments();
            let end = arguments.iter().position(|a| a == "--end-of-options").unwrap();
            assert_eq!(arguments[end + 1], "https://example.org/a");
            assert_eq!(arguments.len(), end + 3);
            assert!(arguments[1].to_str().unwrap().starts_with("--git-dir=/"));
        }
    }
}
