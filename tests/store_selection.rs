//! Some objects of several packs, copied into one: what git finds in it is whole, and what is damaged
//! is not copied.
#![allow(clippy::disallowed_methods, reason = "tests start programs of their own")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use srcfs::error::{Kind, Result};
use srcfs::store::{ObjectId, Objects, PackRecord, Selection, init_bare, packs};

/// A repository whose blobs are versions of a few files, so that packs have chains of deltas.
struct Versions {
    directory: tempfile::TempDir,
    blobs: Vec<(ObjectId, Vec<u8>)>,
}

fn git(repository: &Path, arguments: &[&str], input: &str) -> String {
    let mut command = Command::new("git");
    command.arg("--git-dir").arg(repository).args(arguments).env("GIT_CONFIG_GLOBAL", "/dev/null");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "git {arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

impl Versions {
    fn new() -> Versions {
        let directory = tempfile::tempdir().unwrap();
        let repository = directory.path().join("r.git");
        fs::create_dir(&repository).unwrap();
        init_bare(&repository).unwrap();
        let mut blobs = Vec::new();
        let mut content: Vec<u8> =
            (0..20_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        for version in 0..40_u32 {
            content[version as usize * 150] ^= 0xff;
            let grown = [content.as_slice(), format!("version {version}").as_bytes()].concat();
            blobs.push((ObjectId::of("blob", &grown), grown));
        }
        let versions = Versions { directory, blobs };
        for (_, content) in &versions.blobs {
            versions.loose(content);
        }
        versions
    }

    fn repository(&self) -> PathBuf {
        self.directory.path().join("r.git")
    }

    fn loose(&self, content: &[u8]) {
        let file = self.directory.path().join("blob");
        fs::write(&file, content).unwrap();
        git(&self.repository(), &["hash-object", "-w", file.to_str().unwrap()], "");
    }

    /// Packs some of the versions, as one of git's options says.
    fn pack(&self, which: impl Iterator<Item = usize>, option: &str) {
        let ids: String = which.map(|number| format!("{}\n", self.blobs[number].0)).collect();
        let place = self.repository().join("objects/pack/pack");
        let arguments = ["pack-objects", "-q", "--window=20", "--depth=30", option, place.to_str().unwrap()];
        git(&self.repository(), &arguments, &ids);
    }

    fn select(&self, wanted: &[usize], records: &[PackRecord]) -> Result<Selection> {
        Selection::of(&self.repository(), records, wanted.iter().map(|&number| self.blobs[number].0))
    }

    fn records(&self) -> Vec<PackRecord> {
        packs(&self.repository()).unwrap()
    }

    fn empty(&self, name: &str) -> PathBuf {
        let place = self.directory.path().join(name);
        fs::create_dir(&place).unwrap();
        init_bare(&place).unwrap();
        place
    }

    fn assert_reads(&self, repository: &Path, record: &PackRecord, wanted: &[usize]) {
        let objects = Objects::open(repository, std::slice::from_ref(record)).unwrap();
        for &number in wanted {
            let (id, content) = &self.blobs[number];
            let mut read = Vec::new();
            objects.read(id, 0, u32::MAX, &mut |bytes| read.extend_from_slice(bytes)).unwrap();
            assert!(read == *content, "version {number}");
        }
    }
}

#[test]
fn what_is_copied_is_byte_for_byte_the_same_and_git_finds_it_whole() {
    let versions = Versions::new();
    // The same objects twice, in chains that go in different ways, by distance and by id.
    versions.pack(0..25, "--delta-base-offset");
    versions.pack((10..40).rev(), "--no-reuse-delta");
    versions.pack((0..40).step_by(3), "--delta-base-offset");
    let records = versions.records();
    assert_eq!(records.len(), 3);
    let whole: u64 = records.iter().map(|record| record.pack_bytes).sum();
    let sets: [Vec<usize>; 4] = [vec![39], vec![0, 12, 38], (0..40).collect(), (0..40).step_by(7).collect()];
    for (number, wanted) in sets.iter().enumerate() {
        for order in [records.clone(), records.iter().rev().cloned().collect()] {
            let place = versions.empty(&format!("{number}-{}", order[0].name));
            let selection = versions.select(wanted, &order).unwrap();
            let record = selection.write(&place).unwrap();
            let index = place.join(format!("objects/pack/{}.idx", record.name));
            assert!(record.pack_bytes < whole);
            let bytes = record.pack_bytes + fs::metadata(&index).unwrap().len();
            assert!(selection.bytes().abs_diff(bytes) < 200, "{} {bytes}", selection.bytes());
            git(&place, &["verify-pack", index.to_str().unwrap()], "");
            git(&place, &["fsck", "--full", "--strict"], "");
            versions.assert_reads(&place, &record, wanted);
            assert_eq!(packs(&place).unwrap(), [record]);
        }
    }
}

#[test]
fn an_object_that_is_in_no_pack_is_corrupt() {
    let versions = Versions::new();
    versions.pack(0..10, "--delta-base-offset");
    let error = versions.select(&[3, 20], &versions.records()).err().unwrap();
    assert_eq!(error.kind(), Kind::Corrupt);
}

#[test]
fn no_flipped_bit_is_copied() {
    let versions = Versions::new();
    versions.pack(0..40, "--delta-base-offset");
    let records = versions.records();
    let pack = versions.repository().join(format!("objects/pack/{}.pack", records[0].name));
    fs::set_permissions(&pack, fs::Permissions::from_mode(0o600)).unwrap();
    let file = fs::File::options().read(true).write(true).open(&pack).unwrap();
    let wanted: Vec<usize> = (0..40).step_by(2).collect();
    let (mut seed, mut outcomes) = (7_u64, BTreeMap::new());
    for round in 0..60 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        // All that lies between the head and the checksum at the end.
        let at = 12 + (seed >> 33) % (records[0].pack_bytes - 32);
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ (1 << (round % 8))], at).unwrap();
        let place = versions.empty(&round.to_string());
        match versions.select(&wanted, &records).and_then(|selection| selection.write(&place)) {
            // It hit something that is not wanted.
            Ok(record) => versions.assert_reads(&place, &record, &wanted),
            Err(error) => assert!(matches!(error.kind(), Kind::Corrupt | Kind::TooLarge), "{error}"),
        }
        *outcomes.entry(packs(&place).unwrap().len()).or_insert(0) += 1;
        file.write_all_at(&byte, at).unwrap();
    }
    assert!(outcomes[&0] > 10, "nothing was found: {outcomes:?}");
}
