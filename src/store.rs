//! Git objects on disk: the [`Table`] of a snapshot's nodes, and its blobs ([`Objects`]).
//!
//! A snapshot is one git tree. Its names, modes and sizes are read once, when it is prepared, checked,
//! and written as one compact file; afterwards a daemon loads that file and never parses a tree again.
//! Blobs stay in the packs that git made and are decoded when they are read. What does not come from git
//! becomes such a pack here ([`PackWriter`]).
//!
//! Nothing here trusts what it reads: trees come from strangers, and files from a disk. A tree that
//! cannot be shown safely is refused with the path in the error; a file that is not what its record
//! says is `Kind::Corrupt`, found before anything of it is used. No call panics on any input, writes
//! anywhere but in the file or repository it was given, takes a lock of the cache, or uses the network. Neither the
//! environment nor the user's git configuration is read.
//!
//! This room and `source::git` are the only ones that name `git2`. It may call `error` and `redact`.

mod import;
mod kept;
mod names;
mod object_id;
mod objects;
mod pack;
mod repository;
mod submodules;
mod table;
mod tree_entries;

pub use import::{PackWriter, Packed, TreeEntry, tree_id};
pub use names::{LONGEST as LONGEST_NAME, refusal as name_refusal};
pub use object_id::ObjectId;
pub use objects::Objects;
pub use pack::{LARGEST_BLOB, Selection};
pub use repository::{PackRecord, init_bare, packs};
pub use table::{Kind, Limits, Node, Table, TableRecord};
