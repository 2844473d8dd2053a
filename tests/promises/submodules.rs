//! Submodules are empty directories that say what they are; large-file pointers are shown as they are.

use super::harness::repository::File;
use super::mounted2::{Site, xattr};

const COMMIT: &str = "1234567890123456789012345678901234567890";
const POINTER: &str = "version https://git-lfs.github.com/spec/v1\n\
    oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";

#[test]
fn a_submodule_is_an_empty_directory_with_its_url_and_commit() {
    let site = Site::mounted("");
    let url = site.server().url("team/lib.git");
    site.repository_of("team/lib", &[File::new("secret", "not asked for\n")]);
    let modules = format!(
        "[submodule \"lib\"]\n\tpath = vendor/lib\n\turl = {url}\n\
         [submodule \"private\"]\n\tpath = vendor/private\n\turl = https://user:hunter2@example.org/x\n"
    );
    let revision = site.repository("team/docs").commit(&[
        File::new(".gitmodules", modules),
        File::new("a", "one\n"),
        File::submodule("vendor/lib", COMMIT),
        File::submodule("vendor/private", COMMIT),
        File::submodule("vendor/unknown", COMMIT),
    ]);
    let listed = site.sh("cd git/forge.test/team/docs && find . | LC_ALL=C sort && cat a");
    assert_eq!(
        listed.out,
        ".\n./.gitmodules\n./a\n./vendor\n./vendor/lib\n./vendor/private\n./vendor/unknown\none\n",
        "{listed:?}"
    );
    let get = |path: &str, name: &str| xattr(&site.forge(&format!("team/docs/{path}")), name);
    assert_eq!(get("vendor/lib", "user.srcfs.submodule.commit").as_deref(), Ok(COMMIT));
    assert_eq!(get("vendor/lib", "user.srcfs.submodule.url").as_deref(), Ok(url.as_str()));
    assert_eq!(get("vendor/private", "user.srcfs.submodule.url").unwrap(), "https://***@example.org/x");
    assert_eq!(get("vendor/unknown", "user.srcfs.submodule.commit").as_deref(), Ok(COMMIT));
    assert_eq!(get("vendor/unknown", "user.srcfs.submodule.url"), Err(libc::ENODATA));
    assert_eq!(get("a", "user.srcfs.submodule.commit"), Err(libc::ENODATA));
    assert_eq!(get("a", "user.srcfs.revision").as_deref(), Ok(revision.as_str()));
    assert_eq!(get("vendor/lib", "user.srcfs.revision").as_deref(), Ok(revision.as_str()));
    assert_eq!(site.server().counts("team/lib.git").requests, 0, "it was followed");
}

#[test]
fn a_large_file_pointer_is_shown_as_it_is() {
    let site = Site::mounted("");
    let lfs = site.server().url("team/media.git");
    site.repository_of(
        "team/docs",
        &[
            File::new(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n"),
            File::new(".lfsconfig", format!("[lfs]\n\turl = {lfs}\n")),
            File::new("model.bin", POINTER),
        ],
    );
    assert_eq!(site.cat(&site.forge("team/docs/model.bin")), POINTER);
    assert_eq!(site.server().counts("team/media.git").requests, 0);
}
