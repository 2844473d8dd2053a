//! `srcfs agent-guide`.

use super::exit::Failed;
use super::invocation::Invocation;
use crate::operation::agent_guide;
use crate::view::guide::Form;

const AFTER_HELP: &str = "\
It is about the running mount, with what is configured now; the mount's own README.md says the same.
Print it again when the mount point or the configuration changes.

Examples:
  srcfs agent-guide >> AGENTS.md
  srcfs agent-guide --skill > skills/srcfs/SKILL.md";

/// Print how to find and cite source here, for the instructions of agents
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// As a skill: a whole SKILL.md with front matter, not a section of an AGENTS.md
    #[arg(long)]
    skill: bool,
}

/// Prints it.
pub fn run(arguments: &Arguments, invocation: &Invocation) -> Result<(), Failed> {
    let form = if arguments.skill { Form::Skill } else { Form::Section };
    let guide = agent_guide::guide(&invocation.context()?, form)?;
    invocation.output.report(&guide, || guide.text.clone())?;
    if !guide.mounted && !invocation.output.json {
        let place = guide.mount_point.display();
        invocation
            .output
            .warn(&format!("nothing is mounted; this is about {place}, where `srcfs mount` would"));
    }
    Ok(())
}
