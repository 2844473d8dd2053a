//! What a path on disk is: as a process that looks now sees it in a mount.
//!
//! The mount itself is touched only by a child (see [`probe`]). A daemon that is dead or hangs is found
//! out first; then the look may take as long as a reader's, because it may have to fetch.

use std::path::{Path, PathBuf};

use super::super::daemon_status;
use super::super::mounts::{self, Mounted};
use super::super::probe::{self, Answer, Ask, describe::Described};
use super::super::target::{self, Target};
use super::asked::Asked;
use super::{Found, Submodule};
use crate::error::{Error, Kind, Result};
use crate::key::{Key, Origin};
use crate::operation::Context;
use crate::source::About;
use crate::view::citation::Lines;

/// Fails with `NotFound` if there is nothing at this path.
pub(super) fn find(context: &Context, mounts: &[Mounted], asked: &Asked<'_>) -> Result<Found> {
    let (described, lines) = look(context, mounts, asked)?;
    let what = || format!("cite {}", asked.whole);
    let Some((url, revision)) = described.view else {
        let why = match mounts::containing(mounts, &described.path) {
            Some(_) => "it belongs to the mount itself, not to a tree",
            None => "it lies in no mount of srcfs",
        };
        let hint = match target::shown_as(&described.path, &context.config) {
            Some(name) => format!("write {name}"),
            None => {
                "write a path in a mount, or a KEY like git/github.com/owner/repository/src/lib.rs".to_owned()
            }
        };
        return Err(Error::new(Kind::Invalid, what(), why).hint(hint));
    };
    let Some(path) = described.path.to_str() else {
        let hint = "its attribute user.srcfs.citation cites it: getfattr -n user.srcfs.citation FILE";
        return Err(Error::new(Kind::Invalid, what(), "its name is not UTF-8").hint(hint));
    };
    let other = |why: String| Error::new(Kind::Config, what(), why).hint("give the --config of the mount");
    let (target, path) = Target::split(path, &context.config, mounts).map_err(|error| {
        other(format!("the mount shows {url} there, and the configuration says: {}", error.why()))
    })?;
    // A package has several spellings, and the mount shows its registry's own.
    let shown = Key::parse(target.key.kind().as_str(), &url).ok().filter(|shown| *shown == target.key);
    let Some(shown) = shown else {
        let source = target.key.source();
        return Err(other(format!("the mount shows {url} there, and the configuration says {source}")));
    };
    // The attributes do not name it, and the url does.
    let about = described.about.map(|about| named(about, &shown));
    Ok(Found {
        target,
        revision,
        path,
        sort: described.sort,
        blob: described.blob,
        submodule: described.submodule.map(|(commit, url)| Submodule { commit, url }),
        leads_to: described.target,
        about,
        lines: lines.map(|lines| (lines, described.lines)),
    })
}

/// What is told of the package `key`, with its name.
fn named(about: About, key: &Key) -> About {
    match key.origin() {
        Origin::Package(package) => About { name: package.name().to_owned(), ..about },
        _ => about,
    }
}

/// What is there, and which lines of it were meant.
fn look(context: &Context, mounts: &[Mounted], asked: &Asked<'_>) -> Result<(Described, Option<Lines>)> {
    let absolute = target::absolute(Path::new(asked.path));
    let mounted = target::mount_of(asked.path, mounts);
    mounted.map_or(Ok(()), answers)?;
    let bound = context.config.reply_bound + probe::BOUND;
    let whole = PathBuf::from(asked.whole);
    let answers = match asked.lines {
        None => probe::ask_within(bound, Ask::Describe, &[whole]),
        Some(_) => probe::ask_within(bound, Ask::DescribeLines, &[whole, PathBuf::from(asked.path)]),
    };
    let lines = [None, asked.lines];
    let found = answers.iter().zip(lines).find_map(|(answer, lines)| match answer {
        Answer::Found(json) => Some((json, lines)),
        _ => None,
    });
    if let Some((json, lines)) = found {
        let described = serde_json::from_slice(json)
            .map_err(|error| Error::new(Kind::Io, format!("look at {}", asked.path), error.to_string()))?;
        return Ok((described, lines));
    }
    // There is one for each path, and the last is that without the lines.
    let absolute = absolute.as_deref().filter(|_| mounted.is_some());
    let error = failed(answers.last().unwrap_or(&Answer::Silent), asked, absolute);
    Err(target::hinted(error, context, mounts, asked.path))
}

/// Whether the daemon of a mount answers at all.
fn answers(mounted: &Mounted) -> Result<()> {
    // Not by a name that the kernel may know the answer for.
    let daemons = daemon_status::read(std::slice::from_ref(mounted));
    let silent = daemons.into_iter().find_map(|daemon| daemon.status.err());
    silent.map_or(Ok(()), |why| {
        Err(Error::new(Kind::Unreachable, format!("look into {}", mounted.mount_point.display()), why)
            .hint("`srcfs status` tells about the mounts; a KEY can be cited without one"))
    })
}

/// Why nothing can be said of a path, which is `absolute` if it lies in a mount.
fn failed(answer: &Answer, asked: &Asked<'_>, absolute: Option<&Path>) -> Error {
    let (kind, why) = match answer {
        Answer::Errno(libc::ENOENT | libc::ENOTDIR) => {
            (Kind::NotFound, "there is no such file or directory".to_owned())
        }
        Answer::Silent => (Kind::TimedOut, "the mount did not answer in time".to_owned()),
        Answer::Errno(number) => {
            let error = std::io::Error::from_raw_os_error(*number);
            (Error::io("look at", asked.path, &error).kind(), error.to_string())
        }
        other => (Kind::Io, other.describe()),
    };
    let error = Error::new(kind, format!("cite {}", asked.whole), why);
    match absolute {
        Some(path) => error.hint(format!("`srcfs explain {}` says why", path.display())),
        None => error,
    }
}
