//! Row "cwd in a dead mount": every verb works.

use std::path::Path;
use std::process::Command;

use crate::mounted::Mounted;
use crate::reader::{Reader, cat};
use crate::setting::{KEY, ONE, Setting, one};

#[test]
fn every_verb_works_in_the_directory_of_a_dead_mount() {
    let setting = Setting::new();
    let mut mount = Mounted::new(&setting.program);
    assert_eq!(cat(&mount.path(KEY).join(ONE)), one("one"));
    let url = setting.server.url("team/docs.git");
    let verbs: &[&[&str]] = &[
        &["status"],
        &["list"],
        &["doctor"],
        &["get", KEY],
        &["update", KEY],
        &["add", "docs", &url],
        &["explain", "docs"],
        &["remove", "docs"],
        &["clear", KEY],
        &["get", KEY],
        &["__check"],
        &["unmount", "--force"],
        &["mount"],
        &["path", KEY],
        &["unmount", "--force"],
    ];
    // A shell that stands there and runs what it is told.
    let mut inside = crate::harness::repository::hermetic("sh");
    let script = "cd \"$1\" && echo ready && while read -r line; do eval \"$line\"; echo \"ended $?\"; done";
    inside.args(["-c", script, "sh"]).arg(mount.path(KEY));
    let mut inside = Reader::start(&mut inside);
    assert_eq!(inside.line(), "ready");
    mount.kill();
    for verb in verbs {
        inside.tell(&line(&setting.program.command(verb), setting.program.path()));
        let ended = loop {
            let line = inside.line();
            if let Some(code) = line.strip_prefix("ended ") {
                break code.to_owned();
            }
        };
        // The doctor says 1 for a machine that lacks something.
        let fine = ended == "0" || (verb == &["doctor"] && ended == "1");
        assert!(fine, "{verb:?} ended with {ended}: {}", said(setting.program.path()));
    }
    drop(inside);
}

/// The command as a line for a shell.
fn line(command: &Command, place: &Path) -> String {
    let quoted = |text: &std::ffi::OsStr| format!("'{}'", text.to_str().unwrap());
    let mut words = vec!["env".to_owned()];
    for (name, value) in command.get_envs() {
        words.extend(value.map(|value| format!("{}={}", name.to_str().unwrap(), quoted(value))));
    }
    words.push(quoted(command.get_program()));
    words.extend(command.get_args().map(quoted));
    format!("{} >'{1}/said' 2>&1 </dev/null", words.join(" "), place.display())
}

fn said(place: &Path) -> String {
    std::fs::read_to_string(place.join("said")).unwrap_or_default()
}
