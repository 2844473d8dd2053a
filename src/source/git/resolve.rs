//! What a reference is now: reads the answers of `git ls-remote`.
//!
//! Pure: [`question`] says what to ask, [`answer`] reads what came. A pattern of ls-remote matches the
//! end of a name, so every line is compared again with the exact names.

use std::collections::BTreeSet;

use crate::error::{Error, Kind, Result};
use crate::key::{GitUrl, Reference};
use crate::redact::redact;
use crate::source::{Resolved, Revision};

const HEADS: &str = "refs/heads/";
const TAGS: &str = "refs/tags/";
const PEELED: &str = "^{}";

/// What has to be asked to resolve a reference.
#[derive(Debug)]
pub(super) enum Question {
    /// Nothing: it is its own answer.
    Answered(Resolved),
    /// The remote's HEAD.
    Head,
    /// These full names.
    Names(Vec<String>),
    /// All branches and tags.
    Tips,
}

/// What to ask for `reference`.
pub(super) fn question(what: &str, reference: &Reference) -> Result<Question> {
    let branch = |name: &str| format!("{HEADS}{name}");
    let tag = |name: &str| [format!("{TAGS}{name}"), format!("{TAGS}{name}{PEELED}")];
    Ok(match reference {
        Reference::Default => Question::Head,
        Reference::Branch(name) => Question::Names(vec![branch(name)]),
        Reference::Tag(name) => Question::Names(tag(name).to_vec()),
        Reference::Named(name) => Question::Names([branch(name)].into_iter().chain(tag(name)).collect()),
        Reference::Abbreviated(_) => Question::Tips,
        Reference::Commit(id) => {
            check_length(what, id)?;
            Question::Answered(Resolved { revision: Revision::new(id), full_name: None, moving: false })
        }
        Reference::Version(_) | Reference::Range(_) | Reference::DistTag(_) => {
            return Err(of_a_package(what, reference));
        }
    })
}

/// What `reference` is, by the `output` of ls-remote of `url` for its question, and by the `known`
/// revisions.
pub(super) fn answer(
    what: &str,
    url: &GitUrl,
    reference: &Reference,
    output: &[u8],
    known: &[Revision],
) -> Result<Resolved> {
    let output = String::from_utf8_lossy(output);
    let remote = Remote::parse(what, &output)?;
    let missing = |sort, name| missing(what, url, sort, name);
    match reference {
        Reference::Default => remote.head(what),
        Reference::Branch(name) => remote.branch(name).ok_or_else(|| missing("branch", name)),
        Reference::Tag(name) => remote.tag(name).ok_or_else(|| missing("tag", name)),
        Reference::Named(name) => remote.named(what, name)?.ok_or_else(|| missing("branch or tag", name)),
        Reference::Abbreviated(text) => match remote.named(what, text)? {
            Some(resolved) => Ok(resolved),
            None => remote.abbreviated(what, text, known),
        },
        Reference::Commit(id) => Ok(Resolved { revision: Revision::new(id), full_name: None, moving: false }),
        Reference::Version(_) | Reference::Range(_) | Reference::DistTag(_) => {
            Err(of_a_package(what, reference))
        }
    }
}

fn of_a_package(what: &str, reference: &Reference) -> Error {
    Error::new(Kind::Invalid, what, format!("{reference} names a version of a package, not of a repository"))
}

fn missing(what: &str, url: &GitUrl, sort: &str, name: &str) -> Error {
    let error = Error::new(Kind::NotFound, what, format!("the repository has no {sort} {name:?}"));
    match name {
        "HEAD" => error.hint("leave the @ out to get the default branch"),
        _ => error.hint(format!("git ls-remote {} lists what there is", redact(url.as_str()))),
    }
}

fn check_length(what: &str, id: &str) -> Result<()> {
    if id.len() == 40 {
        return Ok(());
    }
    Err(Error::new(Kind::Unsupported, what, "the repository names its objects by SHA-256")
        .hint("srcfs reads SHA-1 repositories only"))
}

/// The lines of one listing.
struct Remote<'a> {
    /// Id and full name, in the order of the server.
    tips: Vec<(&'a str, &'a str)>,
    /// What HEAD names.
    head_names: Option<&'a str>,
}

impl<'a> Remote<'a> {
    fn parse(what: &str, output: &'a str) -> Result<Self> {
        let mut remote = Remote { tips: Vec::new(), head_names: None };
        for line in output.lines() {
            let malformed = || Error::new(Kind::Network, what, "the answer of the server makes no sense");
            let (left, name) = line.split_once('\t').ok_or_else(malformed)?;
            if let Some(named) = left.strip_prefix("ref: ") {
                if name == "HEAD" {
                    remote.head_names = Some(named);
                }
                continue;
            }
            if !matches!(left.len(), 40 | 64) || !left.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            {
                return Err(malformed());
            }
            check_length(what, left)?;
            remote.tips.push((left, name));
        }
        Ok(remote)
    }

    fn id(&self, full_name: &str) -> Option<&'a str> {
        self.tips.iter().find(|(_, name)| *name == full_name).map(|(id, _)| *id)
    }

    fn head(&self, what: &str) -> Result<Resolved> {
        match self.id("HEAD") {
            Some(id) => {
                // Detached, or a name that no branch can have: then it is only known as HEAD.
                let full_name = self.head_names.filter(|name| is_branch(name)).unwrap_or("HEAD");
                Ok(moving(id, full_name.to_owned()))
            }
            None => Err(Error::new(
                Kind::NotFound,
                what,
                "the repository has no default: it is empty, or its HEAD names a branch that does not exist",
            )
            .hint("name a branch or a tag with @")),
        }
    }

    fn branch(&self, name: &str) -> Option<Resolved> {
        let full_name = format!("{HEADS}{name}");
        self.id(&full_name).map(|id| moving(id, full_name))
    }

    /// The commit that a tag names: an annotated tag is an object of its own, which is peeled.
    fn tag(&self, name: &str) -> Option<Resolved> {
        let full_name = format!("{TAGS}{name}");
        let id = self.id(&format!("{full_name}{PEELED}")).or_else(|| self.id(&full_name))?;
        Some(moving(id, full_name))
    }

    fn named(&self, what: &str, name: &str) -> Result<Option<Resolved>> {
        match (self.branch(name), self.tag(name)) {
            (Some(_), Some(_)) => {
                let branch = Reference::Branch(name.to_owned()).to_path();
                let tag = Reference::Tag(name.to_owned()).to_path();
                Err(Error::new(Kind::NotFound, what, format!("{name:?} is both a branch and a tag"))
                    .hint(format!("write @{tag} or @{branch}")))
            }
            (branch, tag) => Ok(branch.or(tag)),
        }
    }

    fn abbreviated(&self, what: &str, text: &str, known: &[Revision]) -> Result<Resolved> {
        let start = text.to_ascii_lowercase();
        // An annotated tag's own id is no commit; the one that it peels to stands in the next line.
        let peeled: BTreeSet<_> =
            self.tips.iter().filter_map(|(_, name)| name.strip_suffix(PEELED)).collect();
        let tips = self.tips.iter().filter(|(_, name)| !peeled.contains(name)).map(|(id, _)| *id);
        let fitting: BTreeSet<_> =
            tips.chain(known.iter().map(Revision::as_str)).filter(|id| id.starts_with(&start)).collect();
        let mut fitting = fitting.into_iter();
        match (fitting.next(), fitting.next()) {
            (Some(id), None) => {
                Ok(Resolved { revision: Revision::new(id), full_name: None, moving: false })
            }
            (Some(one), Some(other)) => Err(Error::new(
                Kind::NotFound,
                what,
                format!("{text} is ambiguous: {one} and {other} both begin so"),
            )
            .hint("write more of the commit id")),
            (None, _) => Err(Error::new(
                Kind::NotFound,
                what,
                format!("no branch or tag is called {text}, and no commit that is cached or at the tip of one begins so"),
            )
            .hint("use the full commit id of 40 digits")),
        }
    }
}

/// Whether this is the full name of a branch. The server says it, and git will be asked for it.
fn is_branch(full_name: &str) -> bool {
    let name = full_name.strip_prefix("refs/").unwrap_or_default();
    matches!(Reference::parse(name), Ok(Reference::Branch(_)))
}

fn moving(id: &str, full_name: String) -> Resolved {
    Resolved { revision: Revision::new(id), full_name: Some(full_name), moving: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "aaaaaaabbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn url() -> GitUrl {
        GitUrl::parse("https://example.org/a/b.git").unwrap()
    }

    fn ask(reference: &str, lines: &[(&str, &str)], known: &[&str]) -> Result<Resolved> {
        let output: String = lines.iter().map(|(id, name)| format!("{id}\t{name}\n")).collect();
        let known: Vec<_> = known.iter().map(|id| Revision::new(*id)).collect();
        answer("resolve", &url(), &Reference::parse(reference).unwrap(), output.as_bytes(), &known)
    }

    #[test]
    fn annotated_tags_are_peeled() {
        let lines = [(A, "refs/tags/v1"), (B, "refs/tags/v1^{}")];
        let resolved = ask("v1", &lines, &[]).unwrap();
        assert_eq!((resolved.revision.as_str(), resolved.full_name.as_deref()), (B, Some("refs/tags/v1")));
    }

    #[test]
    fn a_name_that_is_both_names_the_two_spellings() {
        let error = ask("a/b", &[(A, "refs/heads/a/b"), (B, "refs/tags/a/b")], &[]).unwrap_err();
        assert_eq!(error.advice(), Some("write @tags%2Fa%2Fb or @heads%2Fa%2Fb"));
    }

    #[test]
    fn the_end_of_another_name_is_not_the_name() {
        let error =
            ask("x", &[(A, "refs/heads/refs/heads/x"), (A, "refs/remotes/refs/tags/x")], &[]).unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound);
        assert_eq!(error.advice(), Some("git ls-remote https://example.org/a/b.git lists what there is"));
    }

    #[test]
    fn head_is_symbolic_detached_or_missing() {
        let symbolic = ask("", &[("ref: refs/heads/main", "HEAD"), (A, "HEAD")], &[]).unwrap();
        assert_eq!(symbolic.full_name.as_deref(), Some("refs/heads/main"));
        assert_eq!(ask("", &[(A, "HEAD")], &[]).unwrap().full_name.as_deref(), Some("HEAD"));
        for hostile in ["refs/heads/a:refs/heads/b", "-x", "refs/heads/*", "refs/heads/../x"] {
            let lines = [(format!("ref: {hostile}"), "HEAD"), (A.to_owned(), "HEAD")];
            let lines: Vec<_> = lines.iter().map(|(id, name)| (id.as_str(), *name)).collect();
            assert_eq!(ask("", &lines, &[]).unwrap().full_name.as_deref(), Some("HEAD"), "{hostile}");
        }
        assert_eq!(ask("", &[], &[]).unwrap_err().kind(), Kind::NotFound);
    }

    #[test]
    fn an_abbreviated_id_is_found_among_tips_and_known_ones_or_not_at_all() {
        assert_eq!(ask("aaaaaaaaa", &[(A, "refs/heads/x")], &[]).unwrap().revision.as_str(), A);
        assert_eq!(ask("aaaaaaab", &[], &[B]).unwrap().revision.as_str(), B);
        assert!(ask("aaaaaaa", &[(A, "refs/heads/x")], &[B]).unwrap_err().why().contains("ambiguous"));
        let error = ask("1234567", &[(A, "refs/heads/x")], &[B]).unwrap_err();
        assert!(error.advice().unwrap().contains("full commit id"));
        // A tag object is no commit.
        assert!(ask("aaaaaaaa", &[(A, "refs/tags/v"), (B, "refs/tags/v^{}")], &[]).is_err());
        // A branch of that name comes first.
        let branch = ask("aaaaaaab", &[(A, "refs/heads/aaaaaaab")], &[B]).unwrap();
        assert_eq!(branch.full_name.as_deref(), Some("refs/heads/aaaaaaab"));
    }

    #[test]
    fn an_answer_that_makes_no_sense_is_the_networks_fault() {
        assert_eq!(
            answer("x", &url(), &Reference::Default, b"<html>", &[]).unwrap_err().kind(),
            Kind::Network
        );
        let sha256 = "a".repeat(64);
        assert_eq!(ask("", &[(&sha256, "HEAD")], &[]).unwrap_err().kind(), Kind::Unsupported);
    }
}
