//! Facts about this machine, as the doctor reads them.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::statfs::statfs;

use crate::config::environment::Environment;

/// What a directory lies on.
pub(super) struct FileSystem {
    /// Its type, as mountinfo calls it.
    pub(super) name: String,
    /// Bytes that this user may still write.
    pub(super) free: u64,
}

pub(super) fn file_system(directory: &Path) -> Result<FileSystem, String> {
    let found = statfs(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let table = srcfs_mount::mountinfo::Table::read().unwrap_or_default();
    let name = table.walk(directory).map(|mount| mount.fs_type.to_string_lossy().into_owned());
    let block = u64::try_from(found.block_size()).unwrap_or(0);
    Ok(FileSystem {
        name: name.unwrap_or_else(|| "of an unknown type".to_owned()),
        free: found.blocks_available().saturating_mul(block),
    })
}

/// The version of the user's git and what it prints.
pub(super) fn git_version(environment: &Environment) -> Result<((u32, u32), String), String> {
    let found =
        environment.search_path.iter().map(|directory| directory.join("git")).find(|path| path.is_file());
    let program = found.ok_or("not found in PATH")?;
    #[allow(clippy::disallowed_methods, reason = "it runs in no repository and on no user's text")]
    let mut command = Command::new(&program);
    let output = command
        .arg("--version")
        .current_dir("/")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{}: {error}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let version = text.strip_prefix("git version ").and_then(kernel_version);
    version.map(|version| (version, text.clone())).ok_or(format!("{} says {text:?}", program.display()))
}

/// The first two numbers of a version.
pub(super) fn kernel_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// A kernel setting that is a number; none if this kernel does not have it.
pub(super) fn sysctl(name: &str) -> Option<u64> {
    fs::read_to_string(format!("/proc/sys/{}", name.replace('.', "/"))).ok()?.trim().parse().ok()
}

/// How many files a daemon may have open: the hard limit, to which it raises its own.
pub(super) fn open_files() -> Option<u64> {
    hard_limit(&fs::read_to_string("/proc/self/limits").ok()?)
}

fn hard_limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_their_first_two_numbers() {
        assert_eq!(kernel_version("6.18.2-amd64"), Some((6, 18)));
        assert_eq!(kernel_version("2.47.3 (Apple Git)"), Some((2, 47)));
        assert_eq!(kernel_version("6.1-rc3"), Some((6, 1)));
        assert_eq!(kernel_version("six"), None);
    }

    #[test]
    fn the_limit_on_files_is_the_hard_one() {
        let text = "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 524288               files\n";
        assert_eq!(hard_limit(text), Some(524_288));
        assert_eq!(hard_limit("Max open files 1024 unlimited files"), None);
    }
}
