//! A table of only some paths of another one.

use std::ffi::OsStr;

use super::{Kind, Table};
use crate::error::{Error, Kind as ErrorKind, Result};

impl Table {
    /// The table of only these paths with everything below them, and their parents. No paths at all
    /// mean everything. A path that does not exist is `Kind::NotFound`, with a hint at what may have
    /// been meant.
    pub fn narrowed(&self, subpaths: &[String]) -> Result<Table> {
        let mut kept = vec![false; self.kinds.len()];
        let mut whole = vec![false; self.kinds.len()];
        whole[0] = subpaths.is_empty();
        for subpath in subpaths {
            let found = self.subpath(subpath)?;
            whole[found as usize] = true;
            let mut above = found;
            while above != 0 {
                above = self.parents[above as usize];
                kept[above as usize] = true;
            }
        }
        // Parents come before children, so one pass carries it all the way down.
        for at in 0..kept.len() {
            whole[at] |= whole[self.parents[at] as usize];
            kept[at] |= whole[at];
        }

        let mut narrow = Table::with_root(self.objects[0]);
        let mut origins = vec![0];
        let mut index = 0;
        while index < narrow.len() {
            let origin: u32 = origins[index as usize];
            if let Some(url) = self.urls.get(&origin) {
                narrow.urls.insert(index, url.clone());
            }
            narrow.begin_children();
            for child in self.children(origin).filter(|&child| kept[child as usize]) {
                if let Some(node) = self.node(child) {
                    narrow.push(self.name_bytes(child), super::Node { parent: index, ..node });
                    origins.push(child);
                }
            }
            index += 1;
        }
        Ok(narrow.finish())
    }

    fn subpath(&self, subpath: &str) -> Result<u32> {
        let missing =
            |why: String| Error::new(ErrorKind::NotFound, format!("find the subpath {subpath:?}"), why);
        if let Some(relative) = subpath.strip_prefix('/') {
            let error = missing("a subpath is relative to the root of the repository".to_owned());
            let relative = relative.trim_matches('/');
            return Err(if self.find(relative).is_some() && !relative.is_empty() {
                error.hint(format!("write {relative:?}"))
            } else {
                error
            });
        }
        let components: Vec<&str> =
            subpath.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        let mut node = 0;
        for (at, component) in components.iter().enumerate() {
            if let Some(child) = self.lookup(node, OsStr::new(component)) {
                node = child;
                continue;
            }
            let above = components[..at].join("/");
            let error = missing(match at {
                0 => format!("the repository has no {component:?} at its root"),
                _ => format!("{above:?} has no {component:?}"),
            });
            return Err(match self.meant(node, &above, &components) {
                Some(hint) => error.hint(hint),
                None => error,
            });
        }
        Ok(node)
    }

    /// What may have been meant by `components`, of which only `above` exists, as `node`.
    fn meant(&self, node: u32, above: &str, components: &[&str]) -> Option<String> {
        match self.kinds[node as usize] {
            Kind::Submodule => {
                return Some(format!("{above:?} is a submodule: add its own repository instead"));
            }
            Kind::Symlink => return Some(format!("{above:?} is a symbolic link: name its target instead")),
            Kind::File { .. } => return Some(format!("{above:?} is a file")),
            Kind::Directory => {}
        }
        // What a browser shows for `guide` on a branch is `tree/main/guide`, and a branch's name may
        // have slashes.
        if let ["tree" | "blob", rest @ ..] = components {
            for branch in 1..=rest.len() {
                let path = rest[branch..].join("/");
                if !path.is_empty() && self.find(&path).is_some() {
                    let branch = rest[..branch].join("/");
                    return Some(format!(
                        "{path:?} exists; give the branch {branch:?} as the reference instead"
                    ));
                }
            }
        }
        if let Some(path) = self.other_case(components) {
            return Some(format!("did you mean {path:?}"));
        }
        let at = above.split('/').filter(|part| !part.is_empty()).count();
        self.neighbours(node, above, components.get(at)?)
    }

    /// What the directory has instead of `missing`: the name that is nearly it, or the first few.
    fn neighbours(&self, node: u32, above: &str, missing: &str) -> Option<String> {
        let names: Vec<_> =
            self.children(node).map(|child| String::from_utf8_lossy(self.name_bytes(child))).collect();
        let distance = |name: &str| strsim::damerau_levenshtein(name, missing);
        // A directory may have a million names, and a slip has few differences.
        let close = names.iter().filter(|name| name.len().abs_diff(missing.len()) <= 2);
        if let Some(nearest) = close.min_by_key(|name| distance(name)).filter(|name| distance(name) <= 2) {
            let path = if above.is_empty() { nearest.to_string() } else { format!("{above}/{nearest}") };
            return Some(format!("did you mean {path:?}"));
        }
        let first: Vec<_> = names.iter().take(6).map(|name| format!("{name:?}")).collect();
        let more = if names.len() > first.len() { ", ..." } else { "" };
        (!first.is_empty()).then(|| format!("there are {}{more}", first.join(", ")))
    }

    /// The path that differs from this one only in upper and lower case.
    fn other_case(&self, components: &[&str]) -> Option<String> {
        let mut node = 0;
        let mut path = Vec::new();
        for component in components {
            let same = |&child: &u32| {
                let name = String::from_utf8_lossy(self.name_bytes(child));
                name.to_lowercase() == component.to_lowercase()
            };
            let exact = self.lookup(node, OsStr::new(component));
            node = exact.or_else(|| self.children(node).find(same))?;
            path.push(String::from_utf8_lossy(self.name_bytes(node)));
        }
        Some(path.join("/"))
    }
}
