//! `srcfs add`.

use std::path::PathBuf;

use super::exit::Failed;
use super::invocation::Invocation;
use super::progress::Bars;
use super::table::{count, short, unanswered};
use crate::config::NewOrigin;
use crate::key::Kind;
use crate::operation::add::{self, AddedProject, Addition};

const AFTER_HELP: &str = "\
Checks that the repository, package or directory, the reference and the subpaths exist.
The configuration keeps its comments and its order.

Examples:
  srcfs add docs https://example.org/team/docs.git --ref main --subpath guide \\
      --note 'start at guide/intro.md'
  srcfs add ui --npm react --ref ^18                 # the newest 18
  srcfs add work --path ~/work --ignore '*.log'      # is local/work below the mount
  srcfs add web --project ~/web                      # is projects/web: what its lockfiles pin";

/// Give a repository, a package or a directory a name of its own below the mount
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
#[group(skip)]
#[command(group(clap::ArgGroup::new("origin").required(true).args(["url", "npm", "crates", "pypi", "path", "project"])))]
pub struct Arguments {
    /// The name: letters, digits and . - _, with / for directories
    name: String,
    /// The repository
    url: Option<String>,
    /// A package of npm instead
    #[arg(long, value_name = "PKG")]
    npm: Option<String>,
    /// A crate instead
    #[arg(long, value_name = "CRATE")]
    crates: Option<String>,
    /// A project of the Python package index instead
    #[arg(long, value_name = "PROJECT")]
    pypi: Option<String>,
    /// A directory of this machine instead, shown as local/NAME: what git lists of it, or all but what is built
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// A project instead, shown as projects/NAME: exactly the versions that its lockfiles pin
    #[arg(long, value_name = "DIR", conflicts_with_all = ["reference", "subpaths", "note", "no_check"])]
    project: Option<PathBuf>,
    /// Leave out what matches this, written as in a .gitignore file; may be repeated
    #[arg(long = "ignore", value_name = "GLOB", requires = "path", conflicts_with_all = ["url", "npm", "crates", "pypi", "project"])]
    ignore: Vec<String>,
    /// The branch, tag or full commit id to show, if not the remote's HEAD; of a package the version, range
    /// or tag, if not the latest
    #[arg(long = "ref", value_name = "R")]
    reference: Option<String>,
    /// Show only this directory or file; may be repeated
    #[arg(long = "subpath", value_name = "P")]
    subpaths: Vec<String>,
    /// What its users should know
    #[arg(long, value_name = "T")]
    note: Option<String>,
    /// Do not look whether it exists
    #[arg(long)]
    no_check: bool,
}

impl Arguments {
    fn package(&self) -> Option<(Kind, &str)> {
        let packages = [(Kind::Npm, &self.npm), (Kind::Crates, &self.crates), (Kind::Pypi, &self.pypi)];
        packages.into_iter().find_map(|(kind, name)| Some((kind, name.as_deref()?)))
    }
}

/// Adds.
pub fn run(arguments: &Arguments, invocation: &Invocation) -> Result<(), Failed> {
    let context = invocation.context()?;
    if let Some(directory) = &arguments.project {
        let directory = add::real_directory(directory)?;
        let file = invocation.config_file()?;
        let added = add::add_project(&context, &file, &arguments.name, &directory)?;
        return invocation.output.confirm(&added, || project(&added));
    }
    let subpaths: Vec<&str> = arguments.subpaths.iter().map(String::as_str).collect();
    let ignore: Vec<&str> = arguments.ignore.iter().map(String::as_str).collect();
    let path = arguments.path.as_deref().map(add::real_directory).transpose()?;
    let origin = match (&path, arguments.package()) {
        (Some(path), _) => NewOrigin::Path { path, ignore: &ignore },
        (None, Some((kind, name))) => NewOrigin::Package(kind, name),
        (None, None) => NewOrigin::Git(arguments.url.as_deref().unwrap_or_default()),
    };
    let addition = Addition {
        name: &arguments.name,
        origin,
        reference: arguments.reference.as_deref(),
        subpaths: &subpaths,
        note: arguments.note.as_deref(),
    };
    let mut bars = Bars::new(&invocation.output);
    let file = invocation.config_file()?;
    let report = add::add(&context, &file, &addition, !arguments.no_check, &mut |key| bars.next(key))?;
    bars.finish();
    invocation.output.confirm(&report, || {
        let version = report.version.clone();
        let at = version.or_else(|| report.revision.as_deref().map(short)).map(|at| format!(" at {at}"));
        format!("added {} = {}{}\n", report.name, report.url, at.unwrap_or_default())
            + &unanswered(&report.unanswered)
    })
}

fn project(added: &AddedProject) -> String {
    let AddedProject { name, path, pins, notes, broken, .. } = added;
    let mut text =
        format!("added projects/{name} = {}, {}\n", path.display(), count(*pins as u64, "pinned version"));
    for failure in broken {
        text.push_str(&format!("not read: {}: {}\n", failure.what, failure.why));
    }
    for note in notes {
        text.push_str(&format!("note: {note}\n"));
    }
    text + &unanswered(&added.unanswered)
}
