//! What every verb is given: the global options, the environment, and what follows from them.

use std::collections::HashSet;
use std::path::PathBuf;

use super::exit::Failed;
use super::output::Output;
use crate::config::Config;
use crate::config::environment::Environment;
use crate::error::Result;
use crate::operation::target::Target;
use crate::operation::{Context, mounts};

/// Options of every verb.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Global {
    /// Print reports and errors as JSON on stdout
    #[arg(long, global = true)]
    pub json: bool,
    /// Where the cache is [environment: SRCFS_CACHE_DIR; default: $XDG_CACHE_HOME/srcfs]
    #[arg(long, global = true, value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,
    /// Where the configuration is [environment: SRCFS_CONFIG; default: $XDG_CONFIG_HOME/srcfs/config.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Log more: -v info, -vv debug, -vvv trace [environment: SRCFS_LOG]
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Print only what was asked for, and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

/// One call of the program.
pub struct Invocation {
    /// The global options.
    pub global: Global,
    /// The environment.
    pub environment: Environment,
    /// How to speak.
    pub output: Output,
}

impl Invocation {
    /// Of the options that were given and the environment that is.
    pub fn new(global: Global, environment: Environment) -> Invocation {
        let output = Output { json: global.json, quiet: global.quiet };
        Invocation { global, environment, output }
    }

    /// Where the configuration is.
    pub fn config_file(&self) -> Result<PathBuf> {
        self.environment.config_file(self.global.config.as_deref())
    }

    /// Where the cache is.
    pub fn cache_directory(&self) -> Result<PathBuf> {
        self.environment.cache_directory(self.global.cache_dir.as_deref())
    }

    /// The configuration.
    pub fn config(&self) -> Result<Config> {
        Config::load(&self.config_file()?)
    }

    /// The configuration and the open cache.
    pub fn context(&self) -> Result<Context> {
        Context::open(self.config()?, &self.cache_directory()?, self.environment.clone())
    }
}

/// All `keys`, each once, in their order. One that cannot be read fails before anything is done.
pub fn targets(context: &Context, keys: &[String]) -> Result<Vec<Target>, Failed> {
    let mounts = mounts::all()?;
    let (mut targets, mut seen) = (Vec::new(), HashSet::new());
    for key in keys {
        let target = Target::parse_for(context, key, &mounts)?;
        // What is called the same is the same.
        if seen.insert(target.text.clone()) {
            targets.push(target);
        }
    }
    Ok(targets)
}
