//! The form in which mount(8) calls a mount program: `srcfs SOURCE DIR [-sfnv] [-o OPTIONS]`.
//!
//! With `srcfs  /mnt/src  fuse.srcfs  ro  0 0` in fstab, mount.fuse3(8) calls `srcfs srcfs /mnt/src
//! -o ro`; a link called `mount.srcfs` is called likewise. Both become `srcfs mount DIR -o OPTIONS`.

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// What may stand as source: it says nothing, because the cache is an option.
const SOURCES: &[&str] = &["srcfs", "none"];

/// The arguments of `srcfs mount`, if `arguments` are a call of mount(8).
pub fn translate(arguments: &[OsString]) -> Option<Vec<OsString>> {
    let (program, rest) = arguments.split_first()?;
    let name = Path::new(program).file_name()?;
    let source = rest.first()?;
    let called_by_mount = name.to_str().is_some_and(|name| name.starts_with("mount."));
    if !called_by_mount && !SOURCES.iter().any(|known| OsStr::new(known) == source) {
        return None;
    }
    let directory = rest.get(1)?;
    let mut translated: Vec<OsString> = vec![program.clone(), "mount".into()];
    let mut options = rest[2..].iter();
    while let Some(option) = options.next() {
        let text = option.to_string_lossy();
        match &*text {
            "-o" | "-O" => {
                translated.push("-o".into());
                translated.extend(options.next().cloned());
            }
            // The type and the namespace, which mount(8) has dealt with.
            "-t" | "-N" => {
                options.next();
            }
            // Sloppy, fake, no mtab, verbose.
            flags if flags.len() > 1 && flags[1..].chars().all(|c| "sfnv".contains(c)) => {
                if flags.contains('v') {
                    translated.push("-v".into());
                }
                if flags.contains('f') {
                    translated.push("--fake".into());
                }
            }
            _ => translated.push(option.clone()),
        }
    }
    translated.push("--".into());
    translated.push(directory.clone());
    Some(translated)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(line: &str) -> Option<String> {
        let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let words = translate(&arguments)?;
        Some(words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn calls_of_mount_become_the_verb() {
        for (line, expected) in [
            ("srcfs srcfs /mnt -o ro,allow_other", "srcfs mount -o ro,allow_other -- /mnt"),
            ("/usr/bin/srcfs none /mnt", "/usr/bin/srcfs mount -- /mnt"),
            ("/sbin/mount.srcfs anything /mnt -sv -o rw", "/sbin/mount.srcfs mount -v -o rw -- /mnt"),
            (
                "/sbin/mount.fuse.srcfs x /mnt -t fuse.srcfs -o rw",
                "/sbin/mount.fuse.srcfs mount -o rw -- /mnt",
            ),
            ("mount.srcfs x /mnt -f", "mount.srcfs mount --fake -- /mnt"),
        ] {
            assert_eq!(translated(line).as_deref(), Some(expected), "{line}");
        }
        for line in
            ["srcfs", "srcfs mount /mnt", "srcfs list", "srcfs srcfs", "srcfs --help", "srcfs lst /mnt"]
        {
            assert_eq!(translated(line), None, "{line}");
        }
    }
}
