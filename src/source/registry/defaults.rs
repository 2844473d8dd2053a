//! What a client says itself where nothing is configured. It is asked once.
//!
//! The client runs as git does (see `source::git`): in a session of its own, bounded, killed with all it
//! started, with `/` as its working directory, so that no code of a project runs. It is found in the
//! absolute directories of `PATH` only. It sees none of the user's configuration: that was read already.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use url::Url;

use super::registry_url;
use crate::config::variables::Variables;
use crate::error::{Error, Kind, Result};
use crate::source::git;

mod kept;

use kept::Kept;

/// Both answer in well under a second; a cold disk takes longer.
const DEADLINE: Duration = Duration::from_secs(30);
/// How long it is believed that a client says nothing.
const BELIEVED: Duration = Duration::from_secs(10);

/// Without `-I` the module could come from a place that somebody else writes to.
const ASK_PIP: &str = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)";

/// The answers so far.
#[derive(Debug, Default)]
pub struct Defaults {
    npm: Answer,
    pip: Answer,
    /// Where answers are kept for the next process, if anywhere.
    kept: Option<PathBuf>,
}

/// What a client said, once it was asked.
type Answer = Mutex<Option<(Result<Url>, Instant)>>;

impl Defaults {
    /// Nobody was asked yet, and answers are kept for the life of this value.
    pub fn new() -> Self {
        Defaults::default()
    }

    /// As [`Defaults::new`], and answers are kept in `directory`, which need not be there, until the client
    /// is another file.
    pub fn kept_in(directory: impl Into<PathBuf>) -> Self {
        Defaults { kept: Some(directory.into()), ..Defaults::default() }
    }

    /// The registry that npm asks if nobody tells it another.
    pub(super) fn npm(&self, variables: &Variables) -> Result<Url> {
        let question = Question {
            client: "npm",
            programs: &["npm"],
            arguments: &["config", "get", "registry"],
            hint: "write registry=https://… into ~/.npmrc, or install npm, which knows its own",
        };
        self.ask(&self.npm, &question, variables)
    }

    /// The index that pip asks if nobody tells it another.
    pub(super) fn pip(&self, variables: &Variables) -> Result<Url> {
        let question = Question {
            client: "pip",
            programs: &["python3", "python"],
            arguments: &["-I", "-c", ASK_PIP],
            hint: "write index-url = https://…/simple/ below [global] in ~/.config/pip/pip.conf, \
                   or install pip, which knows its own",
        };
        self.ask(&self.pip, &question, variables)
    }

    fn ask(&self, answer: &Answer, question: &Question<'_>, variables: &Variables) -> Result<Url> {
        // Held while asking: who comes meanwhile wants the same answer.
        let mut answer = answer.lock().unwrap_or_else(PoisonError::into_inner);
        match &*answer {
            Some((Ok(url), _)) => return Ok(url.clone()),
            // One that hangs must not be waited for by each who comes.
            Some((Err(error), asked)) if asked.elapsed() < BELIEVED => return Err(error.clone()),
            _ => {}
        }
        let client = question.client;
        let what = format!("find the registry of {client}");
        let why = format!("none is configured, and there is no {client} on the PATH that could be asked");
        let mut last = Error::new(Kind::Config, what.clone(), why);
        for program in question.programs.iter().filter_map(|name| find(name, variables)) {
            let kept = self.kept.as_ref().map(|directory| Kept::new(directory, client, &program));
            let before = kept.as_ref().and_then(Kept::read);
            let said = before.map_or_else(|| run(&what, &program, question, variables), Ok);
            match said {
                Ok(url) => {
                    if let Some(kept) = kept {
                        kept.write(&url);
                    }
                    *answer = Some((Ok(url.clone()), Instant::now()));
                    return Ok(url);
                }
                Err(error) => last = error,
            }
        }
        let last = last.hint(question.hint);
        *answer = Some((Err(last.clone()), Instant::now()));
        Err(last)
    }
}

/// What a client is asked.
struct Question<'a> {
    client: &'a str,
    programs: &'a [&'a str],
    arguments: &'a [&'a str],
    hint: &'a str,
}

fn run(what: &str, program: &Path, question: &Question<'_>, variables: &Variables) -> Result<Url> {
    let arguments: Vec<&OsStr> = question.arguments.iter().map(OsStr::new).collect();
    let said = git::run_other(what, program, &arguments, environment(variables), DEADLINE)?;
    let shown = program.display();
    let Some(output) = said else {
        return Err(Error::new(
            Kind::Config,
            what,
            format!("none is configured, and {shown} could not say its own"),
        ));
    };
    let text = String::from_utf8_lossy(&output);
    registry_url(text.lines().last().unwrap_or_default(), &format!("what {shown} says"))
}

/// Enough for the client to run, and nothing that it would be told by.
fn environment(variables: &Variables) -> Vec<(OsString, OsString)> {
    let path = std::env::join_paths(variables.search_path()).unwrap_or_default();
    let mut environment: Vec<(OsString, OsString)> = vec![("PATH".into(), path)];
    for (name, value) in [
        ("LC_ALL", "C.UTF-8"),
        // No directory, so nothing is read there and no log is written.
        ("HOME", "/dev/null"),
        ("npm_config_userconfig", "/dev/null"),
        ("npm_config_globalconfig", "/dev/null/npmrc"),
        ("npm_config_logs_max", "0"),
        ("npm_config_update_notifier", "false"),
    ] {
        environment.push((name.into(), value.into()));
    }
    // Where version managers find the interpreter that their stand-in starts.
    for name in ["PYENV_ROOT", "PYENV_VERSION", "ASDF_DATA_DIR", "VOLTA_HOME", "NVM_DIR"] {
        if let Some(value) = variables.set(name) {
            environment.push((name.into(), value.to_owned()));
        }
    }
    environment
}

/// The program `name` on the `PATH`.
pub(super) fn find(name: &str, variables: &Variables) -> Option<PathBuf> {
    let is_program = |path: &PathBuf| {
        std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    variables.search_path().into_iter().map(|directory| directory.join(name)).find(is_program)
}
