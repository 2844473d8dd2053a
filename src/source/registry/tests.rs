//! Each rule of each client, on files and variables of the test's own; and the same files given to the
//! client itself, where it is installed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use url::Url;

use super::{Defaults, Registries};
use crate::config::variables::Variables;
use crate::source::http::credential::Credential;

mod cargo;
mod clients;
mod defaults;
mod npm;
mod own;
mod pypi;

/// A directory that is somebody's home, with what a test writes there.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Home {
        Home(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// These variables and `HOME`; no `PATH`, so no client is found.
    fn variables(&self, more: &[(&str, &str)]) -> Variables {
        let home = self.path().to_str().unwrap();
        Variables::from_pairs([("HOME", home)].iter().chain(more).copied())
    }
}

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn header(credential: Option<Credential>) -> Option<String> {
    credential.map(|credential| credential.header().to_owned())
}

fn defaults() -> Arc<Defaults> {
    Arc::new(Defaults::new())
}

#[test]
fn a_changed_file_is_read_again_and_an_unchanged_one_is_not() {
    let home = Home::new();
    let file = home.write(".npmrc", "registry=http://one.example/");
    let registries = Registries::new(home.variables(&[]), None, defaults());
    let one = registries.npm().unwrap();
    assert!(Arc::ptr_eq(&one, &registries.npm().unwrap()));
    std::fs::write(&file, "registry=http://two.example/").unwrap();
    assert_eq!(registries.npm().unwrap().registry_of("a").unwrap(), url("http://two.example/"));
    std::fs::remove_file(&file).unwrap();
    assert!(registries.npm().unwrap().registry_of("a").is_err());
    home.write(".npmrc", "registry=http://three.example/");
    assert_eq!(registries.npm().unwrap().registry_of("a").unwrap(), url("http://three.example/"));
}

#[test]
fn what_cannot_be_read_is_an_error_that_names_it() {
    let home = Home::new();
    std::fs::create_dir(home.path().join(".npmrc")).unwrap();
    home.write(
        ".config/pip/pip.conf",
        "[global]\nindex-url = http://user:s3cret@a.example/\nnonsense s3cret\n",
    );
    home.write(".cargo/config.toml", "[registries.a]\ntoken = s3cret\n");
    let registries = Registries::new(home.variables(&[]), None, defaults());
    let npm = registries.npm().unwrap_err().to_string();
    assert!(npm.contains(".npmrc") && npm.contains("not a file"), "{npm}");
    let pypi = registries.pypi().unwrap_err().to_string();
    assert!(pypi.contains("pip.conf: line 3") && !pypi.contains("s3cret"), "{pypi}");
    let cargo = registries.cargo().unwrap_err().to_string();
    assert!(cargo.contains("config.toml: line 2") && !cargo.contains("s3cret"), "{cargo}");
}

#[test]
fn no_secret_is_shown() {
    let home = Home::new();
    home.write(
        ".npmrc",
        "registry=https://u:s3cret@a.example/\n//a.example/:_authToken=s3cret\nproxy=http://u:s3cret@p.example/",
    );
    home.write(
        ".config/pip/pip.conf",
        "[global]\nindex-url=https://u:s3cret@a.example/\nproxy=http://u:s3cret@p.example/",
    );
    home.write(".netrc", "machine a.example login u password s3cret");
    home.write(".cargo/config.toml", "http.proxy = 'http://u:s3cret@p.example'");
    home.write(".cargo/credentials.toml", "[registries.a]\ntoken = 's3cret'");
    let registries = Registries::new(home.variables(&[("TOKEN", "s3cret")]), None, defaults());
    registries.npm().unwrap();
    registries.pypi().unwrap();
    let proxy = registries.cargo().unwrap();
    let shown = format!("{registries:?} {:?}", proxy.proxy(&url("https://a.example/")));
    assert!(shown.contains("a.example") && !shown.contains("s3cret"), "{shown}");
}
