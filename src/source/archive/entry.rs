//! An entry of an archive, whatever its format.

/// One entry as the archive has it; nothing of it is judged yet.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    pub(super) kind: EntryKind,
    /// Bytes of its content. 0 but for files.
    pub(super) size: u64,
    /// Seconds since 1970, if it has a time.
    pub(super) modified: Option<i64>,
}

/// What it is.
#[derive(Clone, Debug)]
pub(super) enum EntryKind {
    Directory,
    File {
        /// Whether anybody may execute it. No other bit of a mode is kept: no setuid, no group's rights.
        executable: bool,
    },
    Symlink {
        target: Vec<u8>,
    },
    /// Another name of an entry, which stands in `target` as in the archive.
    HardLink {
        target: Vec<u8>,
    },
    /// What no archive of source has any business with.
    Special(&'static str),
}

impl Entry {
    /// Where a link leads; empty if it is none.
    pub(super) fn target(&self) -> &[u8] {
        match &self.kind {
            EntryKind::Symlink { target } | EntryKind::HardLink { target } => target,
            _ => b"",
        }
    }
}
