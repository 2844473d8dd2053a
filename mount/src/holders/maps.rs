//! `/proc/<pid>/maps`: which files a process has mapped. See proc_pid_maps(5).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use crate::mountinfo::Device;

/// One mapping of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mapping {
    pub(super) device: Device,
    pub(super) ino: u64,
    pub(super) path: Option<PathBuf>,
}

/// The mappings of files. Anonymous ones have inode 0 and are skipped, as is what cannot be read.
pub(super) fn parse(bytes: &[u8]) -> impl Iterator<Item = Mapping> {
    bytes.split(|byte| *byte == b'\n').filter_map(line)
}

/// `7f00-7f10 r-xp 00001000 00:2f 17      /path with spaces`: range, rights, offset, device in hex,
/// inode, padding, path.
fn line(line: &[u8]) -> Option<Mapping> {
    let mut fields = line.splitn(6, |byte| *byte == b' ');
    let mut text = || std::str::from_utf8(fields.next()?).ok();
    let (_range, _rights, _offset) = (text()?, text()?, text()?);
    let (major, minor) = text()?.split_once(':')?;
    let device =
        Device { major: u32::from_str_radix(major, 16).ok()?, minor: u32::from_str_radix(minor, 16).ok()? };
    let ino = text()?.parse().ok().filter(|ino| *ino != 0)?;
    let path = fields.next().map(<[u8]>::trim_ascii_start).filter(|path| !path.is_empty());
    Some(Mapping { device, ino, path: path.map(|path| PathBuf::from(OsString::from_vec(path.to_vec()))) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_and_memory_is_skipped() {
        let text = b"55f0-55f1 r--p 00000000 fe:00 1182                       /usr/bin/a b\n\
            7ffc-7ffd rw-p 00000000 00:00 0                          [stack]\n\
            7f00-7f01 rw-p 00000000 00:00 0 \n\
            garbage\n\
            7f10-7f20 r-xp 00001000 00:2f 17                         /m/x (deleted)\n\
            7f20-7f30 r-xp 00001000 00:2f 18";
        let device = Device { major: 0, minor: 0x2f };
        let expected = [
            Mapping {
                device: Device { major: 0xfe, minor: 0 },
                ino: 1182,
                path: Some(PathBuf::from("/usr/bin/a b")),
            },
            Mapping { device, ino: 17, path: Some(PathBuf::from("/m/x (deleted)")) },
            Mapping { device, ino: 18, path: None },
        ];
        assert_eq!(parse(text).collect::<Vec<_>>(), expected);
    }
}
