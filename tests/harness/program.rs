//! Runs `srcfs` as a user would, with a cache and a configuration of its own.

#![allow(dead_code, reason = "no test uses all of it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// The program with its own cache, configuration and mount point, in one temporary directory.
pub struct Program {
    directory: tempfile::TempDir,
}

/// How a run ended.
#[derive(Debug)]
pub struct Run {
    /// The exit code.
    pub code: i32,
    /// What it printed.
    pub out: String,
    /// What it complained.
    pub err: String,
}

impl Run {
    /// The one line of JSON that it printed.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Program {
    /// With an empty configuration.
    pub fn new() -> Program {
        Program { directory: tempfile::tempdir().unwrap() }
    }

    /// The directory for everything that a test needs beside.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Its configuration file.
    pub fn config(&self) -> PathBuf {
        self.path().join("config/config.toml")
    }

    /// Its cache.
    pub fn cache(&self) -> PathBuf {
        self.path().join("cache")
    }

    /// Replaces its configuration.
    pub fn configure(&self, text: &str) {
        std::fs::create_dir_all(self.path().join("config")).unwrap();
        std::fs::write(self.config(), text).unwrap();
    }

    /// A run that is not started yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = super::harness::repository::hermetic(env!("CARGO_BIN_EXE_srcfs"));
        command
            .args(arguments)
            .env("SRCFS_CACHE_DIR", self.cache())
            .env("SRCFS_CONFIG", self.config())
            .env("SRCFS_MOUNT", self.path().join("mount"))
            .env_remove("SRCFS_LOG")
            .stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    pub fn run(&self, arguments: &[&str]) -> Run {
        let output = self.command(arguments).output().unwrap();
        Run {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs it with `--json`, and has it succeed.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let run = self.run(&[&["--json"], arguments].concat());
        assert_eq!(run.code, 0, "{arguments:?}: {run:?}");
        run.json()
    }
}
