//! An upstream whose versions are numbers from which every byte follows, and a [`Source`] for it that
//! needs neither git nor a network, so that a test can do a lot with it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use git2::{ObjectType, Odb, Oid, Repository, Signature, Time};
use srcfs::cache::Snapshot;
use srcfs::error::{Error, Kind, Result};
use srcfs::key::{GitUrl, Key, Reference};
use srcfs::source::{Prepared, Progress, Resolved, Revision, Source, Workplace};
use srcfs::store::Kind as NodeKind;

/// Which content it is.
pub type Version = u32;

/// What a snapshot shows: by path, what it is and what is in it.
pub type Tree = BTreeMap<String, (char, String)>;

/// The only resource.
pub fn key() -> Key {
    Key::git(GitUrl::parse("https://example.org/a/b.git").unwrap())
}

/// What version `version` shows. Neighbours have files in common, and all of them have one.
pub fn tree(version: Version) -> Tree {
    let file = |text: String| ('f', text);
    BTreeMap::from([
        ("same".to_owned(), file("the same for ever\n".repeat(200))),
        ("version".to_owned(), file(format!("{version}\n"))),
        ("half".to_owned(), file(format!("of {}\n", version / 2))),
        ("bulk".to_owned(), file(bulk(version))),
        ("below/deep/version".to_owned(), file(format!("also {version}\n"))),
        ("below/link".to_owned(), ('l', format!("deep/{version}"))),
        ("below/run".to_owned(), ('x', format!("#!/bin/sh\necho {}\n", version % 3))),
    ])
}

/// So much that no other version has, and that no compression takes away, that it is worth dropping.
fn bulk(version: Version) -> String {
    let mut number = u64::from(version);
    let letters = (0..96 << 10).map(|_| {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'0' + u8::try_from(number >> 58).unwrap())
    });
    letters.collect()
}

/// Everything that `snapshot` shows, read to the last byte.
pub fn read(snapshot: &Snapshot) -> Tree {
    let table = snapshot.table();
    let mut tree = Tree::new();
    for index in 0..table.len() {
        let node = table.node(index).unwrap();
        let kind = match node.kind {
            NodeKind::Directory => continue,
            NodeKind::File { executable: false } => 'f',
            NodeKind::File { executable: true } => 'x',
            NodeKind::Symlink => 'l',
            other => panic!("{other:?}"),
        };
        let mut content = Vec::new();
        let mut with = |bytes: &[u8]| content.extend_from_slice(bytes);
        snapshot.objects().read(&node.object, 0, u32::try_from(node.size).unwrap(), &mut with).unwrap();
        assert_eq!(content.len() as u64, node.size);
        let path = table.path(index).into_os_string().into_string().unwrap();
        tree.insert(path, (kind, String::from_utf8(content).unwrap()));
    }
    tree
}

/// A bare repository, a file that says that it is out of reach, and a log of what was asked of it.
pub struct Upstream(PathBuf);

impl Upstream {
    pub fn new(directory: &Path) -> Upstream {
        Upstream(directory.to_owned())
    }

    pub fn create(&self) {
        Repository::init_bare(self.0.join("git")).unwrap();
    }

    fn repository(&self) -> Repository {
        Repository::open_bare(self.0.join("git")).unwrap()
    }

    /// Makes the commit of `version`; its id.
    pub fn commit(&self, version: Version) -> String {
        let repository = self.repository();
        let root = write(&repository, "", &tree(version));
        let tree = repository.find_tree(root).unwrap();
        let who = Signature::new("a", "a@example.org", &Time::new(1_700_000_000, 0)).unwrap();
        let commit = repository.commit(None, &who, &who, &format!("{version}"), &tree, &[]);
        commit.unwrap().to_string()
    }

    /// Lets `branch` name a commit, whatever it named before.
    pub fn point(&self, branch: &str, id: &str) {
        let name = format!("refs/heads/{branch}");
        self.repository().reference(&name, Oid::from_str(id).unwrap(), true, "").unwrap();
    }

    pub fn delete(&self, branch: &str) {
        self.repository().find_reference(&format!("refs/heads/{branch}")).unwrap().delete().unwrap();
    }

    /// Whether the network is gone.
    pub fn offline(&self, offline: bool) {
        match offline {
            true => fs::write(self.0.join("offline"), "").unwrap(),
            false => fs::remove_file(self.0.join("offline")).unwrap(),
        }
    }

    /// How often it was asked for a branch, and how often for a commit.
    pub fn requests(&self) -> (usize, usize) {
        let log = fs::read_to_string(self.0.join("log")).unwrap_or_default();
        let count = |what: &str| log.lines().filter(|line| line.starts_with(what)).count();
        (count("ask"), count("fetch"))
    }

    fn reach(&self, what: &str) -> Result<()> {
        if self.0.join("offline").exists() {
            return Err(Error::new(Kind::Unreachable, what, "there is no network"));
        }
        let mut log = fs::OpenOptions::new().create(true).append(true).open(self.0.join("log")).unwrap();
        log.write_all(format!("{what}\n").as_bytes()).unwrap();
        Ok(())
    }
}

/// Writes the tree of everything below `prefix`.
fn write(repository: &Repository, prefix: &str, all: &Tree) -> Oid {
    let mut builder = repository.treebuilder(None).unwrap();
    let below = |path: &str| path.strip_prefix(prefix).map(str::to_owned);
    for (rest, (kind, content)) in all.iter().filter_map(|(path, node)| Some((below(path)?, node))) {
        match rest.split_once('/') {
            Some((directory, _)) if builder.get(directory).unwrap().is_none() => {
                let tree = write(repository, &format!("{prefix}{directory}/"), all);
                builder.insert(directory, tree, 0o040_000).unwrap();
            }
            Some(_) => {}
            None => {
                let mode = match kind {
                    'x' => 0o100_755,
                    'l' => 0o120_000,
                    _ => 0o100_644,
                };
                builder.insert(&rest, repository.blob(content.as_bytes()).unwrap(), mode).unwrap();
            }
        }
    }
    builder.write().unwrap()
}

fn objects_of(repository: &Repository, tree: Oid, found: &mut Vec<Oid>) {
    found.push(tree);
    for entry in &repository.find_tree(tree).unwrap() {
        match entry.kind() {
            Some(ObjectType::Tree) => objects_of(repository, entry.id(), found),
            _ => found.push(entry.id()),
        }
    }
}

impl Source for Upstream {
    fn resolve(&self, _: &Key, reference: &Reference, _: &[Revision], _: &Progress) -> Result<Resolved> {
        let branch = match reference {
            Reference::Commit(id) => {
                return Ok(Resolved { revision: Revision::new(id), full_name: None, moving: false });
            }
            Reference::Default => "main".to_owned(),
            other => other.to_string(),
        };
        self.reach(&format!("ask {branch}"))?;
        let name = format!("refs/heads/{branch}");
        match self.repository().find_reference(&name) {
            Ok(found) => {
                let revision = Revision::new(found.target().unwrap().to_string());
                Ok(Resolved { revision, full_name: Some(name), moving: true })
            }
            Err(_) => Err(Error::new(Kind::NotFound, format!("find {branch}"), "there is no such branch")),
        }
    }

    fn prepare(&self, _: &Key, resolved: &Resolved, place: Workplace<'_>, _: &Progress) -> Result<Prepared> {
        let commit = resolved.revision.as_str();
        self.reach(&format!("fetch {commit}"))?;
        let directory = place.directory;
        srcfs::store::init_bare(directory)?;
        let borrowed = Odb::new().unwrap();
        let mut shallow = format!("{commit}\n");
        if let Some(lender) = place.borrow {
            let objects = lender.join("objects");
            borrowed.add_disk_alternate(objects.to_str().unwrap()).unwrap();
            fs::write(directory.join("objects/info/alternates"), format!("{}\n", objects.display())).unwrap();
            shallow += &fs::read_to_string(lender.join("shallow")).unwrap();
        }
        fs::write(directory.join("shallow"), shallow).unwrap();
        let repository = self.repository();
        let id = Oid::from_str(commit).unwrap();
        let tree = repository.find_commit(id).unwrap().tree_id();
        let mut objects = vec![id];
        objects_of(&repository, tree, &mut objects);
        let mut pack = repository.packbuilder().unwrap();
        for object in objects.into_iter().filter(|object| !borrowed.exists(*object)) {
            pack.insert_object(object, None).unwrap();
        }
        pack.write(&directory.join("objects/pack"), 0).unwrap();
        Ok(Prepared {
            revision: resolved.revision.clone(),
            tree: tree.to_string(),
            modified: UNIX_EPOCH + Duration::from_secs(1_700_000_000),
            transferred: 1,
            stamp: None,
            about: None,
        })
    }
}
