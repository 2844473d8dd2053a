//! `PATH[:LINE[-LINE]]`, or the citation of a package, parsed. Nothing is looked at here.

use crate::error::{Error, Kind, Result};
use crate::view::citation::Lines;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked<'t> {
    /// All of it, which may be a path too: a name may end in `:12`, and a file that is there wins.
    pub whole: &'t str,
    /// Without the lines.
    pub path: &'t str,
    /// The lines, counted from 1.
    pub lines: Option<Lines>,
}

impl<'t> Asked<'t> {
    /// Fails with [`Kind::Invalid`] for lines that no file can have.
    pub fn parse(text: &'t str) -> Result<Asked<'t>> {
        let plain = Asked { whole: text, path: text, lines: None };
        let Some((path, suffix)) = text.rsplit_once(':') else { return Ok(plain) };
        let (first, last) = match suffix.split_once('-') {
            Some((first, last)) => (number(first), number(last)),
            None => (number(suffix), number(suffix)),
        };
        let (Some(first), Some(last)) = (first, last) else { return Ok(plain) };
        if path.is_empty() {
            return Ok(plain);
        }
        let invalid = |why: &str| Error::new(Kind::Invalid, format!("read the lines {suffix:?}"), why);
        if first == 0 {
            return Err(invalid("lines are counted from 1"));
        }
        if first > last {
            let hint = format!("write {path}:{last}-{first}");
            return Err(invalid("the last one stands before the first").hint(hint));
        }
        Ok(Asked { whole: text, path, lines: Some(Lines { first, last }) })
    }
}

/// What the citation of a package names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OfPackage<'t> {
    /// The KEY and path, with its lines.
    pub path: String,
    /// The hash of the archive.
    pub hash: Option<&'t str>,
    /// The registry, if it is not the user's own.
    pub registry: Option<&'t str>,
}

/// The citation of a package. `None` if it is not written as one: `npm/react@18.2.0:package.json:1-2 sha512-…`, with
/// `of` and its registry behind that, if it is another than the user's own.
pub(super) fn of_citation(text: &str) -> Option<OfPackage<'_>> {
    // A path may hold blanks, too.
    let last = text.rsplit_once(" of ").filter(|(_, url)| is_url(url));
    let (text, registry) = last.map_or((text, None), |(rest, url)| (rest.trim_end(), Some(url)));
    let last = text.rsplit_once(' ').filter(|(_, hash)| is_hash(hash));
    let (place, hash) = last.map_or((text, None), |(place, hash)| (place.trim_end(), Some(hash)));
    let (kind, name) = place.split_once('/')?;
    if !matches!(kind, "npm" | "crates" | "pypi") {
        return None;
    }
    let (key, path) = place.split_once(':').map_or((place, None), |(key, path)| (key, Some(path)));
    let parts = if kind == "npm" && name.starts_with('@') { 3 } else { 2 };
    let is_key = key.split('/').count() == parts && key.rsplit('/').next()?.contains('@');
    let is_path = path.is_none_or(|path| {
        let first = path.split('-').next().unwrap_or_default();
        !path.is_empty() && number(first).is_none()
    });
    if !is_key || !is_path || (path.is_none() && hash.is_none() && registry.is_none()) {
        return None;
    }
    let path = path.map_or_else(|| key.to_owned(), |path| format!("{key}/{path}"));
    Some(OfPackage { path, hash, registry })
}

fn is_url(text: &str) -> bool {
    ["https://", "http://"].iter().any(|scheme| text.starts_with(scheme)) && !text.contains(' ')
}

/// Whether `text` begins as published hashes do: `sha512-…`, `sha256:…`.
fn is_hash(text: &str) -> bool {
    let algorithm = text.strip_prefix("sha").and_then(|rest| rest.split_once(['-', ':']));
    algorithm.is_some_and(|(bits, digest)| number(bits).is_some() && !digest.is_empty())
}

/// What is left of `PATH:LINE:COLUMN`, as compilers and searches print it; `None` if it is not that.
pub(super) fn without_column(text: &str) -> Option<&str> {
    let (line, column) = text.rsplit_once(':')?;
    let (path, number_of_line) = line.rsplit_once(':')?;
    (!path.is_empty() && number(column).is_some() && number(number_of_line).is_some()).then_some(line)
}

/// A number of digits alone. One that is too large for any file is as good as another.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stand_at_the_end_and_everything_else_is_the_path() {
        for (text, path, lines) in [
            ("src/x.rs", "src/x.rs", None),
            ("src/x.rs:3", "src/x.rs", Some((3, 3))),
            ("src/x.rs:3-5", "src/x.rs", Some((3, 5))),
            ("a:3:5", "a:3", Some((5, 5))),
            ("a:b", "a:b", None),
            ("a:", "a:", None),
            ("a:3-", "a:3-", None),
            ("a:-3", "a:-3", None),
            ("a:+3", "a:+3", None),
            (":3", ":3", None),
            ("a:99999999999999999999", "a", Some((u64::MAX, u64::MAX))),
        ] {
            let lines = lines.map(|(first, last)| Lines { first, last });
            assert_eq!(Asked::parse(text).unwrap(), Asked { whole: text, path, lines }, "{text}");
        }
    }

    #[test]
    fn a_citation_of_a_package_is_read_back() {
        let registry = Some("https://r.test/npm");
        for (text, path, hash) in [
            (
                "npm/react@18.2.0:package.json:1-2 sha512-a",
                "npm/react@18.2.0/package.json:1-2",
                Some("sha512-a"),
            ),
            ("npm/@a/b@1.0.0:x/y", "npm/@a/b@1.0.0/x/y", None),
            ("crates/tokio@1.38.0:a:b:3", "crates/tokio@1.38.0/a:b:3", None),
            ("pypi/x@1!2.0 sha256:a", "pypi/x@1!2.0", Some("sha256:a")),
            ("pypi/x@1:x/a (b).c:1 sha256:a", "pypi/x@1/x/a (b).c:1", Some("sha256:a")),
            ("pypi/x@1:x/a (b).c:1", "pypi/x@1/x/a (b).c:1", None),
            ("npm/x@1.0.0:to sharpen:1", "npm/x@1.0.0/to sharpen:1", None),
        ] {
            let own = OfPackage { path: path.to_owned(), hash, registry: None };
            assert_eq!(of_citation(text), Some(own.clone()), "{text}");
            let text = format!("{text} of https://r.test/npm");
            assert_eq!(of_citation(&text), Some(OfPackage { registry, ..own }), "{text}");
        }
        for text in [
            "npm/react@18.2.0/a:b",
            "npm/react@18.2.0:3",
            "npm/react@18.2.0:3-5",
            "npm/react:x",
            "npm/react:x of https://r.test/npm",
            "src/x:y",
            "x",
        ] {
            assert_eq!(of_citation(text), None, "{text}");
        }
    }

    #[test]
    fn a_column_is_seen_as_one() {
        assert_eq!(without_column("src/x.rs:3:14"), Some("src/x.rs:3"));
        for text in ["src/x.rs:3", "src/x.rs:3-4", ":3:4", "a:b:3", "a:3:"] {
            assert_eq!(without_column(text), None, "{text}");
        }
    }

    #[test]
    fn lines_that_no_file_has_are_refused_with_what_to_write() {
        assert!(Asked::parse("a:0").unwrap_err().to_string().contains("counted from 1"));
        assert!(Asked::parse("a:0-3").unwrap_err().to_string().contains("counted from 1"));
        assert_eq!(Asked::parse("a:5-3").unwrap_err().advice(), Some("write a:3-5"));
    }
}
