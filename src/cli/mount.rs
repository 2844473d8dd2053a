//! `srcfs mount`.

use std::ffi::OsString;
use std::path::PathBuf;

use serde::Serialize;

use super::exit::Failed;
use super::invocation::Invocation;
use crate::error::{Error, Kind};

const AFTER_HELP: &str = "\
Options of -o: allow_other, allow_root, cache_dir=DIR, config=FILE; those that every mount of srcfs
has anyway (ro, nosuid, nodev) and those that are meant for mount(8) are accepted.

In /etc/fstab:  srcfs  /mnt/src  fuse.srcfs  cache_dir=/var/cache/srcfs,allow_other,_netdev  0 0

Examples:
  srcfs mount
  srcfs mount ~/srcfs -o allow_other
  srcfs mount --foreground ~/srcfs

Exit codes besides the usual ones, if the mount could not be made:
  10 no /dev/fuse or no right to it      11 fusermount3 is missing
  12 the mount point does not exist      13 the mount point is not a directory
  14 the mount point is not empty        15 the mount point is not yours
  16 something is mounted there already  17 no right to mount
  18 the cache, the mount and sources lie inside one another
  19 the daemon ended before it answered 20 another failure of mounting";

/// Mount the directory of all sources; returns when it answers
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// Where; made if it is missing [environment: SRCFS_MOUNT; default: ~/srcfs]
    dir: Option<PathBuf>,
    /// Stay in the foreground until the mount ends
    #[arg(long)]
    foreground: bool,
    /// Mount options, separated by commas
    #[arg(short = 'o', value_name = "OPTS")]
    options: Vec<String>,
    /// Check the options and do nothing (mount -f)
    #[arg(long, hide = true)]
    fake: bool,
    /// A descriptor to which the daemon in the foreground writes when it answers
    #[arg(long, hide = true, requires = "foreground", value_name = "FD")]
    ready_fd: Option<i32>,
}

/// Who besides the mounting user may look into the mount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Allow {
    /// Nobody.
    #[default]
    Owner,
    /// Root.
    Root,
    /// Everybody, by the permissions of the files.
    Everybody,
}

/// What the daemon is started with; every path is absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountArguments {
    /// Where to mount.
    pub mount_point: PathBuf,
    /// The cache.
    pub cache_directory: PathBuf,
    /// The configuration, whether or not it exists.
    pub config_file: PathBuf,
    /// Who may look into it.
    pub allow: Allow,
    /// Whether to stay in the foreground, which is how the daemon itself runs.
    pub foreground: bool,
    /// The descriptor on which a process that started this one waits for the first answer.
    pub ready_fd: Option<i32>,
    /// How often `-v` was given.
    pub verbose: u8,
    /// Whether `-q` was given.
    pub quiet: bool,
}

impl MountArguments {
    /// The arguments (without the program) by which this program starts itself as the daemon in the
    /// foreground, which tells its readiness on `ready_fd`.
    pub fn foreground_arguments(&self, ready_fd: i32) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["mount".into(), "--foreground".into()];
        arguments.push(format!("--ready-fd={ready_fd}").into());
        let option = |name: &str, path: &PathBuf| {
            let mut argument = OsString::from(name);
            argument.push(path);
            argument
        };
        arguments.push(option("--cache-dir=", &self.cache_directory));
        arguments.push(option("--config=", &self.config_file));
        match self.allow {
            Allow::Owner => {}
            Allow::Root => arguments.push("-oallow_root".into()),
            Allow::Everybody => arguments.push("-oallow_other".into()),
        }
        arguments.extend((0..self.verbose).map(|_| OsString::from("-v")));
        if self.quiet {
            arguments.push("-q".into());
        }
        arguments.push("--".into());
        arguments.push(self.mount_point.clone().into());
        arguments
    }
}

#[derive(Serialize)]
struct Report<'a> {
    mount_point: &'a PathBuf,
}

/// Has the daemon mounted.
pub fn run(arguments: &Arguments, invocation: &Invocation) -> Result<(), Failed> {
    let mount_arguments = self::arguments(arguments, invocation)?;
    if arguments.fake {
        return Ok(());
    }
    let mount_point = mount_arguments.mount_point.clone();
    crate::daemon::mount(mount_arguments)?;
    if arguments.foreground {
        return Ok(());
    }
    let report = Report { mount_point: &mount_point };
    invocation.output.confirm(&report, || format!("mounted on {}\n", mount_point.display()))
}

/// What the daemon is started with, of everything that was given.
pub(super) fn arguments(arguments: &Arguments, invocation: &Invocation) -> Result<MountArguments, Error> {
    let options = Options::parse(&arguments.options)?;
    let Invocation { global, environment, .. } = invocation;
    let cache_dir = options.cache_dir.as_deref().or(global.cache_dir.as_deref());
    let config = options.config.as_deref().or(global.config.as_deref());
    Ok(MountArguments {
        mount_point: environment.mount_point(arguments.dir.as_deref())?,
        cache_directory: environment.cache_directory(cache_dir)?,
        config_file: environment.config_file(config)?,
        allow: options.allow,
        foreground: arguments.foreground,
        ready_fd: arguments.ready_fd,
        verbose: global.verbose,
        quiet: global.quiet,
    })
}

/// What `-o` says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    allow: Allow,
    cache_dir: Option<PathBuf>,
    config: Option<PathBuf>,
}

/// What every mount of srcfs has anyway, what mount(8) adds, and what only it reads.
const ACCEPTED: &[&str] = &[
    "async",
    "atime",
    "auto",
    "defaults",
    "default_permissions",
    "dev",
    "diratime",
    "exec",
    "group",
    "noatime",
    "noauto",
    "nodev",
    "nodiratime",
    "noexec",
    "nofail",
    "nosuid",
    "nouser",
    "owner",
    "relatime",
    "ro",
    "rw",
    "suid",
    "sync",
    "user",
    "users",
    "_netdev",
];
const KNOWN: &[&str] = &["allow_other", "allow_root", "cache_dir", "config", "ro"];

impl Options {
    fn parse(texts: &[String]) -> Result<Options, Error> {
        let mut options = Options::default();
        for option in texts.iter().flat_map(|text| text.split(',')).filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                None if option == "allow_other" => options.allow = Allow::Everybody,
                None if option == "allow_root" => options.allow = Allow::Root,
                None if ACCEPTED.contains(&option) || option.starts_with("x-") => {}
                Some(("cache_dir", path)) if !path.is_empty() => options.cache_dir = Some(path.into()),
                Some(("config", path)) if !path.is_empty() => options.config = Some(path.into()),
                Some((name, _)) if name.starts_with("x-") || name == "comment" => {}
                _ => return Err(unknown(option)),
            }
        }
        Ok(options)
    }
}

fn unknown(option: &str) -> Error {
    let name = option.split('=').next().unwrap_or(option);
    let error =
        Error::new(Kind::Invalid, format!("read the mount option {option:?}"), "srcfs has no such option");
    match crate::config::nearest(name, KNOWN) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => error.hint(format!("known are {}", KNOWN.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Options, Error> {
        Options::parse(&[text.to_owned()])
    }

    #[test]
    fn options_of_fstab_are_accepted() {
        let options =
            parse("rw,nosuid,_netdev,x-systemd.automount,cache_dir=/c,config=/f,allow_other,").unwrap();
        let expected =
            Options { allow: Allow::Everybody, cache_dir: Some("/c".into()), config: Some("/f".into()) };
        assert_eq!(options, expected);
    }

    #[test]
    fn a_slip_in_an_option_names_the_nearest() {
        assert_eq!(parse("allow_others").unwrap_err().advice(), Some("did you mean allow_other?"));
        assert_eq!(parse("cache-dir=/c").unwrap_err().advice(), Some("did you mean cache_dir?"));
        for text in ["uid=0", "cache_dir=", "cache_dir", "allow_other=1"] {
            assert_eq!(parse(text).unwrap_err().kind(), Kind::Invalid, "{text}");
        }
    }
}
