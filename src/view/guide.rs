//! The mount's own `README.md`: how to use this directory, for people and agents.

use std::path::Path;

/// The text, true for the mount at `directory`.
pub(super) fn text(directory: &Path) -> String {
    let mount = directory.display();
    format!(
        "\
# {mount}

Here is the source of what you depend on. Nothing needs to be cloned or installed: a tree is fetched
the first time somebody looks into it, and is read from the local disk from then on.

    ls {mount}/git/github.com/rust-lang/log@0.4.22
    rg 'fn main' {mount}/git/github.com/owner/repository

## Paths

- `git/<host>/<owner>/<repository>`        the default branch
- `git/<host>/<owner>/<repository>@<ref>`  a branch, a tag or a full commit id
- `<name>`                                 what the configuration names so (`srcfs list` shows all)
- `local/<name>`                           a directory of this machine that the configuration names so

In a reference `/` is written `%2F`: `@release%2F1.2`. If a tag and a branch share a name, write
`@tags%2F<name>` or `@heads%2F<name>`. Listing a directory shows what is configured or cached; what is
not listed can be opened all the same. Only configured hosts are asked (`ls {mount}/git`).

## What you can rely on

- Everything is read-only, and a commit's bytes never change.
- One process sees one snapshot under a name, also while that name is updated; the next process sees
  the newest. For the same bytes tomorrow, name the commit (`srcfs path KEY --pin`).
- Submodules are empty directories; LFS files are their pointers.

## Where a file comes from

Every file has extended attributes: `getfattr -d -m user.srcfs FILE` shows where it comes from, its
revision, blob and a permalink (`user.srcfs.citation`) to cite it by.

## When something fails

- No such file: it does not exist, or is private, or the host is not configured.
- Permission denied: the host refused your credential.
- Any other error: the network or the disk; trying again may help.

`srcfs explain PATH` says why in a sentence and what to do; `{mount}/.srcfs/errors.json` lists the last
failures, `{mount}/.srcfs/status.json` what is going on. The first look into a large repository takes as
long as fetching it; Ctrl-C works meanwhile.
"
    )
}
