//! What tells people and agents how to use a mount: its own `README.md`, and what `srcfs agent-guide`
//! prints for their instructions.
//!
//! Both are made of the same sections, in fewer than 60 lines, and are true for the mount that they are
//! about: they name its directory, the kinds of this version, the hosts and resources that are
//! configured, and say whether anything is fetched and how much a process may cause. A line that begins
//! with four spaces is a command that works as it stands.

use std::fmt::Write as _;
use std::path::Path;

use crate::config::duration::Shown;
use crate::config::{Config, Resource};
use crate::key::Kind;

/// How many resources are named; more would make it long, and `srcfs list` names all.
const MOST_RESOURCES: usize = 3;

/// How many projects are named.
const MOST_PROJECTS: usize = 10;

/// How many bytes of a line are filled.
const WIDTH: usize = 120;

/// A repository that exists, as an example.
const EXAMPLE: &str = "git/github.com/rust-lang/log@0.4.22";

/// A package that exists, as an example.
const PACKAGE: &str = "npm/ms@2.1.3";

/// Who it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Whoever finds the mount: the whole of a file.
    Readme,
    /// Coding agents: a section of an AGENTS.md.
    Section,
    /// Coding agents: a SKILL.md, whose front matter says when it is to be read.
    Skill,
}

/// The text, for the mount at `directory`.
pub fn text(form: Form, directory: &Path, config: &Config) -> String {
    let plain = directory.display().to_string();
    let mount = quoted(&plain);
    let heading = match form {
        Form::Readme => format!("# {plain}\n"),
        Form::Section => format!("## Source of dependencies: {plain}\n"),
        Form::Skill => front_matter(&plain) + &format!("# Source of dependencies: {plain}\n"),
    };
    let level = if form == Form::Section { "###" } else { "##" };
    let empty = if form == Form::Readme { "" } else { " If it is empty, run `srcfs mount`." };
    let what_is_here = what_is_here(config);
    let mut text = format!(
        "{heading}
{what_is_here}{empty}

{level} Find

"
    );
    for kind in Kind::ALL {
        text.push_str(paths_of(kind));
    }
    text.push_str(&projects(config));
    text.push_str("- `<name>[@<reference>]`: what the configuration calls so\n");
    for line in resources(config) {
        text.push_str(&line);
    }
    let hosts: Vec<&str> = config.hosts.iter().map(|host| host.name.as_str()).collect();
    text.push_str(&filled(&format!("Hosts: {}. No other is asked until configured.", hosts.join(", "))));
    let errors = errors(config);
    let _ = write!(
        text,
        "
For a dependency take its package at the exact version of the project's lock file: what was published, verified.

    rg -n 'module.exports' {mount}/{PACKAGE}
    srcfs cite --json {mount}/{PACKAGE}/package.json

What was not published, as many tests, is in its repository, which the second names; the tag is often `v1.2.3` or
`1.2.3`. In a reference `/` is written `%2F`; if a tag and a branch share a name, write `@tags%2F<name>`.

    git ls-remote --tags https://github.com/rust-lang/log
    rg -n 'pub trait Log' {mount}/{EXAMPLE}/src

Search in one tree and not in `{plain}` itself: a listing there shows only what is configured or cached.
Everything is read-only, and one process sees one snapshot under a name. Submodules are empty directories.

{level} Cite

    srcfs cite {mount}/{EXAMPLE}/src/lib.rs:1-3
    srcfs path --pin {EXAMPLE}

The first prints a permalink with commit and lines, or name, version, path and hash of a package; in a tree a relative
path will do. The second prints a path that never shows anything else. Cite what you read, not what you remember.

{level} Errors

- No such file: that package, version, repository or path does not exist, is private, or its host is not configured.
- Permission denied: the host refused the credential that it was shown.
{errors}
    srcfs explain {mount}/{EXAMPLE}

says why something failed, and what to do. `{plain}/.srcfs/errors.json` has the last failures.
"
    );
    text
}

/// Whether a look fetches.
fn what_is_here(config: &Config) -> &'static str {
    match config.offline {
        false => {
            "Any version of any package of npm, crates and PyPI, and of any repository of a configured host, is here for ordinary
tools. Do not clone or install it to read it: the first look into a tree fetches it, and it is local then."
        }
        true => {
            "Packages of npm, crates and PyPI, and repositories of configured hosts, are here for ordinary tools, as far as they
are cached: the configuration says `offline = true`, so nothing is fetched. `srcfs list` names what is cached."
        }
    }
}

/// The lines about errors that are not the same everywhere.
fn errors(config: &Config) -> String {
    let window = Shown(config.walkers.window);
    let guard = match config.walkers.limit {
        Some(limit) => {
            format!(", or a guard stopped this process after {limit} uncached trees within {window}")
        }
        None => String::new(),
    };
    let others = match config.offline {
        true => {
            "Network is unreachable: it is not cached, and srcfs is offline. Any other error: the disk or a limit."
        }
        false => {
            "Any other error: the network, the disk or a limit; trying again may help. A first look takes as long as a fetch."
        }
    };
    format!(
        "\
- Resource temporarily unavailable: the host asks to wait{guard}.
- Input/output error: not what its published hash says, so it is not shown; or the server, disk or configuration fails.
- {others}
"
    )
}

/// By what an agent decides whether to read the rest. The texts are quoted as JSON, which is YAML as well.
fn front_matter(mount: &str) -> String {
    let description = format!(
        "Read the source of dependencies, at the version in use, below {mount}, and cite it by permalinks. \
         Use it to look up how a library works, instead of cloning it or recalling it."
    );
    let description = serde_json::Value::String(description);
    format!("---\nname: srcfs\ndescription: {description}\n---\n\n")
}

/// A line of the list of what stands where.
fn paths_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Git => {
            "- `git/<host>/<owner>/<repository>[@<branch, tag or commit>]`: a repository; without @ its default branch\n"
        }
        Kind::Npm => {
            "- `npm/<package>[@<version, range or tag>]`, `npm/@<scope>/<package>`: an npm package; without @ its latest version\n"
        }
        Kind::Crates => "- `crates/<crate>[@<version or range>]`: a Rust crate; `@1.2` is the newest 1.2\n",
        Kind::Pypi => "- `pypi/<project>[@<version or range>]`: a Python project, its sdist if it has one\n",
        Kind::Local => "- `local/<name>`: a directory of this machine that the configuration names so\n",
    }
}

/// The line about projects, with their names.
fn projects(config: &Config) -> String {
    let line = "- `projects/<name>/<npm, crates or pypi>/<package>[@<version>]`: what a project's lock files pin, \
                with @ where they pin several versions";
    let names: Vec<&str> =
        config.projects.iter().map(|project| project.name.as_str()).take(MOST_PROJECTS).collect();
    let more = match config.projects.len().saturating_sub(MOST_PROJECTS) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    match names.is_empty() {
        true => format!("{line}\n"),
        false => format!("{line}; projects: {}{more}\n", names.join(", ")),
    }
}

/// One line for each resource that is named.
fn resources(config: &Config) -> Vec<String> {
    let mut lines: Vec<String> = config.resources.iter().take(MOST_RESOURCES).map(line).collect();
    match config.resources.len().saturating_sub(MOST_RESOURCES) {
        0 => {}
        more => lines.push(format!("  - and {more} more: `srcfs list`\n")),
    }
    lines
}

fn line(resource: &Resource) -> String {
    let mut line = format!("  - `{}`: {}", resource.name, resource.key.source());
    if !resource.subpaths.is_empty() {
        let _ = write!(line, ", of it {}", resource.subpaths.join(", "));
    }
    if let Some(note) = &resource.note {
        // A note may have lines of its own.
        let words: Vec<&str> = note.split_whitespace().collect();
        let _ = write!(line, "; {}", words.join(" "));
    }
    line + "\n"
}

/// In lines that are not too long.
fn filled(text: &str) -> String {
    let (mut filled, mut length) = (String::new(), 0);
    for word in text.split(' ') {
        if length > 0 && length + 1 + word.len() > WIDTH {
            filled.push('\n');
            length = 0;
        }
        if length > 0 {
            filled.push(' ');
            length += 1;
        }
        filled.push_str(word);
        length += word.len();
    }
    filled + "\n"
}

/// As a shell reads it.
fn quoted(path: &str) -> String {
    let plain = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'-' | b'_' | b'+' | b'@' | b',')
    };
    match path.bytes().all(plain) {
        true => path.to_owned(),
        false => format!("'{}'", path.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn projects(count: usize) -> String {
        (0..count)
            .map(|number| format!("[[project]]\nname = \"p{number}\"\npath = \"/p{number}\"\n"))
            .collect()
    }

    fn config(resources: usize) -> Config {
        let resource = |number| {
            format!(
                "[[resource]]\nname = \"r{number}\"\ngit = \"https://example.org/r{number}.git\"\n\
                 subpaths = [\"src\"]\nnote = \"start\\nhere\"\n"
            )
        };
        Config::parse(&(0..resources).map(resource).collect::<String>()).unwrap()
    }

    #[test]
    fn every_form_is_short_and_names_the_mount_and_what_is_configured() {
        for form in [Form::Readme, Form::Section, Form::Skill] {
            let text = text(form, Path::new("/m/src"), &config(100));
            assert!(text.lines().count() < 60, "{form:?}: {} lines", text.lines().count());
            assert!(text.contains("rg -n 'pub trait Log' /m/src/git/"), "{text}");
            assert!(text.contains("- `r0`: https://example.org/r0.git, of it src; start here\n"), "{text}");
            assert!(text.contains("and 97 more") && text.contains("git.kernel.org"), "{text}");
            for kind in Kind::ALL {
                assert!(text.contains(&format!("- `{}/<", kind.as_str())), "{kind:?}");
            }
        }
    }

    #[test]
    fn it_says_what_is_fetched_and_what_an_error_means_and_how_many_are_not_named() {
        let text = |settings: &str| {
            let projects = projects(MOST_PROJECTS + 2);
            let config = Config::parse(&format!("{settings}\n{projects}")).unwrap();
            let text = text(Form::Skill, Path::new("/m"), &config);
            assert!(text.lines().count() < 60, "{} lines", text.lines().count());
            assert!(text.contains(": p0, p1,") && text.contains("p9, and 2 more\n"), "{text}");
            assert!(text.contains("Input/output error: not what its published hash says"), "{text}");
            text
        };
        let usual = text("");
        assert!(usual.contains("the first look into a tree fetches it"), "{usual}");
        assert!(
            usual.contains("unavailable: the host asks to wait, or a guard stopped this process after 20"),
            "{usual}"
        );
        assert!(usual.contains("uncached trees within 1m.\n"), "{usual}");
        let unbounded = text("max_materializations_per_process = \"none\"");
        assert!(unbounded.contains("unavailable: the host asks to wait.\n"), "{unbounded}");
        let offline = text("offline = true");
        assert!(
            !offline.contains("fetches it") && !offline.contains("takes as long as a fetch"),
            "{offline}"
        );
        assert!(offline.contains("Network is unreachable: it is not cached"), "{offline}");
    }

    #[test]
    fn a_skill_says_in_its_first_lines_when_it_is_to_be_read() {
        let skill = text(Form::Skill, Path::new("/m: x"), &config(0));
        let (_, rest) = skill.split_once("---\n").unwrap();
        let (front, body) = rest.split_once("---\n").unwrap();
        let fields: Vec<&str> = front.lines().filter_map(|line| Some(line.split_once(": ")?.0)).collect();
        assert_eq!(fields, ["name", "description"]);
        assert!(body.starts_with("\n# "), "{body}");
        let description = front.split_once("description: ").unwrap().1.trim_end();
        assert!(serde_json::from_str::<String>(description).unwrap().contains("below /m: x,"), "{front}");
    }

    #[test]
    fn a_command_works_whatever_the_mount_is_called() {
        assert_eq!(quoted("/m/src-1.0_x"), "/m/src-1.0_x");
        assert_eq!(quoted("/m y/it's"), r"'/m y/it'\''s'");
        assert!(text(Form::Readme, Path::new("/m y"), &config(0)).contains("'/m y'/git/"));
    }
}
