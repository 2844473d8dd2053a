//! The whole environment as a value, for what the clients of registries read of it: their settings are
//! named by what stands in their files (`NPM_CONFIG_…`, `${TOKEN}`), so no list of names would do.
//!
//! Values may be secrets, and are never shown.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;

/// All variables, by name.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Variables(BTreeMap<String, OsString>);

impl Variables {
    /// Those of this process.
    pub fn read() -> Variables {
        Variables::from_pairs(std::env::vars_os())
    }

    /// These. A name that is not UTF-8 is no setting of anybody.
    pub fn from_pairs<N: Into<OsString>, V: Into<OsString>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Variables {
        let named = |(name, value): (N, V)| Some((name.into().into_string().ok()?, value.into()));
        Variables(pairs.into_iter().filter_map(named).collect())
    }

    /// The value of that name as text; none if it is unset or not UTF-8. It may be empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.to_str()
    }

    /// The value of that name, if it is set and not empty.
    pub fn set(&self, name: &str) -> Option<&OsStr> {
        self.0.get(name).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// The value of that name as an absolute path; none if it is unset or relative.
    pub fn absolute(&self, name: &str) -> Option<PathBuf> {
        self.set(name).map(PathBuf::from).filter(|path| path.is_absolute())
    }

    /// The home directory: `HOME`, or what the password database says of this user. Services are often
    /// started without the variable, and what the user configured counts all the same.
    pub fn home(&self) -> Option<PathBuf> {
        self.absolute("HOME").or_else(|| {
            let user = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten()?;
            Some(user.dir).filter(|directory| directory.is_absolute())
        })
    }

    /// The directories of `PATH`. A relative one would be the place of whoever started this, so it is none.
    pub fn search_path(&self) -> Vec<PathBuf> {
        let path = self.set("PATH").unwrap_or_default();
        std::env::split_paths(path).filter(|directory| directory.is_absolute()).collect()
    }

    /// All that is text, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str()?)))
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_never_shown() {
        let variables = Variables::from_pairs([("TOKEN", "s3cret"), ("PATH", "/bin:bin::/usr/bin")]);
        assert_eq!(format!("{variables:?}"), r#"{"PATH", "TOKEN"}"#);
        assert_eq!(variables.text("TOKEN"), Some("s3cret"));
        assert_eq!(variables.search_path(), ["/bin", "/usr/bin"].map(PathBuf::from));
    }

    #[test]
    fn without_its_variable_the_home_directory_is_that_of_the_user() {
        let own = nix::unistd::User::from_uid(nix::unistd::getuid()).unwrap().map(|user| user.dir);
        for unset in [&[][..], &[("HOME", "")], &[("HOME", "relative")]] {
            assert_eq!(Variables::from_pairs(unset.iter().copied()).home(), own);
        }
        assert_eq!(Variables::from_pairs([("HOME", "/x")]).home(), Some(PathBuf::from("/x")));
    }
}
