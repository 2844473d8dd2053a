//! Directories of this machine whose content is shown.

use std::fmt;
use std::path::{Component, Path};

use url::Url;

use super::refuse_invisible;
use crate::error::{Error, Kind, Result};

/// How many globs a directory may have, and how long each may be: nobody writes more by hand.
const MOST_IGNORED: usize = 100;
const LONGEST_GLOB: usize = 1024;

/// The name under which a record keeps a glob.
const IGNORE: &str = "ignore";

/// A directory and what of it is left out. Two that leave out something else show something else.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Directory {
    path: String,
    ignore: Vec<String>,
    url: String,
}

impl Directory {
    /// The directory at the absolute `path`, without what matches one of the globs `ignore`, each of
    /// them written as in a `.gitignore` file. That it exists is not looked at here.
    ///
    /// Fails with [`Kind::Invalid`] for a path that is relative, climbs up or is not UTF-8, for the root
    /// directory, and for a glob that no `.gitignore` could hold.
    pub fn new<'g>(path: &Path, ignore: impl IntoIterator<Item = &'g str>) -> Result<Self> {
        let what = || format!("read the directory {path:?}");
        let invalid = |why: &str| Error::new(Kind::Invalid, what(), why.to_owned());
        let Some(text) = path.to_str() else { return Err(invalid("its path is not UTF-8")) };
        refuse_invisible("the directory", text)?;
        if !path.is_absolute() {
            return Err(invalid("it is not an absolute path").hint("write it from / on"));
        }
        if path.components().any(|component| component == Component::ParentDir) {
            return Err(invalid("its path climbs up with ..").hint("write where that leads"));
        }
        // Without the slashes and dots that say nothing.
        let clean: std::path::PathBuf = path.components().collect();
        if clean == Path::new("/") {
            return Err(invalid("it is the root of all files").hint("name the directory that is meant"));
        }
        let mut ignore: Vec<String> = ignore.into_iter().map(checked).collect::<Result<_>>()?;
        ignore.sort();
        ignore.dedup();
        if ignore.len() > MOST_IGNORED {
            return Err(invalid("more than 100 globs say what to leave out"));
        }
        let mut url = Url::from_file_path(&clean).map_err(|()| invalid("it makes no file: url"))?;
        if !ignore.is_empty() {
            url.query_pairs_mut().extend_pairs(ignore.iter().map(|glob| (IGNORE, glob)));
        }
        let path = clean.to_string_lossy().into_owned();
        Ok(Directory { path, ignore, url: url.to_string() })
    }

    /// What [`Directory::as_str`] gave.
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = |why: String| Error::new(Kind::Invalid, format!("read the directory {text:?}"), why);
        let url = Url::parse(text).map_err(|error| invalid(error.to_string()))?;
        let path = match (url.scheme(), url.to_file_path()) {
            ("file", Ok(path)) => path,
            _ => return Err(invalid("it is no file: url".to_owned())),
        };
        let globs: Vec<String> =
            url.query_pairs().filter(|(name, _)| name == IGNORE).map(|(_, glob)| glob.into_owned()).collect();
        Directory::new(&path, globs.iter().map(String::as_str))
    }

    /// Its absolute path.
    pub fn path(&self) -> &Path {
        Path::new(&self.path)
    }

    /// What is left out of it, sorted, each once.
    pub fn ignore(&self) -> &[String] {
        &self.ignore
    }

    /// As a `file:` url, whose query holds what is left out.
    pub fn as_str(&self) -> &str {
        &self.url
    }
}

fn checked(glob: &str) -> Result<String> {
    refuse_invisible("the glob", glob)?;
    let why = match glob {
        _ if glob.trim().is_empty() => "it is empty",
        _ if glob.len() > LONGEST_GLOB => "it is longer than 1024 bytes",
        _ if glob.starts_with(['#', '!']) => "it begins with # or !, so it ignores nothing",
        _ => return Ok(glob.to_owned()),
    };
    let error = Error::new(Kind::Invalid, format!("read the glob {glob:?}"), why);
    Err(error.hint("write it as in a .gitignore file, like *.log or target/"))
}

impl fmt::Display for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(path: &str, ignore: &[&str]) -> Directory {
        Directory::new(Path::new(path), ignore.iter().copied()).unwrap()
    }

    #[test]
    fn it_is_what_its_url_says() {
        for (path, ignore) in [
            ("/home/me/my project", &[][..]),
            ("/srv/50%/a?b#c", &["*.log", "target/"]),
            ("/srv/ä", &["**/x", "\\#y", "a b&c=d+e"]),
        ] {
            let one = directory(path, ignore);
            assert_eq!(one.path(), Path::new(path));
            assert_eq!(one.ignore(), ignore);
            assert_eq!(Directory::parse(one.as_str()).unwrap(), one, "{one:?}");
        }
    }

    #[test]
    fn one_directory_has_one_name_and_what_is_left_out_belongs_to_it() {
        assert_eq!(directory("/a/b", &["x", "y"]), directory("//a/./b/", &["y", "x", "x"]));
        assert_ne!(directory("/a/b", &["x"]), directory("/a/b", &[]));
        assert_ne!(directory("/a/b", &[]), directory("/a/B", &[]));
    }

    #[test]
    fn what_is_no_directory_of_anybody_is_refused() {
        for path in ["", "a", "./a", "/", "//", "/./", "/a/..", "/a\nb", "/a\u{202e}b"] {
            let error = Directory::new(Path::new(path), []).unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid, "{path:?}");
        }
        for glob in ["", " ", "#x", "!x", "a\nb", &"x".repeat(1025)] {
            assert!(Directory::new(Path::new("/a"), [glob]).is_err(), "{glob:?}");
        }
        for url in ["", "/a", "https://example.org/a", "file://host/a", "file:///"] {
            assert!(Directory::parse(url).is_err(), "{url:?}");
        }
    }
}
