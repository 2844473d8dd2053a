//! P9 read-only: every changing call is EROFS.

use std::ffi::CString;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, RenameFlags, open, renameat2};
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, UtimensatFlags, fchmodat, mkdirat, mknod, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{
    AccessFlags, LinkatFlags, UnlinkatFlags, access, fchownat, linkat, symlinkat, truncate, unlinkat,
};

use crate::mounted::Mounted;
use crate::reader::{Reader, say};
use crate::setting::{KEY, ONE, Setting};

/// Tries everything that would change `path` or something beside it, and says what it was answered.
pub fn change_everything(path: &Path) {
    let cwd = || nix::fcntl::AT_FDCWD;
    // No forge has a name that begins with a dot, so it is nowhere taken for one that may exist.
    let new = path.with_file_name(".new");
    let inside = path.join(".new");
    let mode = Mode::from_bits_truncate(0o644);
    let now = TimeSpec::new(1, 0);
    let is_directory = path.is_dir();
    let mut answers: Vec<(&str, nix::Result<()>)> = vec![
        ("open to create", open(&new, OFlag::O_WRONLY | OFlag::O_CREAT, mode).map(drop)),
        ("mkdir", mkdirat(cwd(), &new, mode)),
        ("mknod", mknod(&new, SFlag::S_IFIFO, mode, 0)),
        ("symlink", symlinkat("target", cwd(), &new)),
        ("rename", renameat2(cwd(), path, cwd(), &new, RenameFlags::empty())),
        ("exchange", renameat2(cwd(), path, cwd(), path, RenameFlags::RENAME_EXCHANGE)),
        ("chmod", fchmodat(cwd(), path, mode, FchmodatFlags::FollowSymlink)),
        ("chown", fchownat(cwd(), path, Some(nix::unistd::getuid()), None, AtFlags::empty())),
        ("utimens", utimensat(cwd(), path, &now, &now, UtimensatFlags::FollowSymlink)),
        ("access", access(path, AccessFlags::W_OK)),
        ("setxattr", set_attribute(path, true)),
        ("removexattr", set_attribute(path, false)),
    ];
    if is_directory {
        answers.push(("rmdir", unlinkat(cwd(), path, UnlinkatFlags::RemoveDir)));
        answers.push(("open a new file inside", File::create(&inside).map(drop).map_err(errno)));
        answers.push(("O_TMPFILE", open(path, OFlag::O_TMPFILE | OFlag::O_WRONLY, mode).map(drop)));
    } else {
        let write = |flags: OFlag| open(path, flags, mode).map(drop);
        answers.push(("open to write", write(OFlag::O_WRONLY)));
        answers.push(("open to read and write", write(OFlag::O_RDWR)));
        answers.push(("open to append", write(OFlag::O_WRONLY | OFlag::O_APPEND)));
        answers.push(("open to truncate", write(OFlag::O_WRONLY | OFlag::O_TRUNC)));
        answers.push(("truncate", truncate(path, 0)));
        answers.push(("unlink", unlinkat(cwd(), path, UnlinkatFlags::NoRemoveDir)));
        answers.push(("link", linkat(cwd(), path, cwd(), &new, LinkatFlags::empty())));
    }
    for (call, answer) in answers {
        say(&format!("{call}: {answer:?}"));
    }
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or_default())
}

fn set_attribute(path: &Path, set: bool) -> nix::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes()).unwrap();
    let name = c"user.srcfs.key".as_ptr();
    // SAFETY: all three are strings that end with a NUL and live until the call returns; the value's
    // length is that of the array.
    let result = unsafe {
        match set {
            true => nix::libc::setxattr(path.as_ptr(), name, [0_u8; 4].as_ptr().cast(), 4, 0),
            false => nix::libc::removexattr(path.as_ptr(), name),
        }
    };
    Errno::result(result).map(drop)
}

#[test]
fn every_changing_call_is_refused_everywhere() {
    let setting = Setting::new();
    let mount = Mounted::new(&setting.program);
    Reader::run("ls", &[&mount.path(KEY)]).end().lines();
    let before = Reader::play("record", &mount.path(KEY)).end().lines();
    let status = ".srcfs/status.json";
    for path in
        ["README.md", status, "git", "git/github.com", KEY, &format!("{KEY}/d000"), &format!("{KEY}/{ONE}")]
    {
        let answers = Reader::play("change", &mount.path(path)).end().lines();
        assert!(answers.len() > 12, "{answers:?}");
        let accepted: Vec<&String> =
            answers.iter().filter(|answer| !answer.ends_with("Err(EROFS)")).collect();
        assert!(accepted.is_empty(), "{path}: {accepted:?}");
    }
    let answers = Reader::run("rm", &[&"-rf", &mount.path(KEY)]).end();
    assert!(!answers.status.success());
    assert_eq!(Reader::play("record", &mount.path(KEY)).end().lines(), before);
}
