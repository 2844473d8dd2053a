//! The command line: verbs that parse, call one operation and print its report. No logic of its own.
//!
//! Every verb is a file here and says in one sentence and one example what it does; what it does is
//! in [`crate::operation`] and [`crate::daemon`]. Exit codes are in [`exit`].

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::environment::Environment;
use crate::error::{Error, Kind};
use exit::Failed;
use invocation::{Global, Invocation};
use output::Output;

pub mod add;
pub mod agent_guide;
pub mod check;
pub mod cite;
pub mod clear;
pub mod doctor;
pub mod exit;
pub mod explain;
pub mod fstab;
pub mod gc;
pub mod get;
pub mod import;
pub mod interrupt;
pub mod invocation;
pub mod keep;
pub mod list;
pub mod logging;
pub mod mount;
pub mod output;
pub mod path;
pub mod probe;
pub mod progress;
pub mod release;
pub mod remove;
pub mod status;
pub mod table;
pub mod unmount;
pub mod update;

const AFTER_HELP: &str = "\
KEY is written as below the mount: git/github.com/owner/repository@reference, npm/react@18, or a
configured name.
A / in a reference is written %2F. The path of something in a mount is a KEY too.

Examples:
  srcfs mount ~/srcfs
  rg 'unsafe fn' ~/srcfs/git/github.com/owner/repository@v1.2.0/src
  srcfs add docs https://example.org/team/docs.git --ref main --subpath guide
  srcfs update docs

Exit codes:
  0 done   1 failed   2 usage   3 configuration   10-23 see `srcfs mount --help`
  130, 143 ended by Ctrl-C or SIGTERM";

/// One mounted directory in which the source of everything you depend on is already there
#[derive(Parser, Debug)]
#[command(name = "srcfs", version, after_help = AFTER_HELP, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    Mount(mount::Arguments),
    Unmount(unmount::Arguments),
    Get(get::Arguments),
    List(list::Arguments),
    Path(path::Arguments),
    Cite(cite::Arguments),
    AgentGuide(agent_guide::Arguments),
    Add(add::Arguments),
    Import(import::Arguments),
    Remove(remove::Arguments),
    Update(update::Arguments),
    Clear(clear::Arguments),
    Gc(gc::Arguments),
    Keep(keep::Arguments),
    Release(release::Arguments),
    Status(status::Arguments),
    Explain(explain::Arguments),
    Doctor(doctor::Arguments),
    #[command(name = "__probe", hide = true)]
    Probe(probe::Arguments),
    #[command(name = "__check", hide = true)]
    Check(check::Arguments),
}

/// Runs the program.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    // A mount program is called by mount(8) in a form of its own.
    let arguments = fstab::translate(&arguments).unwrap_or(arguments);
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(usage(&error, &arguments)),
    };
    let invocation = Invocation::new(cli.global, Environment::read());
    let Invocation { global, environment, output } = &invocation;
    logging::start(global.verbose, global.quiet, environment.log.as_deref());
    match run(cli.verb, &invocation) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed { error, code }) => {
            if let Some(error) = error {
                output.error(&error);
            }
            ExitCode::from(code)
        }
    }
}

fn run(verb: Verb, invocation: &Invocation) -> Result<(), Failed> {
    match verb {
        Verb::Mount(arguments) => mount::run(&arguments, invocation),
        Verb::Unmount(arguments) => unmount::run(&arguments, invocation),
        Verb::Get(arguments) => get::run(&arguments, invocation),
        Verb::List(arguments) => list::run(&arguments, invocation),
        Verb::Path(arguments) => path::run(&arguments, invocation),
        Verb::Cite(arguments) => cite::run(&arguments, invocation),
        Verb::AgentGuide(arguments) => agent_guide::run(&arguments, invocation),
        Verb::Add(arguments) => add::run(&arguments, invocation),
        Verb::Import(arguments) => import::run(&arguments, invocation),
        Verb::Remove(arguments) => remove::run(&arguments, invocation),
        Verb::Update(arguments) => update::run(&arguments, invocation),
        Verb::Clear(arguments) => clear::run(&arguments, invocation),
        Verb::Gc(arguments) => gc::run(&arguments, invocation),
        Verb::Keep(arguments) => keep::run(&arguments, invocation),
        Verb::Release(arguments) => release::run(&arguments, invocation),
        Verb::Status(arguments) => status::run(&arguments, invocation),
        Verb::Explain(arguments) => explain::run(&arguments, invocation),
        Verb::Doctor(arguments) => doctor::run(&arguments, invocation),
        Verb::Probe(arguments) => probe::run(&arguments),
        Verb::Check(arguments) => check::run(&arguments, invocation),
    }
}

/// Tells what is wrong with the command line, or what `--help` asked for.
fn usage(error: &clap::Error, arguments: &[OsString]) -> u8 {
    let json = arguments.iter().any(|argument| argument == "--json");
    if error.use_stderr() && json {
        let text = error.to_string();
        let first = text.split("\n\n").next().unwrap_or(&text);
        let words: Vec<&str> = first.trim_start_matches("error: ").split_whitespace().collect();
        let error =
            Error::new(Kind::Invalid, "read the command line", words.join(" ")).hint("see `srcfs --help`");
        Output { json, quiet: true }.error(&error);
        return exit::USAGE;
    }
    error.print().ok();
    if error.use_stderr() { exit::USAGE } else { 0 }
}

#[cfg(test)]
mod tests;
