//! The only place that reads environment variables (those that git reads are git's own matter, and those
//! that the clients of registries read are in [`super::variables`]).
//!
//! They are read once, into a value, so that the rest of the program is a function of that value.
//! An empty variable counts as absent; a relative path counts from the working directory, except in
//! the XDG variables, where the specification says to ignore it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::proxies::Proxies;
use super::variables::Variables;
use crate::error::{Error, Kind, Result};

/// What the environment says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    srcfs_cache_dir: Option<PathBuf>,
    srcfs_config: Option<PathBuf>,
    srcfs_mount: Option<PathBuf>,
    xdg_config_home: Option<PathBuf>,
    xdg_cache_home: Option<PathBuf>,
    home: Option<PathBuf>,
    /// The log filter of `SRCFS_LOG`, in the form of env_logger.
    pub log: Option<String>,
    /// The socket of `NOTIFY_SOCKET`, on which a service manager waits for readiness.
    pub notify_socket: Option<OsString>,
    /// The directories of `PATH`.
    pub search_path: Vec<PathBuf>,
    /// The proxies that `HTTPS_PROXY` and its kin name.
    pub proxies: Proxies,
    /// All of it, for what the clients of registries read there.
    pub variables: Variables,
}

impl Environment {
    /// Reads the environment of this process.
    pub fn read() -> Environment {
        #[allow(clippy::disallowed_methods, reason = "this is the place where it is read")]
        let known = Environment::from(|name| std::env::var_os(name));
        Environment { variables: Variables::read(), ..known }
    }

    /// What the environment would say if it were `lookup`.
    pub fn from(lookup: impl Fn(&str) -> Option<OsString>) -> Environment {
        let set = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let path = |name: &str| set(name).map(PathBuf::from);
        let absolute = |name: &str| path(name).filter(|path| path.is_absolute());
        Environment {
            srcfs_cache_dir: path("SRCFS_CACHE_DIR"),
            srcfs_config: path("SRCFS_CONFIG"),
            srcfs_mount: path("SRCFS_MOUNT"),
            xdg_config_home: absolute("XDG_CONFIG_HOME"),
            xdg_cache_home: absolute("XDG_CACHE_HOME"),
            home: absolute("HOME"),
            log: set("SRCFS_LOG").map(|filter| filter.to_string_lossy().into_owned()),
            notify_socket: set("NOTIFY_SOCKET"),
            search_path: set("PATH").map(|paths| std::env::split_paths(&paths).collect()).unwrap_or_default(),
            proxies: Proxies::from(&lookup),
            variables: Variables::default(),
        }
    }

    /// The cache: `given` (of `--cache-dir`), `SRCFS_CACHE_DIR`, `$XDG_CACHE_HOME/srcfs`, `~/.cache/srcfs`.
    pub fn cache_directory(&self, given: Option<&Path>) -> Result<PathBuf> {
        if let Some(path) = given.or(self.srcfs_cache_dir.as_deref()) {
            return absolute(path);
        }
        match &self.xdg_cache_home {
            Some(directory) => Ok(directory.join("srcfs")),
            None => Ok(self.home("the cache", "--cache-dir or SRCFS_CACHE_DIR")?.join(".cache/srcfs")),
        }
    }

    /// The configuration: `given` (of `--config`), `SRCFS_CONFIG`, `$XDG_CONFIG_HOME/srcfs/config.toml`,
    /// `~/.config/srcfs/config.toml`.
    pub fn config_file(&self, given: Option<&Path>) -> Result<PathBuf> {
        if let Some(path) = given.or(self.srcfs_config.as_deref()) {
            return absolute(path);
        }
        match &self.xdg_config_home {
            Some(directory) => Ok(directory.join("srcfs/config.toml")),
            None => Ok(self
                .home("the configuration", "--config or SRCFS_CONFIG")?
                .join(".config/srcfs/config.toml")),
        }
    }

    /// The mount point: `given` (of the command line), `SRCFS_MOUNT`, `~/srcfs`.
    pub fn mount_point(&self, given: Option<&Path>) -> Result<PathBuf> {
        match given.or(self.srcfs_mount.as_deref()) {
            Some(path) => absolute(path),
            None => Ok(self.home("the mount point", "a directory or SRCFS_MOUNT")?.join("srcfs")),
        }
    }

    /// The user's own directory, if that is known.
    pub fn home_directory(&self) -> Option<&Path> {
        self.home.as_deref()
    }

    fn home(&self, what: &str, instead: &str) -> Result<&Path> {
        self.home.as_deref().ok_or_else(|| {
            Error::new(Kind::Config, format!("find {what}"), "HOME is not set to an absolute path")
                .hint(format!("set HOME, or give {instead}"))
        })
    }
}

/// `path` made absolute without touching what it names, which may be a dead mount.
fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| Error::io("find the working directory for", path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        Environment::from(|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn the_order_is_option_then_srcfs_then_xdg_then_home() {
        let all = environment(&[
            ("SRCFS_CACHE_DIR", "/s/cache"),
            ("SRCFS_CONFIG", "/s/config"),
            ("SRCFS_MOUNT", "/s/mount"),
            ("XDG_CACHE_HOME", "/x/cache"),
            ("XDG_CONFIG_HOME", "/x/config"),
            ("HOME", "/home/a"),
        ]);
        assert_eq!(all.cache_directory(Some(Path::new("/o"))).unwrap(), Path::new("/o"));
        assert_eq!(all.cache_directory(None).unwrap(), Path::new("/s/cache"));
        assert_eq!(all.config_file(None).unwrap(), Path::new("/s/config"));
        assert_eq!(all.mount_point(None).unwrap(), Path::new("/s/mount"));
        let xdg =
            environment(&[("XDG_CACHE_HOME", "/x"), ("XDG_CONFIG_HOME", "relative"), ("HOME", "/home/a")]);
        assert_eq!(xdg.cache_directory(None).unwrap(), Path::new("/x/srcfs"));
        assert_eq!(xdg.config_file(None).unwrap(), Path::new("/home/a/.config/srcfs/config.toml"));
        assert_eq!(xdg.mount_point(None).unwrap(), Path::new("/home/a/srcfs"));
    }

    #[test]
    fn without_a_home_the_error_says_what_to_give() {
        let none = environment(&[("SRCFS_MOUNT", "")]);
        for (error, option) in [
            (none.cache_directory(None).unwrap_err(), "--cache-dir"),
            (none.config_file(None).unwrap_err(), "--config"),
            (none.mount_point(None).unwrap_err(), "SRCFS_MOUNT"),
        ] {
            assert!(error.advice().unwrap().contains(option), "{error}");
        }
    }
}
