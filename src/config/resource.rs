//! Named resources: what may stand in a `[[resource]]`, each field parsed into its type.
//!
//! The name becomes a directory of the mount, so its grammar is narrow; nothing here touches the
//! disk or the network. Every function fails with [`ErrorKind::Invalid`] and says what to do.

use crate::error::{Error, Kind as ErrorKind, Result};
use crate::key::{GitUrl, Key, Kind, Package, Reference, refuse_invisible};

/// What may not be the first component of a resource's name: the kinds that the mount has or will
/// have, and its own files. Names that begin with a dot are refused everywhere.
pub const RESERVED: &[&str] = &["git", "npm", "crates", "pypi", "local", "projects", "README.md"];

const LONGEST_NAME: usize = 128;
const LONGEST_SUBPATH: usize = 1024;
const MOST_SUBPATHS: usize = 64;
const LONGEST_NOTE: usize = 500;

/// A source tree under a name of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Its path below the mount; `/` in it makes directories. That of a directory begins with `local/`,
    /// which the file leaves out.
    pub name: String,
    /// What it is.
    pub key: Key,
    /// What is shown unless another reference is asked for.
    pub reference: Reference,
    /// The only paths that its view shows, sorted, each once; all if empty.
    pub subpaths: Vec<String>,
    /// What its users should know.
    pub note: Option<String>,
}

impl Resource {
    /// The path below the mount of a resource that the file calls `name`.
    pub fn path_of(name: &str, key: &Key) -> String {
        match key.kind() {
            Kind::Local => format!("{}{name}", Self::LOCAL),
            _ => name.to_owned(),
        }
    }

    /// Its name as it stands in the file.
    pub fn name_in_file(&self) -> &str {
        match self.key.kind() {
            Kind::Local => self.name.strip_prefix(Self::LOCAL).unwrap_or(&self.name),
            _ => &self.name,
        }
    }

    /// What the paths of directories begin with.
    const LOCAL: &str = "local/";
}

/// Refuses what cannot be the name of a resource.
pub fn check_name(name: &str) -> Result<()> {
    let invalid = |why: String| {
        Error::new(ErrorKind::Invalid, format!("read the resource name {name:?}"), why)
            .hint("use letters, digits and . - _, with / for directories, like team/docs")
    };
    if name.is_empty() || name.len() > LONGEST_NAME {
        return Err(invalid(format!("it is empty or longer than {LONGEST_NAME} bytes")));
    }
    for segment in name.split('/') {
        check_name_segment(segment).map_err(|why| invalid(why.to_owned()))?;
    }
    let first = name.split('/').next().unwrap_or(name);
    if RESERVED.contains(&first) {
        return Err(invalid(format!("{first} is a name of the mount itself")));
    }
    Ok(())
}

/// Why `segment` cannot be one component of a resource's name, if it cannot.
pub(crate) fn check_name_segment(segment: &str) -> Result<(), &'static str> {
    if segment.is_empty() {
        return Err("a part of it is empty");
    }
    if !segment.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')) {
        return Err("it holds a character other than letters, digits, dot, dash and underscore");
    }
    if segment.starts_with(['.', '-']) {
        return Err("a part of it begins with a dot or a dash");
    }
    Ok(())
}

/// Parses the url of a resource. `hosts` are the hosts whose urls are trusted although they are
/// private or not encrypted: names and addresses of the configured `[[host]]`s.
pub(super) fn parse_url(text: &str, trusted: impl Fn(&GitUrl) -> bool) -> Result<GitUrl> {
    let shown = crate::redact::redact_url(text);
    let invalid =
        |why: &str| Error::new(ErrorKind::Invalid, format!("read the git url {shown:?}"), why.to_owned());
    // Every url has a colon, also one as ssh writes it.
    if !text.is_empty() && !text.contains(':') && !text.starts_with('-') {
        return Err(invalid("it is no url").hint(format!(
            "write a repository as https://host/path.git, and a directory of this machine as --path {shown} \
             (in the configuration: path = \"/...\")"
        )));
    }
    let url = GitUrl::parse(text)?;
    if let Some((repository, page)) = pasted_page(&url) {
        return Err(invalid("it is the page of a directory or a file, not of a repository")
            .hint(format!("write {repository}, with what follows {page} as ref and subpaths")));
    }
    if trusted(&url) {
        return Ok(url);
    }
    let host = url.host().unwrap_or_default();
    if url.is_private() {
        return Err(invalid("it is an address of this machine or of a private network")
            .hint(format!("add a [[host]] with name = {host:?} to the configuration if that is meant")));
    }
    if url.transport() == crate::key::Transport::Http {
        return Err(invalid("http:// can be read and changed by anybody on the way").hint(format!(
            "use https://, or add a [[host]] for {host} with a url that begins with http://"
        )));
    }
    Ok(url)
}

/// Parses the name of a package; a version that stands behind it is refused with what to write instead.
pub(super) fn parse_package(kind: Kind, text: &str) -> Result<Package> {
    Package::new(kind, text).map_err(|error| {
        // The first of npm may be that of a scope.
        let end = text.char_indices().skip(1).find(|(_, c)| "@=<>~^! ".contains(*c)).map(|(at, _)| at);
        let parts = end.map(|end| (&text[..end], text[end..].trim_start_matches(['@', ' '])));
        match parts.filter(|(name, version)| !version.is_empty() && Package::new(kind, name).is_ok()) {
            Some((name, version)) => error.hint(format!("write {name}, and {version} as ref")),
            None => error,
        }
    })
}

/// What to write as the reference of a resource of `kind`, where nothing better can be said.
pub(super) fn reference_hint(kind: Kind) -> &'static str {
    match kind {
        Kind::Git => "write a branch, a tag or a full commit id",
        Kind::Npm => "write a version, a range or a dist-tag",
        Kind::Crates | Kind::Pypi => "write a version or a range",
        Kind::Local => "leave it out",
    }
}

/// The url of the repository whose web page `url` is, and what marks it as a page.
fn pasted_page(url: &GitUrl) -> Option<(&str, &'static str)> {
    if url.transport() != crate::key::Transport::Https {
        return None;
    }
    let pages = ["/-/tree/", "/-/blob/", "/tree/", "/blob/", "/src/branch/"];
    pages.into_iter().find_map(|page| {
        let (repository, _) = url.as_str().split_once(page)?;
        // https://host/owner/repository: an owner may be called `tree`.
        (repository.split('/').count() >= 5).then_some((repository, page))
    })
}

/// Checks one subpath and takes trailing slashes off it.
pub fn parse_subpath(text: &str) -> Result<String> {
    let pasted = pasted_prefix(text);
    let invalid = |why: &str| {
        let hint = match pasted {
            Some(prefix) => format!("leave out {prefix:?}, which is part of the web page's address"),
            None => "write it relative to the root of the tree, like docs/guide".to_owned(),
        };
        Error::new(ErrorKind::Invalid, format!("read the subpath {text:?}"), why.to_owned()).hint(hint)
    };
    refuse_invisible("the subpath", text)?;
    if text.starts_with('/') || text.contains("://") {
        return Err(invalid("it is not relative"));
    }
    let path = text.trim_end_matches('/');
    if path.is_empty() || path.len() > LONGEST_SUBPATH {
        return Err(invalid(&format!("it is empty or longer than {LONGEST_SUBPATH} bytes")));
    }
    if path.split('/').any(|part| matches!(part, "" | "." | "..") || part.len() > 255) {
        return Err(invalid("a part of it is empty, too long, . or .."));
    }
    if path.split('/').any(|part| part.eq_ignore_ascii_case(".git")) || path.contains('\\') {
        return Err(invalid("no tree of git has such a path"));
    }
    Ok(path.to_owned())
}

/// The `tree/<branch>/` in front of a path that was pasted from a forge's web page.
pub fn pasted_prefix(text: &str) -> Option<&str> {
    let start = text.find("tree/").or_else(|| text.find("blob/"))?;
    if start != 0 && !text[..start].ends_with('/') {
        return None;
    }
    let branch = &text[start + 5..];
    let length = branch.find('/').map_or(branch.len(), |at| at + 1);
    (length > 0).then(|| &text[..start + 5 + length])
}

/// Checks all subpaths of one resource; sorted, each once, none below another of them.
pub fn parse_subpaths(texts: &[&str]) -> Result<Vec<String>> {
    if texts.len() > MOST_SUBPATHS {
        return Err(Error::new(
            ErrorKind::Invalid,
            "read the subpaths",
            format!("there are {}, more than {MOST_SUBPATHS}", texts.len()),
        ));
    }
    let mut paths = texts.iter().map(|text| parse_subpath(text)).collect::<Result<Vec<String>>>()?;
    paths.sort();
    paths.dedup();
    let all = paths.clone();
    paths.retain(|path| {
        !all.iter().any(|other| path.strip_prefix(other.as_str()).is_some_and(|rest| rest.starts_with('/')))
    });
    Ok(paths)
}

/// Checks a note.
pub fn check_note(text: &str) -> Result<()> {
    let invalid = |why: String| {
        Err(Error::new(ErrorKind::Invalid, "read the note", why)
            .hint("say in a sentence or two where to start"))
    };
    let length = text.chars().count();
    if length > LONGEST_NOTE {
        return invalid(format!("it has {length} characters, more than {LONGEST_NOTE}"));
    }
    if text.chars().any(|c| c.is_control() && c != '\n') {
        return invalid("it holds a control character".to_owned());
    }
    refuse_invisible("the note", &text.replace('\n', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_directories_and_nothing_else() {
        for name in ["docs", "team/docs", "a.b-c_d", "gitlab", "crates.io", "Docs2"] {
            check_name(name).unwrap();
        }
        let long = "a".repeat(129);
        for name in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            ".",
            "..",
            "a/..",
            ".a",
            "a/.b",
            "-a",
            "a b",
            "a@b",
            "a\nb",
            "é",
            "git",
            "npm/x",
            "README.md",
            "projects/a",
            "a\\b",
            "%2e",
            &long,
        ] {
            assert_eq!(check_name(name).unwrap_err().kind(), ErrorKind::Invalid, "{name:?}");
        }
    }

    #[test]
    fn private_and_open_urls_need_a_host_of_the_configuration() {
        for url in ["https://127.0.0.1/a", "https://intranet/a", "git@10.0.0.1:a", "http://example.org/a"] {
            let error = parse_url(url, |_| false).unwrap_err();
            assert!(error.advice().unwrap().contains("[[host]]"), "{error}");
            parse_url(url, |_| true).unwrap();
        }
        parse_url("file:///srv/a.git", |_| false).unwrap();
    }

    #[test]
    fn a_pasted_web_page_is_recognised() {
        let error = parse_url("https://github.com/a/b/tree/main/docs", |_| false).unwrap_err();
        assert!(error.advice().unwrap().starts_with("write https://github.com/a/b,"), "{error}");
        let error = parse_url("https://gitlab.com/a/b/-/tree/main/docs", |_| false).unwrap_err();
        assert!(error.advice().unwrap().starts_with("write https://gitlab.com/a/b,"), "{error}");
        let error = parse_subpath("/tree/main/docs").unwrap_err();
        assert!(error.advice().unwrap().contains("/tree/main/"), "{error}");
    }

    #[test]
    fn subpaths_are_relative_and_minimal() {
        assert_eq!(parse_subpaths(&["b/", "a", "a/c", "a", "ab"]).unwrap(), ["a", "ab", "b"]);
        for path in ["", "/", "/a", "a/../b", "..", ".", "./a", "a//b", ".git", "a/.GIT/b", "a\nb", "a\\b"] {
            assert_eq!(parse_subpath(path).unwrap_err().kind(), ErrorKind::Invalid, "{path:?}");
        }
        assert!(parse_subpaths(&["a"; 65]).is_err());
    }

    #[test]
    fn notes_are_short_plain_text() {
        check_note("start at guide/intro.md\nthen the reference").unwrap();
        assert!(check_note(&"a".repeat(501)).is_err());
        assert!(check_note("a\u{1b}[31m").is_err());
        assert!(check_note("a\u{202e}b").is_err());
    }
}
