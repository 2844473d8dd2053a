//! Permalinks: where a file of a commit is shown to people.
//!
//! The layouts are those of the forges' own "copy permalink". A host that is not known gets a citation
//! that names url, commit and path, which no browser opens but everybody can follow.

use crate::key::{GitUrl, Key, Origin, Transport};

/// How a host lays out its pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    GitHub,
    GitLab,
    Gitea,
    Bitbucket,
    Sourcehut,
}

/// What is cited of one revision.
#[derive(Clone, Debug)]
pub struct Citation {
    page: Option<(Layout, String)>,
    url: String,
    commit: String,
}

impl Citation {
    /// Of a revision of `key`.
    pub fn new(key: &Key, revision: &str) -> Self {
        let (page, url) = match key.origin() {
            Origin::Git(url) => (Self::page(url), url.to_string()),
            // What is left out of it does not matter to whoever looks for a file.
            Origin::Local(directory) => (None, directory.path().display().to_string()),
        };
        Citation { page, url, commit: revision.to_owned() }
    }

    /// How the host of a repository shows it, and where.
    fn page(url: &GitUrl) -> Option<(Layout, String)> {
        let layout = match url.host() {
            _ if url.transport() == Transport::File => None,
            Some("github.com") => Some(Layout::GitHub),
            Some("gitlab.com") => Some(Layout::GitLab),
            Some("codeberg.org" | "gitea.com") => Some(Layout::Gitea),
            Some("bitbucket.org") => Some(Layout::Bitbucket),
            Some("git.sr.ht") => Some(Layout::Sourcehut),
            Some(host) if host.starts_with("gitlab.") => Some(Layout::GitLab),
            _ => None,
        };
        layout.zip(url.host()).map(|(layout, host)| {
            let path = url.as_str().split_once("://").and_then(|(_, rest)| rest.split_once('/'));
            let path = path.map_or("", |(_, path)| path).trim_end_matches('/');
            (layout, format!("https://{host}/{}", path.strip_suffix(".git").unwrap_or(path)))
        })
    }

    /// Of a path in it (empty: the root), perhaps of lines of a file (first and last, counted from 1).
    pub fn of(&self, path: &str, directory: bool, lines: Option<(u32, u32)>) -> String {
        let Some((layout, page)) = &self.page else {
            let lines = lines.map_or_else(String::new, |(first, last)| match first == last {
                true => format!(":{first}"),
                false => format!(":{first}-{last}"),
            });
            return format!("{}@{}:{path}{lines}", self.url, self.commit);
        };
        let commit = &self.commit;
        let path = escaped(path);
        let view = if directory { "tree" } else { "blob" };
        let base = match layout {
            Layout::GitHub => format!("{page}/{view}/{commit}/{path}"),
            Layout::GitLab => format!("{page}/-/{view}/{commit}/{path}"),
            Layout::Gitea => format!("{page}/src/commit/{commit}/{path}"),
            Layout::Bitbucket => format!("{page}/src/{commit}/{path}"),
            Layout::Sourcehut => format!("{page}/tree/{commit}/item/{path}"),
        };
        let base = base.trim_end_matches('/').to_owned();
        match (layout, lines) {
            (_, None) => base,
            (Layout::GitHub | Layout::Gitea, Some((a, b))) if a != b => format!("{base}#L{a}-L{b}"),
            (Layout::GitLab, Some((a, b))) if a != b => format!("{base}#L{a}-{b}"),
            (Layout::Sourcehut, Some((a, b))) if a != b => format!("{base}#L{a}-{b}"),
            (Layout::Bitbucket, Some((a, b))) if a != b => format!("{base}#lines-{a}:{b}"),
            (Layout::Bitbucket, Some((a, _))) => format!("{base}#lines-{a}"),
            (_, Some((a, _))) => format!("{base}#L{a}"),
        }
    }
}

/// A path as it stands in a url: everything but the unreserved characters of RFC 3986 and `/` escaped.
fn escaped(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                out.push(byte as char)
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(url: &str) -> Key {
        Key::git(GitUrl::parse(url).unwrap())
    }

    fn cite(url: &str, path: &str, lines: Option<(u32, u32)>) -> String {
        Citation::new(&git(url), "c0ffee").of(path, false, lines)
    }

    #[test]
    fn forges_get_their_own_permalinks() {
        assert_eq!(
            cite("https://github.com/o/r.git", "a b/#c.rs", Some((3, 5))),
            "https://github.com/o/r/blob/c0ffee/a%20b/%23c.rs#L3-L5"
        );
        assert_eq!(
            cite("git@gitlab.com:g/s/p.git", "x", Some((3, 3))),
            "https://gitlab.com/g/s/p/-/blob/c0ffee/x#L3"
        );
        assert_eq!(
            cite("https://codeberg.org/o/r", "x", None),
            "https://codeberg.org/o/r/src/commit/c0ffee/x"
        );
        assert_eq!(
            cite("https://bitbucket.org/o/r", "x", Some((1, 2))),
            "https://bitbucket.org/o/r/src/c0ffee/x#lines-1:2"
        );
        assert_eq!(cite("https://git.sr.ht/~o/r", "x", None), "https://git.sr.ht/~o/r/tree/c0ffee/item/x");
    }

    #[test]
    fn other_hosts_get_what_can_be_followed_by_hand() {
        assert_eq!(
            cite("https://example.org/r.git", "x", Some((2, 4))),
            "https://example.org/r.git@c0ffee:x:2-4"
        );
        assert_eq!(
            Citation::new(&git("https://github.com/o/r"), "c0").of("", true, None),
            "https://github.com/o/r/tree/c0"
        );
    }
}
