//! `srcfs mount`.

use std::ffi::OsString;
use std::path::PathBuf;

use serde::Serialize;
use srcfs_mount::mounting::{Access, MountOptions};

use super::exit::Failed;
use super::invocation::Invocation;
use crate::daemon::{self, Announcement, background};
use crate::error::{Error, Kind};

const AFTER_HELP: &str = "\
Options of -o: allow_other, allow_root, noexec, cache_dir=DIR, config=FILE. Those that every mount
of srcfs has anyway (ro, nosuid, nodev) and those that are for mount(8) alone change nothing.

In /etc/fstab:  srcfs  /mnt/src  fuse.srcfs  ro,cache_dir=/var/cache/srcfs,allow_other,_netdev  0 0

Examples:
  srcfs mount
  srcfs mount ~/srcfs -o allow_other
  srcfs mount --foreground ~/srcfs

Exit codes besides the usual ones, if the mount could not be made:
  10 the mount point does not exist       11 it is not a directory
  12 it is not empty                      13 it is not yours
  14 srcfs is mounted there already       15 something else is mounted there
  16 no FUSE device                       17 the FUSE device is not permitted
  18 fusermount3 is missing               19 no right to mount, as in a container
  20 fusermount3 refused";

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
    /// Say on standard output in one line of JSON when the mount answers, then let go of the terminal
    #[arg(long, hide = true, requires = "foreground")]
    announce: bool,
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
    /// What was chosen of the mount itself.
    pub options: MountOptions,
    /// Whether to stay in the foreground, which is how the daemon itself runs.
    pub foreground: bool,
    /// Whether a process that started this one waits for it to announce itself.
    pub announce: bool,
    /// How often `-v` was given.
    pub verbose: u8,
    /// Whether `-q` was given.
    pub quiet: bool,
}

impl MountArguments {
    /// The arguments (without the program) by which this program starts itself as the daemon in the
    /// foreground, which announces itself.
    pub(super) fn foreground_arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["mount".into(), "--foreground".into(), "--announce".into()];
        let option = |name: &str, path: &PathBuf| {
            let mut argument = OsString::from(name);
            argument.push(path);
            argument
        };
        arguments.push(option("--cache-dir=", &self.cache_directory));
        arguments.push(option("--config=", &self.config_file));
        match self.options.access {
            Access::Owner => {}
            Access::OwnerAndRoot => arguments.push("-oallow_root".into()),
            Access::Everyone => arguments.push("-oallow_other".into()),
        }
        if self.options.noexec {
            arguments.push("-onoexec".into());
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
    if arguments.foreground {
        return serve(&mount_arguments, invocation);
    }
    match background::start(mount_arguments.foreground_arguments())? {
        Announcement::Ready { directory, .. } => {
            let report = Report { mount_point: &directory };
            invocation.output.confirm(&report, || format!("mounted on {}\n", directory.display()))
        }
        Announcement::Failed { exit_code, failure } => {
            invocation.output.failure(&failure);
            Err(Failed { error: None, code: exit_code })
        }
    }
}

/// Is the daemon.
fn serve(arguments: &MountArguments, invocation: &Invocation) -> Result<(), Failed> {
    let options = daemon::Options {
        directory: arguments.mount_point.clone(),
        mount: arguments.options,
        cache: arguments.cache_directory.clone(),
        config: arguments.config_file.clone(),
        announce: arguments.announce,
    };
    if arguments.announce {
        background::leave_session();
    }
    let served = daemon::run(&options, &invocation.environment, |_| ()).map_err(Failed::from);
    match served {
        Err(Failed { error: Some(error), code }) if arguments.announce => {
            // Whoever started this process tells the user.
            Announcement::failed(code, &error).send();
            Err(Failed { error: None, code })
        }
        served => served,
    }
}

/// What the daemon is started with, of everything that was given.
pub(super) fn arguments(arguments: &Arguments, invocation: &Invocation) -> Result<MountArguments, Error> {
    let options = parse_options(&arguments.options)?;
    let Invocation { global, environment, .. } = invocation;
    let cache_dir = options.cache_dir.as_deref().or(global.cache_dir.as_deref());
    let config = options.config.as_deref().or(global.config.as_deref());
    Ok(MountArguments {
        mount_point: environment.mount_point(arguments.dir.as_deref())?,
        cache_directory: environment.cache_directory(cache_dir)?,
        config_file: environment.config_file(config)?,
        options: options.of_mount,
        foreground: arguments.foreground,
        announce: arguments.announce,
        verbose: global.verbose,
        quiet: global.quiet,
    })
}

/// What `-o` says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    of_mount: MountOptions,
    cache_dir: Option<PathBuf>,
    config: Option<PathBuf>,
}

/// Takes the options apart: two are ours, because a line of fstab has no other place for them; the
/// rest is about the mount itself.
fn parse_options(texts: &[String]) -> Result<Options, Error> {
    let mut options = Options::default();
    let mut of_mount = Vec::new();
    for option in texts.iter().flat_map(|text| text.split(',')) {
        match option.split_once('=') {
            Some(("cache_dir", path)) if path.starts_with('/') => options.cache_dir = Some(path.into()),
            Some(("config", path)) if path.starts_with('/') => options.config = Some(path.into()),
            Some(("cache_dir" | "config", _)) => {
                let what = format!("read the mount option {option:?}");
                return Err(Error::new(Kind::Invalid, what, "it names no absolute path")
                    .hint("write cache_dir=/path or config=/path"));
            }
            _ => of_mount.push(option),
        }
    }
    options.of_mount = MountOptions::parse(&of_mount.join(",")).map_err(|error| {
        Error::new(Kind::Invalid, format!("read the mount option {:?}", error.option), error.why)
    })?;
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Options, Error> {
        parse_options(&[text.to_owned()])
    }

    #[test]
    fn options_of_fstab_are_ours_or_those_of_the_mount() {
        let options =
            parse("ro,nosuid,_netdev,x-systemd.automount,cache_dir=/c,config=/f,allow_other,").unwrap();
        let expected = Options {
            of_mount: MountOptions { access: Access::Everyone, noexec: false },
            cache_dir: Some("/c".into()),
            config: Some("/f".into()),
        };
        assert_eq!(options, expected);
        for text in ["allow_others", "cache_dir=", "cache_dir=c", "cache_dir", "uid=0"] {
            assert_eq!(parse(text).unwrap_err().kind(), Kind::Invalid, "{text}");
        }
    }
}
