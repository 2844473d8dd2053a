//! Tells the daemons of a cache that something changed, and waits until they know.
//!
//! It is a look-up of `.srcfs/sync-<nonce>` in each mount: the daemon takes notice of every changed
//! pointer before it answers that there is no such file. So what starts after a verb has returned
//! sees what the verb did. A mount that does not answer, or is out of reach (another user, another
//! namespace, another host), sees it within a second by itself; the verb names the former.

use std::path::PathBuf;

use serde::Serialize;

use super::mounts::Mounted;
use super::probe::{self, Answer, Ask};

/// A mount that did not say that it has seen the change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unanswered {
    /// Where.
    pub mount_point: PathBuf,
    /// Why not.
    pub why: String,
}

/// What every one of `mounts` answers to a name that cannot be there and that nothing has cached: a
/// daemon that works says `ENOENT`.
pub fn ask(mounts: &[Mounted]) -> Vec<Answer> {
    let nonce = nonce();
    let paths: Vec<PathBuf> =
        mounts.iter().map(|mounted| mounted.mount_point.join(format!(".srcfs/sync-{nonce}"))).collect();
    probe::ask(Ask::LookUp, &paths)
}

/// Has every one of `mounts` take notice; answers those that did not.
pub fn raise(mounts: &[Mounted]) -> Vec<Unanswered> {
    let answers = ask(mounts);
    mounts
        .iter()
        .zip(answers)
        .filter(|(_, answer)| *answer != Answer::Errno(libc::ENOENT))
        .map(|(mounted, answer)| Unanswered {
            mount_point: mounted.mount_point.clone(),
            why: answer.describe(),
        })
        .collect()
}

/// A name that nobody has looked up before, so that no cache of the kernel answers for the daemon.
fn nonce() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_nanos());
    format!("{}-{now}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
