//! P18 degrade: out of descriptors, a request fails as that, not as damage of the cache, and the next
//! one succeeds. A process of its own, because the limit is one of the process.

#[path = "store/repository.rs"]
mod repository;

use std::fs::File;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use repository::Repository;
use srcfs::error::Kind;
use srcfs::store::{ObjectId, Objects, Table, packs};

#[test]
fn without_descriptors_requests_fail_as_that_and_recover() {
    let repository = Repository::new();
    let blob = repository.blob(b"content");
    let tree = repository.tree(&[("100644", b"a", blob)]);
    repository.pack();
    let records = packs(&repository.path()).unwrap();
    let table = repository.build(tree).unwrap();
    let file = repository.beside("table");
    let record = table.save(&file).unwrap();
    let open = Objects::open(&repository.path(), &records).unwrap();
    let read = |objects: &Objects| objects.read(&ObjectId::of("blob", b"content"), 0, 9, &mut |_| {});

    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 64, hard).unwrap();
    let mut taken = Vec::new();
    while let Ok(descriptor) = File::open("/dev/null") {
        taken.push(descriptor);
    }
    let build = || repository.build(tree).map_err(|error| error.kind());
    let load = || Table::load(&file, &record).map_err(|error| error.kind());
    let reopen = || Objects::open(&repository.path(), &records).map_err(|error| error.kind());
    assert_eq!(build().unwrap_err(), Kind::Exhausted);
    assert_eq!(load().unwrap_err(), Kind::Exhausted);
    assert_eq!(reopen().unwrap_err(), Kind::Exhausted);
    read(&open).expect("an open pack needs no descriptor");

    taken.clear();
    assert!(build().unwrap() == table && load().unwrap() == table);
    read(&reopen().unwrap()).unwrap();
}
