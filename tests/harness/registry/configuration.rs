//! Has the clients of the registries ask the one on the loopback, and nobody else.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The user whose password is a registry's token, where there must be a user.
pub const USER: &str = "user";

/// A home directory whose clients ask one registry.
pub struct Client {
    set: Vec<(&'static str, OsString)>,
}

impl Client {
    pub(super) fn write(home: &Path, base: &str, token: Option<&str>) -> Self {
        let host = base.trim_start_matches("http://");
        let place = |name: &str, text: String| -> PathBuf {
            let path = home.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            path
        };
        let mut npmrc = format!(
            "registry={base}/npm/\naudit=false\nfund=false\nupdate-notifier=false\nfetch-retries=0\n"
        );
        let pip = format!(
            "[global]\nindex-url = {base}/pypi/simple/\ndisable-pip-version-check = true\nretries = 0\n"
        );
        let index = format!("sparse+{base}/crates/index/");
        let mut cargo = format!(
            "[source.crates-io]\nreplace-with = \"loopback\"\n\n[registries.loopback]\nindex = \"{index}\"\n\
             \n[net]\nretry = 0\n"
        );
        if let Some(token) = token {
            npmrc += &format!("//{host}/npm/:_authToken={token}\n");
            let machine = host.split(':').next().unwrap();
            place(".netrc", format!("machine {machine}\nlogin {USER}\npassword {token}\n"));
            // An index that asks for a token is asked only by a cargo that is told where tokens are.
            cargo += "\n[registry]\nglobal-credential-providers = [\"cargo:token\"]\n";
            place(".cargo/credentials.toml", format!("[registries.loopback]\ntoken = \"{token}\"\n"));
        }
        let (npmrc, pip) = (place(".npmrc", npmrc), place(".config/pip/pip.conf", pip));
        let cargo = place(".cargo/config.toml", cargo);
        let set = vec![
            ("HOME", home.into()),
            ("XDG_CONFIG_HOME", home.join(".config").into()),
            ("XDG_CACHE_HOME", home.join(".cache").into()),
            ("npm_config_userconfig", npmrc.into()),
            ("npm_config_cache", home.join(".npm").into()),
            ("PIP_CONFIG_FILE", pip.into()),
            ("CARGO_HOME", cargo.parent().unwrap().into()),
            ("NO_PROXY", "127.0.0.0/8,127.0.0.1".into()),
        ];
        Client { set }
    }

    /// Has pip ask these two indexes.
    pub fn indexes(&self, first: &str, extra: &str) {
        let (_, file) = self.set.iter().find(|(name, _)| *name == "PIP_CONFIG_FILE").unwrap();
        let text = format!("[global]\nindex-url = {first}\nextra-index-url = {extra}\n");
        std::fs::write(file, text).unwrap();
    }

    /// The variables that say so.
    pub fn environment(&self) -> &[(&'static str, OsString)] {
        &self.set
    }

    /// Gives a command these variables, and takes from it what the test's own environment says about
    /// registries and proxies.
    pub fn apply<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        for (name, _) in std::env::vars_os().filter(|(name, _)| speaks(name)) {
            command.env_remove(name);
        }
        command.envs(self.set.iter().map(|(name, value)| (name, value)))
    }
}

/// Whether a variable tells a client where registries are or how to reach them.
fn speaks(name: &OsStr) -> bool {
    let name = name.to_string_lossy().to_lowercase();
    let first = ["npm_config_", "pip_", "uv_", "cargo_registr", "cargo_source", "cargo_http", "cargo_net"];
    first.iter().any(|first| name.starts_with(first)) || name.ends_with("_proxy") || name == "netrc"
}
