//! Whether this machine has what srcfs needs: each thing by itself, with what to do about it.
//!
//! Looks only; nothing is created but a temporary file in the cache that is gone at once. Works with a
//! broken configuration and without a cache, which is when it is needed.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::barrier;
use super::mounts::{self, Mounted};
use super::probe::Answer;
use crate::cache;
use crate::config::Config;
use crate::config::environment::Environment;
use crate::config::locking::Backend;
use crate::error::{Error, Result};

mod machine;
mod registries;

use machine::{file_system, git_version, kernel_version, open_files, sysctl};

/// The oldest git that has what srcfs asks of it: `GIT_CONFIG_COUNT`, protocol 2 by default,
/// `--end-of-options` everywhere.
const OLDEST_GIT: (u32, u32) = (2, 31);
/// The oldest kernel whose FUSE lets `opendir` be answered once for all (5.1), with room for the
/// fixes that came to it in the first long-term kernel after that.
const OLDEST_KERNEL: (u32, u32) = (5, 4);
const LITTLE_SPACE: u64 = 1 << 30;
const FEW_FILES: u64 = 1024;

/// One line of the doctor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// Whether it is as it should be.
    pub ok: bool,
    /// Whether srcfs works without.
    pub needed: bool,
    /// What was found.
    pub found: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Check {
        Check { name, ok: true, needed: true, found: found.into(), advice: None }
    }

    fn missing(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Check {
        Check { name, ok: false, needed: true, found: found.into(), advice: Some(advice.into()) }
    }

    /// The same, but srcfs works nevertheless.
    fn optional(mut self) -> Check {
        self.needed = false;
        self
    }
}

/// All checks.
#[derive(Clone, Debug, Serialize)]
pub struct DoctorReport {
    /// In the order of their printing.
    pub checks: Vec<Check>,
}

impl DoctorReport {
    /// Whether nothing that is needed is missing.
    pub fn healthy(&self) -> bool {
        self.checks.iter().all(|check| check.ok || !check.needed)
    }
}

/// Looks at everything.
pub fn examine(environment: &Environment, config: &Result<Config>, cache: &Result<PathBuf>) -> DoctorReport {
    let root = nix::unistd::geteuid().is_root();
    let mut checks = vec![
        kernel(),
        device(),
        fusermount(environment, root),
        allow_other(root),
        git(environment),
        configuration(config),
    ];
    checks.extend(registries::checks(&environment.variables));
    checks.extend(cache_checks(cache, config.as_ref().map_or(None, |config| config.locking.backend)));
    let bound = config.as_ref().map_or(Config::default().reply_bound, |config| config.reply_bound);
    checks.extend(sysctls(bound));
    checks.push(files());
    checks.extend(mount_checks());
    DoctorReport { checks }
}

fn kernel() -> Check {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = release.trim();
    match kernel_version(release) {
        Some(version) if version >= OLDEST_KERNEL => Check::ok("kernel", release),
        _ => {
            let (major, minor) = OLDEST_KERNEL;
            Check::missing("kernel", release, format!("use Linux {major}.{minor} or later"))
        }
    }
}

fn device() -> Check {
    let name = "/dev/fuse";
    match OpenOptions::new().read(true).write(true).open(name) {
        Ok(_) => Check::ok(name, "can be opened"),
        Err(error) => {
            let advice = match error.raw_os_error() {
                Some(libc::ENOENT) => "run `modprobe fuse`; in a container, start it with --device /dev/fuse",
                Some(libc::ENODEV | libc::ENXIO) => "run `modprobe fuse`",
                Some(libc::EPERM) => "start the container with --device /dev/fuse",
                _ => "run `chmod 666 /dev/fuse` as root, which is its usual mode",
            };
            Check::missing(name, error.to_string(), advice)
        }
    }
}

fn fusermount(environment: &Environment, root: bool) -> Check {
    let name = "fusermount3";
    let found =
        environment.search_path.iter().map(|directory| directory.join(name)).find(|path| path.is_file());
    let check = match found {
        None => Check::missing(name, "not found in PATH", "install it: `apt-get install fuse3`"),
        Some(path) => match fs::metadata(&path) {
            Ok(metadata) if metadata.uid() == 0 && metadata.permissions().mode() & 0o4000 != 0 => {
                Check::ok(name, format!("{}, setuid root", path.display()))
            }
            _ => Check::missing(
                name,
                format!("{} is not setuid root", path.display()),
                format!("run `chmod u+s {}` as root", path.display()),
            ),
        },
    };
    // Root mounts by itself.
    if root { check.optional() } else { check }
}

fn allow_other(root: bool) -> Check {
    let name = "user_allow_other";
    let text = fs::read_to_string("/etc/fuse.conf").unwrap_or_default();
    let set = text.lines().any(|line| line.trim() == name);
    if set || root {
        return Check::ok(name, if set { "set in /etc/fuse.conf" } else { "not needed by root" });
    }
    Check::missing(
        name,
        "not set in /etc/fuse.conf",
        "only for `mount -o allow_other`: add the line user_allow_other there",
    )
    .optional()
}

fn git(environment: &Environment) -> Check {
    let (major, minor) = OLDEST_GIT;
    let install = format!("install git {major}.{minor} or later: `apt-get install git`");
    match git_version(environment) {
        Ok((version, text)) if version >= OLDEST_GIT => Check::ok("git", text),
        Ok((_, text)) => Check::missing("git", text, install),
        Err(why) => Check::missing("git", why, install),
    }
}

fn configuration(config: &Result<Config>) -> Check {
    let name = "configuration";
    match config {
        Ok(config) => {
            let file = config.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
            let count = config.resources.len();
            let noun = if count == 1 { "resource" } else { "resources" };
            Check::ok(name, format!("{file}, {count} {noun}"))
        }
        Err(error) => Check::missing(name, error.to_string(), "correct the file"),
    }
}

fn cache_checks(directory: &Result<PathBuf>, wanted: Option<Backend>) -> Vec<Check> {
    let name = "cache";
    let directory = match directory {
        Ok(directory) => directory,
        Err(error) => return vec![Check::missing(name, error.why(), error.advice().unwrap_or_default())],
    };
    // It is made at first use; until then its nearest existing parent says what will be.
    let Some(existing) = directory.ancestors().find(|path| path.is_dir()) else {
        return vec![Check::missing(name, format!("{} cannot be made", directory.display()), OTHER_CACHE)];
    };
    let mut checks = Vec::new();
    checks.push(match tempfile::tempfile_in(existing) {
        Ok(_) => Check::ok(name, format!("{} can be written", directory.display())),
        Err(error) => Check::missing(name, Error::io("write", existing, &error).to_string(), OTHER_CACHE),
    });
    if let Some(mode) = directory.metadata().ok().map(|metadata| metadata.permissions().mode() & 0o777)
        && mode & 0o077 != 0
    {
        let advice = format!("run `chmod 700 {}`", directory.display());
        checks.push(Check::missing("cache mode", format!("{mode:03o}: others may look into it"), advice));
    }
    match file_system(existing) {
        Ok(found) => {
            checks.push(Check::ok("cache file system", found.name.clone()));
            checks.push(locks(directory, existing, wanted));
            let shown = format!("{:.2} GiB", found.free as f64 / f64::from(1 << 30));
            checks.push(match found.free >= LITTLE_SPACE {
                true => Check::ok("free space", shown),
                false => Check::missing("free space", shown, "free some, or run `srcfs gc`").optional(),
            });
        }
        Err(why) => checks.push(Check::missing("cache file system", why, OTHER_CACHE)),
    }
    checks
}

/// What keeps several processes out of each other's way, and whether that suits the place.
fn locks(directory: &Path, existing: &Path, wanted: Option<Backend>) -> Check {
    let name = "cache locks";
    let network = cache::file_system::network(existing).ok().flatten();
    match (cache::file_system::backend(directory, wanted), network) {
        (Err(error), _) => Check::missing(name, error.why(), error.advice().unwrap_or(OTHER_CACHE)),
        (Ok(Backend::Kernel), Some(network)) => Check::missing(
            name,
            format!("kernel, as the configuration says, on {network}"),
            "sure only if no other host uses this cache: else choose another --cache-dir, with lock = \"lease\"",
        )
        .optional(),
        (Ok(backend), None) => Check::ok(name, backend.as_str()),
        (Ok(backend), Some(network)) => Check::ok(name, format!("{backend}, for {network}")),
    }
}

const OTHER_CACHE: &str = "choose a local directory of your own with --cache-dir or SRCFS_CACHE_DIR";

fn sysctls(bound: Duration) -> Vec<Check> {
    let mut checks = Vec::new();
    for name in ["fs.fuse.max_request_timeout", "fs.fuse.default_request_timeout"] {
        // Absent before Linux 6.15; 0 is no timeout.
        let Some(seconds) = sysctl(name) else { continue };
        let shown = if seconds == 0 { "0: none".to_owned() } else { format!("{seconds} s") };
        checks.push(if seconds == 0 || seconds > bound.as_secs() {
            Check::ok(name, shown)
        } else {
            let advice = format!(
                "the kernel aborts the mount when a request takes so long: set reply_bound in the \
                 configuration below it, or run `sysctl {name}=0`"
            );
            Check::missing(name, shown, advice)
        });
    }
    // Absent before Linux 6.13, where 256 is fixed.
    if let Some(pages) = sysctl("fs.fuse.max_pages_limit") {
        let name = "fs.fuse.max_pages_limit";
        checks.push(if pages >= 256 {
            Check::ok(name, pages.to_string())
        } else {
            Check::missing(name, pages.to_string(), format!("run `sysctl {name}=256` for faster reads"))
                .optional()
        });
    }
    checks
}

fn files() -> Check {
    let name = "open files";
    match open_files() {
        Some(limit) if limit < FEW_FILES => {
            let advice = format!("run `ulimit -n {FEW_FILES}` before `srcfs mount`");
            Check::missing(name, format!("at most {limit}"), advice).optional()
        }
        Some(limit) => Check::ok(name, format!("at most {limit}")),
        None => Check::ok(name, "no limit"),
    }
}

fn mount_checks() -> Vec<Check> {
    let name = "mount";
    let mounts = match mounts::all() {
        Ok(mounts) => mounts,
        Err(error) => return vec![Check::missing(name, error.to_string(), "mount /proc")],
    };
    let answers = barrier::ask(&mounts);
    let check = |(mounted, answer): (&Mounted, Answer)| {
        let shown = format!("{}: {}", mounted.mount_point.display(), answer.describe());
        let place = shell_word(&mounted.mount_point);
        match answer {
            Answer::Errno(libc::ENOENT) | Answer::Found(_) => {
                Check::ok(name, format!("{}: answers", mounted.mount_point.display()))
            }
            Answer::Errno(libc::EACCES | libc::EPERM) => Check::ok(name, shown),
            Answer::Errno(libc::ENOTCONN) => Check::missing(
                name,
                shown,
                format!("run `srcfs mount {place}` to repair it, or `srcfs unmount {place}`"),
            ),
            _ => Check::missing(name, shown, format!("run `srcfs unmount --force {place}`")),
        }
    };
    mounts.iter().zip(answers).map(check).collect()
}

/// `path` as it can be pasted into a shell.
fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | '@' | '~');
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
