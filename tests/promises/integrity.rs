//! P15: bytes whose published hash disagrees are never visible.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::harness::repository::{File, Repository};
use super::mounted2::{Site, files_below, wait_until};

/// What is in each repository: text, and bytes that do not compress.
fn content(name: &str) -> Vec<File> {
    let mut noise: u64 = name.bytes().fold(7, |sum, byte| sum * 31 + u64::from(byte)) | 1;
    let mut random = Vec::new();
    for _ in 0..4096 {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        random.extend(noise.to_le_bytes());
    }
    vec![
        File::new("README", format!("this is {name}\n")),
        File::new("src/random", random),
        File::new("src/text", format!("line of {name}\n").repeat(2000)),
    ]
}

/// What a new process reads of them, or what it complains. A process that has begun to read keeps its
/// snapshot, also a damaged one.
fn read(directory: &Path) -> Result<Vec<Vec<u8>>, String> {
    let read = |file: &&str| {
        let cat = Command::new("cat").arg(directory.join(file)).output().unwrap();
        match cat.status.success() {
            true => Ok(cat.stdout),
            false => Err(String::from_utf8(cat.stderr).unwrap()),
        }
    };
    ["README", "src/random", "src/text"].iter().map(read).collect()
}

/// The file of a mirror that ends so.
fn file_of(site: &Site, name: &str, end: &str) -> PathBuf {
    let mirrors = site.program.cache().join("v1/mirrors");
    let all = files_below(&mirrors);
    let found = all.iter().find(|path| {
        let path = path.to_str().unwrap();
        path.contains(&format!("{name}/")) && path.ends_with(end)
    });
    found.unwrap_or_else(|| panic!("no *{end} of {name} among {all:?}")).clone()
}

fn damage(file: &Path, how: &dyn Fn(&std::fs::File, u64)) {
    // Files of git are read-only, which root does not notice.
    let mut permissions = std::fs::metadata(file).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o600);
    std::fs::set_permissions(file, permissions).unwrap();
    let open = std::fs::File::options().read(true).write(true).open(file).unwrap();
    let length = open.metadata().unwrap().len();
    how(&open, length);
}

fn flip(bit: u64) -> impl Fn(&std::fs::File, u64) {
    move |file, length| {
        let at = (length * bit / 16).min(length - 1);
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        byte[0] ^= 1 << (bit % 8);
        file.write_all_at(&byte, at).unwrap();
    }
}

/// Damages a file of that length.
type Damage = Box<dyn Fn(&std::fs::File, u64)>;

/// Damages a file of each of some repositories while nobody has them open; then everything that can be
/// read is right, and after an access or two all of it can.
fn damaged_before_opening(end: &str, ways: &[Damage]) {
    let mut site = Site::mounted("");
    let name = |number: usize| format!("m{number:02}x");
    let _repositories: Vec<Repository> = (0..ways.len())
        .map(|number| site.repository_of(&format!("team/{}", name(number)), &content(&name(number))))
        .collect();
    let right: Vec<_> =
        (0..ways.len()).map(|number| read(&site.forge(&format!("team/{}", name(number)))).unwrap()).collect();
    site.unmount();
    for (number, way) in ways.iter().enumerate() {
        damage(&file_of(&site, &name(number), end), way);
    }
    site.mount();
    for (number, right) in right.iter().enumerate() {
        let path = site.forge(&format!("team/{}", name(number)));
        // A damaged blob is found when it is read: that read fails, and is the last one that does.
        wait_until("it was fetched again", || match read(&path) {
            Ok(read) => {
                assert!(read == *right, "wrong bytes of {}", path.display());
                true
            }
            Err(error) => {
                assert!(error.contains("Input/output error"), "{error}");
                false
            }
        });
    }
    assert!(site.is_serving());
}

fn flips() -> Vec<Damage> {
    (0..=16).map(|bit| Box::new(flip(bit)) as Damage).collect()
}

fn truncations() -> Vec<Damage> {
    let cut = |part: u64| {
        Box::new(move |file: &std::fs::File, length: u64| file.set_len(length * part / 8).unwrap()) as Damage
    };
    (0..8).map(cut).collect()
}

#[test]
fn a_flipped_bit_in_a_pack_is_never_seen_and_is_fetched_again() {
    damaged_before_opening(".pack", &flips());
}

#[test]
fn a_flipped_bit_in_an_index_is_never_seen_and_is_fetched_again() {
    damaged_before_opening(".idx", &flips());
}

#[test]
fn a_flipped_bit_in_a_table_is_never_seen_and_is_fetched_again() {
    damaged_before_opening(".table", &flips());
}

#[test]
fn truncated_files_are_never_seen_and_are_fetched_again() {
    for end in [".pack", ".idx", ".table"] {
        damaged_before_opening(end, &truncations());
    }
}

#[test]
fn a_state_that_cannot_be_read_counts_as_absent() {
    damaged_before_opening("state.json", &truncations());
}

#[test]
fn what_is_damaged_while_it_is_open_gives_no_wrong_bytes() {
    let mut site = Site::mounted("");
    site.repository_of("team/docs", &content("docs"));
    let path = site.forge("team/docs");
    let right = std::fs::read(path.join("README")).unwrap();
    let pack = file_of(&site, "docs", ".pack");
    let length = std::fs::metadata(&pack).unwrap().len();
    damage(&pack, &|file, length| {
        let mut bytes = vec![0; length as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes.iter_mut().for_each(|byte| *byte ^= 0x55);
        file.write_all_at(&bytes, 0).unwrap();
    });
    let text = format!("line of {}\n", "docs").repeat(2000).into_bytes();
    match std::fs::read(path.join("src/text")) {
        Ok(read) => assert!(read == text, "wrong bytes"),
        Err(error) => assert!(
            matches!(error.raw_os_error(), Some(libc::EIO | libc::ENOTCONN | libc::ECONNABORTED)),
            "{error}"
        ),
    }
    damage(&pack, &|file, _| file.set_len(length / 2).unwrap());
    if let Ok(read) = std::fs::read(path.join("src/random")) {
        assert!(read == std::fs::read(path.join("src/random")).unwrap());
    }
    // Whatever became of that daemon: the next one fetches again.
    site.remount();
    wait_until("it was fetched again", || {
        read(&path).is_ok_and(|read| read[0] == right && read[2] == text && read[1].len() == 32768)
    });
}
