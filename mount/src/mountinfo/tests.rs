use std::os::unix::ffi::OsStrExt;

use super::*;

fn table(lines: &[&str]) -> Table {
    Table::parse(lines.join("\n").as_bytes())
}

#[test]
fn a_line_is_read_with_its_escapes() {
    let table = table(&[
        r"36 35 0:47 / /mnt/with\040space\011tab\134back\012line ro,nosuid,nodev,relatime shared:4 master:1 - fuse.srcfs srcfs:a\043b rw,user_id=1000,group_id=7,default_permissions",
    ]);
    let mount = table.iter().next().unwrap();
    assert_eq!((mount.id, mount.parent), (36, 35));
    assert_eq!(mount.device, Device { major: 0, minor: 47 });
    assert_eq!(mount.mount_point, Path::new("/mnt/with space\ttab\\back\nline"));
    assert_eq!(mount.source, "srcfs:a#b");
    assert_eq!(mount.options, "ro,nosuid,nodev,relatime");
    assert_eq!(mount.user_id(), Some(1000));
    assert_eq!(mount.super_option("default_permissions"), None);
    assert!(mount.is_srcfs());
}

#[test]
fn odd_lines_do_not_hide_the_others() {
    let mut bytes =
        b"garbage\n\n1 2\n5 1 8:1 / / rw - ext4  rw\n6 5 0:3 / /a\\09 rw - tmpfs no\\ne rw\n".to_vec();
    bytes.extend(b"7 5 x:3 / /b rw - tmpfs none rw\n8 5 0:4 / /\xff\xfe rw - tmpfs none rw\n9 5 0:5 / /c rw");
    let table = Table::parse(&bytes);
    assert_eq!(table.iter().map(|mount| mount.id).collect::<Vec<_>>(), [5, 6, 8]);
    assert_eq!(table.by_id(5).unwrap().source, "");
    assert_eq!(table.by_id(6).unwrap().mount_point, Path::new("/a\\09"));
    assert_eq!(table.by_id(8).unwrap().mount_point.as_os_str().as_bytes(), b"/\xff\xfe");
}

#[test]
fn the_topmost_of_a_stack_is_found_by_parents_not_by_order() {
    let table = table(&[
        "30 20 0:9 / /m rw - tmpfs top rw",
        "20 1 0:8 / /m rw - fuse.srcfs srcfs:x rw,user_id=0",
        "1 0 8:1 / / rw - ext4 /dev/vda rw",
    ]);
    assert_eq!(table.topmost(Path::new("/m")).unwrap().id, 30);
    assert_eq!(table.on(Path::new("/m")).count(), 2);
    assert_eq!(table.topmost(Path::new("/n")), None);
    assert_eq!(table.walk(Path::new("/n")).unwrap().id, 1);
    assert_eq!(table.topmost(Path::new("/")).unwrap().id, 1);
}

#[test]
fn what_a_mount_further_up_hides_is_not_topmost() {
    let hidden = [
        "1 0 8:1 / / rw - ext4 /dev/vda rw",
        "2 1 0:8 / /a/b rw - fuse.srcfs srcfs:x rw,user_id=0",
        "3 1 0:9 / /a rw - tmpfs over rw",
    ];
    assert_eq!(table(&hidden).topmost(Path::new("/a/b")), None);
    let mut shown = hidden.to_vec();
    shown.push("4 3 0:10 / /a/b rw - tmpfs shown rw");
    assert_eq!(table(&shown).topmost(Path::new("/a/b")).unwrap().id, 4);
}

#[test]
fn in_a_chroot_the_root_need_not_be_listed() {
    let table =
        table(&["40 33 0:8 / /m rw - fuse.srcfs srcfs:x rw,user_id=0", "41 40 0:9 / /m rw - tmpfs t rw"]);
    assert_eq!(table.topmost(Path::new("/m")).unwrap().id, 41);
}

#[test]
fn the_same_open_file_is_read_again() {
    let mut source = Source::open().unwrap();
    let first = source.read().unwrap();
    assert!(first.iter().count() > 0);
    assert_eq!(first.iter().count(), source.read().unwrap().iter().count());
    assert!(Table::of_process(std::process::id()).unwrap().topmost(Path::new("/proc")).is_some());
}
