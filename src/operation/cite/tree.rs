//! What a path is in a tree of the cache, for a KEY: without any mount.

use std::path::{Component, Path};

use super::super::mounts::Mounted;
use super::super::probe::describe::{LineCount, Sort};
use super::super::target::{self, Target, described};
use super::super::{Watch, get};
use super::asked::Asked;
use super::{Found, Submodule};
use crate::cache::{Freshness, Snapshot};
use crate::error::{Error, Kind, Result};
use crate::operation::Context;
use crate::store::{self, Node, Table};
use crate::view::name::pinned;

/// How much of a file is decoded at once, in bytes.
const PIECE: u32 = 1 << 20;

/// As many links as the kernel follows in one path.
const MOST_LINKS: usize = 40;

/// Fetches the tree if it is not cached; a package from `registry`, if one is named. Fails with `NotFound` if the path
/// does not exist in it.
pub(super) fn find(
    context: &Context,
    mounts: &[Mounted],
    asked: &Asked<'_>,
    registry: Option<&str>,
    watch: Watch<'_>,
) -> Result<Found> {
    let (mut target, rest) = Target::split(asked.path, &context.config, mounts)
        .map_err(|error| target::hinted(error, context, mounts, asked.path))?;
    if let Some(registry) = registry {
        target.key = pinned::at_registry(&target.key, registry, &context.config)
            .map_err(|error| error.during(format!("cite {}", asked.whole)))?;
        target.text = described(&target.key, &target.reference);
    }
    let fetched = get::materialize(context, &target, Freshness::Cached, "cite", watch)?;
    let snapshot = fetched.snapshot;
    let narrowed;
    let table = match target.subpaths.as_slice() {
        [] => &**snapshot.table(),
        subpaths => {
            narrowed = snapshot.table().narrowed(subpaths)?;
            &narrowed
        }
    };
    // What follows the path is at its end in both.
    let suffix = &asked.whole[asked.path.len()..];
    let exact = Some(format!("{rest}{suffix}")).filter(|_| asked.lines.is_some() && !rest.is_empty());
    let tree = Tree { snapshot: &snapshot, table };
    let exact = match exact {
        Some(path) => tree.follow(&path)?,
        None => None,
    };
    let (index, lines) = match exact {
        Some(index) => (index, None),
        None => (tree.follow(&rest)?.ok_or_else(|| absent(asked, &target, &snapshot, &rest))?, asked.lines),
    };
    let node = table.node(index).ok_or_else(|| absent(asked, &target, &snapshot, &rest))?;
    let sort = Sort::from(node.kind);
    let lines = match (lines, sort) {
        (Some(lines), Sort::File) => Some((lines, Some(tree.lines(&node)?))),
        (lines, _) => lines.map(|lines| (lines, None)),
    };
    Ok(Found {
        revision: snapshot.revision().to_string(),
        path: table.path(index).to_string_lossy().into_owned(),
        sort,
        blob: matches!(sort, Sort::File | Sort::Symlink).then(|| node.object.hex()),
        submodule: (sort == Sort::Submodule).then(|| Submodule {
            commit: node.object.hex(),
            url: table.submodule_url(index).map(str::to_owned),
        }),
        leads_to: match sort {
            Sort::Symlink => Some(tree.target(&node)?),
            _ => None,
        },
        about: None,
        lines,
        target,
    })
}

/// Where `path` is in a whole tree, with links followed but for the last component. `None` if it is not in it.
pub(in super::super) fn real_path(snapshot: &Snapshot, path: &str) -> Result<Option<String>> {
    let table = &**snapshot.table();
    let index = Tree { snapshot, table }.follow(path)?;
    Ok(index.map(|index| table.path(index).to_string_lossy().into_owned()))
}

fn absent(asked: &Asked<'_>, target: &Target, snapshot: &Snapshot, path: &str) -> Error {
    let hidden = !target.subpaths.is_empty() && snapshot.table().find(path).is_some();
    let why = match hidden {
        true => format!("{} shows only {}", target.text, target.subpaths.join(", ")),
        false => format!("it does not exist in revision {}", snapshot.revision()),
    };
    Error::new(Kind::NotFound, format!("cite {}", asked.whole), why)
}

/// A tree as it is shown.
struct Tree<'t> {
    snapshot: &'t Snapshot,
    table: &'t Table,
}

impl Tree<'_> {
    /// The node at `path`, with links followed but for the last component, as a reader of the mount would
    /// come there. `None` if there is none in the tree.
    fn follow(&self, path: &str) -> Result<Option<u32>> {
        let mut links = 0;
        let mut rest: Vec<String> = split(path);
        let mut at = 0;
        while let Some(name) = rest.pop() {
            if name == ".." {
                // The root is its own parent, and what is above it is not in the tree.
                match self.table.node(at) {
                    Some(node) if at != 0 => at = node.parent,
                    _ => return Ok(None),
                }
                continue;
            }
            let Some(child) = self.table.lookup(at, name.as_ref()) else { return Ok(None) };
            match self.table.node(child) {
                Some(node) if node.kind == store::Kind::Symlink && !rest.is_empty() => {
                    links += 1;
                    let target = self.target(&node)?;
                    if links > MOST_LINKS || target.starts_with('/') {
                        return Ok(None);
                    }
                    rest.extend(split(&target));
                }
                _ => at = child,
            }
        }
        Ok(Some(at))
    }

    /// Where a link leads.
    fn target(&self, node: &Node) -> Result<String> {
        let mut target = Vec::new();
        self.read(node, &mut |bytes| target.extend_from_slice(bytes))?;
        Ok(String::from_utf8_lossy(&target).into_owned())
    }

    fn lines(&self, node: &Node) -> Result<u64> {
        let mut count = LineCount::default();
        self.read(node, &mut |bytes| count.feed(bytes))?;
        Ok(count.lines())
    }

    fn read(&self, node: &Node, with: &mut dyn FnMut(&[u8])) -> Result<()> {
        let objects = self.snapshot.objects();
        (0..node.size)
            .step_by(PIECE as usize)
            .try_for_each(|offset| objects.read(&node.object, offset, PIECE, with))
    }
}

/// The components of a path, the last one first.
fn split(path: &str) -> Vec<String> {
    let components = Path::new(path).components().rev().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        Component::ParentDir => Some("..".to_owned()),
        _ => None,
    });
    components.collect()
}
