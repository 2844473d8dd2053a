//! What git lists of a work tree of this machine.

use std::path::Path;
use std::time::{Duration, Instant};

use super::child::{self, Bounds, Patience};
use super::command::Command;
use super::{Git, failure};
use crate::error::Result;
use crate::source::Progress;

/// How long git may take to list a work tree. The largest take seconds.
const DEADLINE: Duration = Duration::from_secs(300);

impl Git {
    /// The paths, relative to the work tree `top`, of what git tracks below `inside` of it, and of what it
    /// neither tracks nor ignores. A path that ends in a slash is another repository.
    ///
    /// Asks no server, runs nothing that the repository names, and writes nothing, not even its index.
    /// Fails if it is no work tree that this git can read.
    pub(crate) fn work_tree_files(
        &self,
        top: &Path,
        inside: &Path,
        progress: &Progress,
    ) -> Result<Vec<Vec<u8>>> {
        let what = format!("list the files of {}", top.display());
        let options = self.options();
        let command = Command::work_tree_files(&options.program, top, inside);
        let bounds = Bounds {
            deadline: Instant::now() + DEADLINE,
            stall: DEADLINE,
            grace: options.grace,
            patience: Patience::FirstAnswer,
        };
        let ended =
            child::run(&what, &command.with_environment(&options.environment), bounds, None, progress)?;
        if !ended.succeeded() {
            return Err(failure::of_disk(&what, &ended));
        }
        let paths = ended.output.split(|byte| *byte == 0).filter(|path| !path.is_empty());
        Ok(paths.map(<[u8]>::to_vec).collect())
    }
}
