//! Git hosts that a path in the mount may reach, and how a path becomes a url there.
//!
//! A host that is not in this list is never contacted because of a path that somebody typed. Its url
//! is a template, so that a company's server, a mirror or a directory of bare repositories can stand
//! behind a name. What reaches the template has passed the grammar of [`check_segment`] first.

use super::Forge;
use crate::error::{Error, Kind, Result};
use crate::key::GitUrl;

/// The well-known public forges: name, url template, whether groups nest, its software.
const WELL_KNOWN: &[(&str, &str, bool, Forge)] = &[
    ("github.com", "https://github.com/{path}.git", false, Forge::GitHub),
    ("gitlab.com", "https://gitlab.com/{path}.git", true, Forge::GitLab),
    ("codeberg.org", "https://codeberg.org/{path}.git", false, Forge::Gitea),
    ("bitbucket.org", "https://bitbucket.org/{path}.git", false, Forge::Bitbucket),
    // sourcehut writes `~user/repo`, and serves no `repo.git`.
    ("git.sr.ht", "https://git.sr.ht/{path}", false, Forge::Sourcehut),
    ("gitea.com", "https://gitea.com/{path}.git", false, Forge::Gitea),
    ("opendev.org", "https://opendev.org/{path}.git", false, Forge::Gitea),
    ("salsa.debian.org", "https://salsa.debian.org/{path}.git", true, Forge::GitLab),
    ("gitlab.freedesktop.org", "https://gitlab.freedesktop.org/{path}.git", true, Forge::GitLab),
    ("gitlab.gnome.org", "https://gitlab.gnome.org/{path}.git", true, Forge::GitLab),
    ("invent.kde.org", "https://invent.kde.org/{path}.git", true, Forge::GitLab),
    ("git.kernel.org", "https://git.kernel.org/{path}.git", true, Forge::Cgit),
];

/// What programs look for in every directory above the one they work in: never an owner, a repository or,
/// without a version, a package, so that `cargo` or an editor below `git/` asks no forge about `Cargo.toml`.
/// A repository that really is called so can be named in the configuration, a package with its version.
const PROBED: &[&str] = &[
    "HEAD",
    "FETCH_HEAD",
    "ORIG_HEAD",
    "AGENTS.md",
    "BUILD",
    "BUILD.bazel",
    "CLAUDE.md",
    "CMakeLists.txt",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "Gemfile",
    "LICENSE",
    "MODULE.bazel",
    "Makefile",
    "README",
    "README.md",
    "Thumbs.db",
    "WORKSPACE",
    "autorun.inf",
    "compile_commands.json",
    "compile_flags.txt",
    "composer.json",
    "deno.json",
    "desktop.ini",
    "favicon.ico",
    "go.mod",
    "go.work",
    "jsconfig.json",
    "node_modules",
    "package-lock.json",
    "package.json",
    "packed-refs",
    "pnpm-workspace.yaml",
    "pom.xml",
    "pyproject.toml",
    "pyrightconfig.json",
    "rust-project.json",
    "rust-toolchain",
    "rust-toolchain.toml",
    "setup.cfg",
    "setup.py",
    "tsconfig.json",
];

/// Parts of a bare repository: no owner, but there are repositories called `config`.
const PARTS_OF_GIT: &[&str] = &["branches", "config", "hooks", "info", "logs", "modules", "objects", "refs"];

/// The longest owner or repository name, in bytes. GitHub and GitLab allow no more.
const LONGEST_SEGMENT: usize = 100;

/// The deepest nesting of groups, the repository included. GitLab allows 20 groups.
pub(crate) const DEEPEST: usize = 21;

/// A git host that paths below `git/` may reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its name in paths: `git/<name>/...`.
    pub name: String,
    /// Its url, with `{path}` where the repository's path goes.
    pub url: String,
    /// Whether groups nest (GitLab), so that a path may have more than two segments.
    pub nested: bool,
    /// What shows its repositories to people, if that is known.
    pub forge: Option<Forge>,
}

impl Host {
    /// A host; fails with [`Kind::Invalid`] if the name or the template could not work.
    pub fn new(name: &str, url: &str, nested: bool) -> Result<Self> {
        check_name(name)?;
        check_template(url)?;
        Ok(Host { name: name.to_owned(), url: url.to_owned(), nested, forge: None })
    }

    /// The well-known public forges.
    pub fn well_known() -> Vec<Host> {
        let host = |&(name, url, nested, forge): &(&str, &str, bool, Forge)| Host {
            name: name.to_owned(),
            url: url.to_owned(),
            nested,
            forge: Some(forge),
        };
        WELL_KNOWN.iter().map(host).collect()
    }

    /// The url of the repository whose path is `segments` (without `.git`).
    ///
    /// Fails with [`Kind::Invalid`] where the forge's grammar allows no such repository.
    pub fn repository(&self, segments: &[&str]) -> Result<GitUrl> {
        let what = || format!("read the path {:?} on {}", segments.join("/"), self.name);
        match (segments.len(), self.nested) {
            (2, _) => {}
            (3..=DEEPEST, true) => {}
            (_, false) => {
                return Err(Error::new(Kind::Invalid, what(), "a repository there is owner/repository"));
            }
            (_, true) => {
                return Err(Error::new(
                    Kind::Invalid,
                    what(),
                    format!("a repository there is group/.../repository, at most {DEEPEST} deep"),
                ));
            }
        }
        let last = segments.len() - 1;
        for (index, segment) in segments.iter().enumerate() {
            check_segment(segment, index, index == last).map_err(|error| error.during(what()))?;
        }
        GitUrl::parse(&self.url.replace("{path}", &segments.join("/")))
    }

    /// The path of the repository at `url` on this host; none if it is not there.
    pub fn path_of(&self, url: &GitUrl) -> Option<String> {
        // A sample goes through the same normalisation as the url itself.
        let sample = self.sample()?;
        let (before, after) = sample.identity().split_once(SAMPLE)?;
        let path = url.identity().strip_prefix(before)?.strip_suffix(after)?;
        let segments: Vec<&str> = path.split('/').collect();
        (self.repository(&segments).ok()? == *url).then(|| path.to_owned())
    }

    /// The host name that git talks to; none for `file:`.
    pub fn address(&self) -> Option<String> {
        Some(self.sample()?.host()?.to_owned())
    }

    /// The url of some repository on it.
    pub(super) fn sample(&self) -> Option<GitUrl> {
        GitUrl::parse(&self.url.replace("{path}", SAMPLE)).ok()
    }
}

const SAMPLE: &str = "owner/repository";

fn check_name(name: &str) -> Result<()> {
    let invalid = |why: &str| {
        Err(Error::new(Kind::Invalid, format!("read the host name {name:?}"), why.to_owned())
            .hint("write it as in urls and in lower case: git.example.org"))
    };
    if name.is_empty() || name.len() > 253 {
        return invalid("it is empty or longer than 253 bytes");
    }
    if !name
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_' | b':'))
    {
        return invalid("it may hold lower-case letters, digits and . - _ :");
    }
    if name.starts_with(['.', '-', ':']) || name.ends_with(['.', ':']) || name.contains("..") {
        return invalid("a dot, a dash or a colon stands where it may not");
    }
    Ok(())
}

fn check_template(template: &str) -> Result<()> {
    let invalid = |why: &str| {
        Error::new(
            Kind::Invalid,
            format!("read the url template {:?}", crate::redact::redact(template)),
            why.to_owned(),
        )
        .hint("write it like https://git.example.org/{path}.git")
    };
    if template.matches("{path}").count() != 1 {
        return Err(invalid("{path} must stand in it once"));
    }
    let with = |path: &str| GitUrl::parse(&template.replace("{path}", path));
    let (one, other) = (with(SAMPLE)?, with("x/y")?);
    if one.host() != other.host() || one.identity().split('/').next() != other.identity().split('/').next() {
        return Err(invalid("{path} must stand after the host, not in it"));
    }
    if template.replace("{path}", "").contains(['{', '}']) {
        return Err(invalid("only {path} may stand in braces"));
    }
    Ok(())
}

/// Whether `segment` may stand at `index` of a path on a host: as an owner or group, or as the
/// repository. The grammar of all forges together; what none of them allows costs no request.
pub(crate) fn check_segment(segment: &str, index: usize, repository: bool) -> Result<()> {
    let invalid = |why: &str| Error::new(Kind::Invalid, format!("read the name {segment:?}"), why.to_owned());
    if segment.is_empty() || segment.len() > LONGEST_SEGMENT {
        return Err(invalid(&format!("it is empty or longer than {LONGEST_SEGMENT} bytes")));
    }
    let rest = if index == 0 { segment.strip_prefix('~').unwrap_or(segment) } else { segment };
    if rest.is_empty()
        || !rest.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'+'))
    {
        return Err(invalid("it may hold letters, digits and . - _ +"));
    }
    if rest.starts_with(['.', '-']) {
        return Err(invalid("it begins with a dot or a dash")
            .hint("a repository that is called so can be named with `srcfs add NAME URL`"));
    }
    if rest.ends_with('.') || rest.contains("..") {
        return Err(invalid("no forge allows dots there"));
    }
    if rest.len() >= 4 && rest[rest.len() - 4..].eq_ignore_ascii_case(".git") {
        return Err(invalid("it ends in .git").hint("leave the .git out"));
    }
    if is_probed(rest) || (!repository && PARTS_OF_GIT.contains(&rest)) {
        return Err(invalid("programs look for this name in every directory, so no forge is asked for it")
            .hint("a repository that is called so can be named with `srcfs add NAME URL`"));
    }
    Ok(())
}

/// Whether programs look for a file of this name in every directory above the one they work in.
pub(crate) fn is_probed(name: &str) -> bool {
    PROBED.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn well_known(name: &str) -> Host {
        Host::well_known().into_iter().find(|host| host.name == name).unwrap()
    }

    #[test]
    fn the_well_known_hosts_are_valid_and_sorted_apart() {
        for host in Host::well_known() {
            let made = Host::new(&host.name, &host.url, host.nested).unwrap();
            assert_eq!(Host { forge: host.forge, ..made }, host);
            assert_eq!(host.address().as_deref(), Some(host.name.as_str()));
        }
    }

    #[test]
    fn a_path_becomes_a_url_and_back() {
        let github = well_known("github.com");
        let url = github.repository(&["rust-lang", "log"]).unwrap();
        assert_eq!(url.as_str(), "https://github.com/rust-lang/log.git");
        assert_eq!(github.path_of(&url).as_deref(), Some("rust-lang/log"));
        assert_eq!(well_known("codeberg.org").path_of(&url), None);

        let gitlab = well_known("gitlab.com");
        let url = gitlab.repository(&["a", "b", "c"]).unwrap();
        assert_eq!(gitlab.path_of(&url).as_deref(), Some("a/b/c"));

        let sourcehut = well_known("git.sr.ht");
        let url = sourcehut.repository(&["~user", "repo"]).unwrap();
        assert_eq!(url.as_str(), "https://git.sr.ht/~user/repo");
        assert_eq!(sourcehut.path_of(&url).as_deref(), Some("~user/repo"));

        let local = Host::new("example.test", "file:///srv/git/{path}.git", false).unwrap();
        let url = local.repository(&["a", "b"]).unwrap();
        assert_eq!(url.as_str(), "file:///srv/git/a/b.git");
        assert_eq!(local.path_of(&url).as_deref(), Some("a/b"));
    }

    #[test]
    fn a_path_of_the_wrong_depth_is_refused() {
        let github = well_known("github.com");
        assert!(github.repository(&["a"]).is_err());
        assert!(github.repository(&["a", "b", "c"]).is_err());
        assert!(well_known("gitlab.com").repository(&["a"]).is_err());
        assert!(well_known("gitlab.com").repository(&["a"; 22]).is_err());
    }

    #[test]
    fn hostile_segments_are_refused() {
        let long = "a".repeat(101);
        for segment in [
            "",
            ".",
            "..",
            ".git",
            ".hg",
            "-x",
            "--upload-pack=x",
            "a b",
            "a\nb",
            "%2e%2e%2f",
            "a\\b",
            "a\u{202e}b",
            "a\u{200b}b",
            "é",
            "a..b",
            "a.",
            "x.git",
            "x.GIT",
            "HEAD",
            "Cargo.toml",
            "a@b",
            "a:b",
            "a/b",
            "~",
            "$(x)",
            "a;b",
            "{path}",
            &long,
        ] {
            assert!(check_segment(segment, 0, false).is_err(), "{segment:?} as an owner");
            assert!(check_segment(segment, 1, true).is_err(), "{segment:?} as a repository");
        }
        assert!(check_segment("objects", 0, false).is_err());
        assert!(check_segment("config", 1, true).is_ok(), "symfony/config is a repository");
        assert!(check_segment("~user", 1, true).is_err());
    }

    #[test]
    fn templates_that_could_leave_their_host_are_refused() {
        for template in [
            "https://example.org/x.git",
            "https://{path}/x",
            "https://example.org{path}",
            "https://{path}@example.org/x",
            "https://example.org:{path}/",
            "https://example.org/{path}/{path}",
            "https://example.org/{path}/{other}",
            "https://user:secret@example.org/{path}",
            "ext::sh -c {path}",
            "{path}",
            "-{path}",
        ] {
            let error = Host::new("example.org", template, false).unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid, "{template}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        for template in
            ["git@example.org:{path}.git", "ssh://git@example.org/{path}", "http://127.0.0.1:8080/{path}.git"]
        {
            Host::new("example.org", template, true).unwrap();
        }
    }

    #[test]
    fn host_names_are_lower_case() {
        for name in ["", "GitHub.com", "a/b", "..", ".a", "a..b", "a b", "-a", "a@b"] {
            assert!(Host::new(name, "https://example.org/{path}", false).is_err(), "{name:?}");
        }
        Host::new("localhost:8080", "http://localhost:8080/{path}", false).unwrap();
    }
}
