//! A srcfs whose registries are on the loopback.

#![allow(dead_code, reason = "no test uses all of it")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::mounted2::{Site, run, xattr};
use super::program::Run;
use super::registry::{Client, Registry, packing};

/// All of it.
pub struct Place {
    /// The registries.
    pub registry: Registry,
    /// What tells clients to ask them.
    pub client: Client,
    /// The program, and a mount if a test makes one.
    pub site: Site,
}

impl Place {
    /// With an empty registry, and nothing mounted. Moving references are asked for at each change only.
    pub fn new() -> Place {
        Place::with("refresh = \"never\"")
    }

    /// The same with these settings.
    pub fn with(settings: &str) -> Place {
        let registry = Registry::start();
        let site = Site::new(settings);
        let client = registry.configure(site.program.path());
        Place { registry, client, site }
    }

    /// With the packages that were recorded, and mounted.
    pub fn recorded() -> Place {
        let mut place = Place::new();
        for (kind, name) in [
            ("npm", "ms"),
            ("npm", "@types/ms"),
            ("crates", "cfg-if"),
            ("pypi", "iniconfig"),
            ("pypi", "tensorboard-data-server"),
        ] {
            place.registry.recorded(kind, name);
        }
        place.mount();
        place
    }

    /// Mounts.
    pub fn mount(&mut self) {
        let client = &self.client;
        self.site.mount_by(&["-v", "mount", "--foreground"], |command| {
            client.apply(command);
        });
    }

    /// A run of the program that is not started yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.site.command(arguments);
        self.client.apply(&mut command);
        command
    }

    /// Runs the program.
    pub fn run(&self, arguments: &[&str]) -> Run {
        run(&mut self.command(arguments))
    }

    /// Runs it with `--json`, and has it succeed.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let run = self.run(&[&["--json"], arguments].concat());
        assert_eq!(run.code, 0, "{arguments:?}: {run:?}");
        run.json()
    }

    /// Why a KEY cannot be had: what `srcfs get` says.
    pub fn refused(&self, key: &str) -> String {
        let run = self.run(&["get", key]);
        assert_ne!(run.code, 0, "{key}: {run:?}");
        run.err + &run.out
    }

    /// The version that a KEY is in the cache, fetched if it must be.
    pub fn version(&self, key: &str) -> String {
        let report = self.json(&["get", key]);
        let revision = report["trees"][0]["tree"]["revision"].as_str().unwrap_or_else(|| panic!("{report}"));
        revision.split('_').next().unwrap().to_owned()
    }

    /// A path in the mount.
    pub fn path(&self, name: &str) -> PathBuf {
        self.site.path(name)
    }

    /// What a new process reads there.
    pub fn cat(&self, name: &str) -> String {
        self.site.cat(&self.path(name))
    }

    /// The names in a directory of the mount, sorted, as a new process lists them.
    pub fn ls(&self, name: &str) -> Vec<String> {
        let listed = run(Command::new("ls").arg("-A").arg("--").arg(self.path(name)));
        assert_eq!(listed.code, 0, "{name}: {listed:?}\n{}", self.site.log());
        listed.out.lines().map(str::to_owned).collect()
    }

    /// An attribute of something in the mount; panics if it has none.
    pub fn attribute(&self, name: &str, attribute: &str) -> String {
        let attribute = format!("user.srcfs.{attribute}");
        xattr(&self.path(name), &attribute).unwrap_or_else(|error| panic!("{name} {attribute}: {error}"))
    }
}

/// A `.tar.gz` of these files, by their full names; one whose name ends in `!` may be executed.
pub fn tgz(files: &[(&str, &str)]) -> Vec<u8> {
    let files: Vec<_> =
        files.iter().map(|(name, content)| ((*name).to_owned(), content.as_bytes().to_vec())).collect();
    packing::tgz(&files)
}

/// All files below a directory with what they hold, by their names below it.
pub fn contents(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let files = super::mounted2::files_below(directory);
    let named = |path: PathBuf| {
        let name = path.strip_prefix(directory).unwrap().to_str().unwrap().to_owned();
        let content = std::fs::read(&path).unwrap();
        (name, content)
    };
    files.into_iter().map(named).collect()
}
