//! The options of a mount, as `-o`, fstab and mount(8) give them.
//!
//! A mount of srcfs is always `ro,nosuid,nodev,default_permissions`, so of all the words that mount(8)
//! and mount.fuse(8) pass on only a few choose something. Unknown words are refused: a mistyped
//! `allow_othr` must not be found out by the other users.

use std::fmt;

/// Who besides the mounting user may use the mount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Nobody.
    #[default]
    Owner,
    /// Root. The kernel knows only "all", so whoever answers requests must refuse the others.
    OwnerAndRoot,
    /// Everybody, by the permissions of the files.
    Everyone,
}

/// What can be chosen of a mount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MountOptions {
    /// Who may use it (`allow_other`, `allow_root`).
    pub access: Access,
    /// Whether nothing in it may be executed (`noexec`).
    pub noexec: bool,
}

/// An option that is refused. A mistake of usage: exit code 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionError {
    /// The option.
    pub option: String,
    /// Why it is refused, and what to do.
    pub why: &'static str,
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "read the mount option {:?}: {}", self.option, self.why)
    }
}

impl std::error::Error for OptionError {}

/// Words that change nothing here: what always holds (`ro`), what is for mount(8) and systemd alone,
/// and access times, which a read-only mount does not keep. `dev` and `suid` are added by
/// mount.fuse(8) to every line of root's that does not deny them, so they cannot be refused; they are
/// not granted either.
const WITHOUT_EFFECT: &[&str] = &[
    "ro",
    "nosuid",
    "nodev",
    "suid",
    "dev",
    "default_permissions",
    "defaults",
    "auto",
    "noauto",
    "user",
    "nouser",
    "users",
    "owner",
    "group",
    "_netdev",
    "nofail",
    "async",
    "sync",
    "atime",
    "noatime",
    "diratime",
    "nodiratime",
    "relatime",
    "norelatime",
    "strictatime",
    "nostrictatime",
    "lazytime",
    "nolazytime",
];

/// The same with a value. Type and source are what the verbs find a mount by, so `fsname` and
/// `subtype`, which mount.fuse(8) may pass, do not change them.
const WITHOUT_EFFECT_PREFIXES: &[&str] = &["x-", "X-", "comment=", "user=", "fsname=", "subtype="];

impl MountOptions {
    /// Reads options separated by commas. Later ones win, as with mount(8).
    pub fn parse(text: &str) -> Result<Self, OptionError> {
        let mut options = MountOptions::default();
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let refuse = |why| Err(OptionError { option: word.to_owned(), why });
            match word {
                "exec" => options.noexec = false,
                "noexec" => options.noexec = true,
                "allow_other" | "allow_root" => {
                    let access = if word == "allow_root" { Access::OwnerAndRoot } else { Access::Everyone };
                    if options.access != Access::Owner && options.access != access {
                        return refuse("allow_other and allow_root exclude each other; give one of them");
                    }
                    options.access = access;
                }
                "rw" => {
                    return refuse("srcfs is read-only; write ro (in fstab too, where `defaults` means rw)");
                }
                "remount" => {
                    return refuse("nothing of a mount can be changed; unmount it and mount it again");
                }
                "nonempty" => return refuse("srcfs mounts only on an empty directory; choose or make one"),
                _ if WITHOUT_EFFECT.contains(&word) => {}
                _ if WITHOUT_EFFECT_PREFIXES.iter().any(|prefix| word.starts_with(prefix)) => {}
                _ => return refuse("srcfs does not know it; leave it out (see srcfs mount --help)"),
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fstab_and_its_helpers_pass_is_accepted() {
        let passed = "ro,noexec,nosuid,nodev,noauto,user=me,_netdev,nofail,x-systemd.automount,x-gvfs-show,\
                      allow_other,fsname=a,subtype=srcfs,dev,suid,noatime,default_permissions,,comment=a b";
        assert_eq!(MountOptions::parse(passed), Ok(MountOptions { access: Access::Everyone, noexec: true }));
        assert_eq!(MountOptions::parse(""), Ok(MountOptions::default()));
        assert_eq!(MountOptions::parse("noexec,exec").map(|options| options.noexec), Ok(false));
        assert_eq!(MountOptions::parse("allow_root").map(|options| options.access), Ok(Access::OwnerAndRoot));
    }

    #[test]
    fn what_would_change_the_mount_or_is_mistyped_is_refused_by_name() {
        for word in
            ["rw", "allow_othr", "remount", "nonempty", "fsname", "ro=1", "uid=0", "fd=3", "RO", "allow_root"]
        {
            let error = MountOptions::parse(&format!("allow_other,{word}")).unwrap_err();
            assert_eq!(error.option, word);
            assert!(error.to_string().contains(word));
        }
        assert!(MountOptions::parse("rw").unwrap_err().why.contains("write ro"));
    }
}
