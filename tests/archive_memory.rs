//! A file goes from an archive into the pack in pieces: memory does not grow with it. Alone in its
//! process, because it looks at all of its memory.

use std::io::Cursor;

use srcfs::source::archive::{Archive, Limits, Rules};
use srcfs::source::{Progress, Workplace};

/// The most bytes this process has ever had in memory.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[test]
fn a_large_file_takes_no_more_memory_than_a_small_one() {
    const SIZE: u64 = 192 << 20;
    let mut builder =
        tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    let mut header = tar::Header::new_gnu();
    header.set_size(SIZE);
    header.set_mode(0o644);
    let zeros = std::io::Read::take(std::io::repeat(0), SIZE);
    builder.append_data(&mut header, "package/zeros", zeros).unwrap();
    let bytes = builder.into_inner().unwrap().finish().unwrap();

    let directory = tempfile::tempdir().unwrap();
    let place = Workplace { directory: directory.path(), borrow: None, lease: None };
    let archive = Archive { title: "zeros".to_owned(), rules: Rules::Npm, limits: Limits::default() };
    let before = peak();
    archive.unpack(Cursor::new(bytes), place, &Progress::default()).unwrap();
    let grown = peak() - before;
    assert!(grown < 16 << 20, "{grown} bytes more than before");
}
