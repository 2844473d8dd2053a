//! Where the links of a path lead, up to where it comes into a mount of srcfs: the child's side. That mount
//! is not touched, so it does not matter whether it answers; what lies above it may still hang.

use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::super::mounts::{self, Mounted};

/// As many links as the kernel follows in one path.
const MOST_LINKS: usize = 40;

/// `path`, which is absolute, without links, `.` and `..`. What follows in a mount is left as it is written.
pub(super) fn follow(path: &Path, mounts: &[Mounted]) -> io::Result<PathBuf> {
    let (mut real, mut links) = (PathBuf::from("/"), 0);
    let mut rest = reversed(path);
    while let Some(part) = rest.pop() {
        match Path::new(&part).components().next() {
            Some(Component::RootDir) => real = PathBuf::from("/"),
            Some(Component::ParentDir) => {
                real.pop();
            }
            Some(Component::Normal(name)) => {
                real.push(name);
                if mounts::containing(mounts, &real).is_some() {
                    continue;
                }
                match std::fs::read_link(&real) {
                    Ok(target) => {
                        links += 1;
                        if links > MOST_LINKS {
                            return Err(io::Error::from_raw_os_error(libc::ELOOP));
                        }
                        real.pop();
                        rest.extend(reversed(&target));
                    }
                    // It is no link.
                    Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
                    Err(error) => return Err(error),
                }
            }
            _ => {}
        }
    }
    Ok(real)
}

/// The components, the last one first.
fn reversed(path: &Path) -> Vec<OsString> {
    path.components().rev().map(|component| component.as_os_str().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_followed_as_the_kernel_does_but_none_in_a_mount() {
        let place = tempfile::tempdir().unwrap();
        let real = place.path().canonicalize().unwrap();
        std::fs::create_dir_all(real.join("home/m")).unwrap();
        let mounts = [Mounted {
            mount_point: real.join("home/m"),
            cache: "c".into(),
            user: None,
            target: srcfs_mount::holders::Target {
                mount_id: 1,
                device: srcfs_mount::mountinfo::Device { major: 0, minor: 1 },
            },
        }];
        symlink("home", real.join("linked")).unwrap();
        symlink(real.join("linked/m/npm"), real.join("deps")).unwrap();
        symlink("home/m", real.join("direct")).unwrap();
        symlink("loop", real.join("loop")).unwrap();
        for (path, leads_to) in [
            ("linked/m/npm/lib", "home/m/npm/lib"),
            ("deps/lib/../x", "home/m/npm/x"),
            ("direct/../m/a", "home/m/a"),
            ("direct/a/../../m/b", "home/m/b"),
            ("home", "home"),
        ] {
            assert_eq!(follow(&real.join(path), &mounts).unwrap(), real.join(leads_to), "{path}");
        }
        for (path, errno) in [("none/x", libc::ENOENT), ("loop", libc::ELOOP)] {
            assert_eq!(follow(&real.join(path), &mounts).unwrap_err().raw_os_error(), Some(errno));
        }
    }
}
