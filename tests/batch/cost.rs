//! The cost of a batch grows with its length and not with its square. Time is measured by `scripts/bench`;
//! here the kernel counts.

use crate::harness::repository::hermetic;
use crate::setting::Setting;
use crate::{get, with_repositories};

/// How many reads and writes `get` of these keys causes, those of its children included; `None` where
/// the kernel does not count.
fn reads_and_writes(setting: &Setting, keys: &[String]) -> Option<u64> {
    let srcfs = setting.program.command(&get(&["--jobs", "2"], keys));
    let mut shell = hermetic("sh");
    shell.args(["-c", "\"$@\" >&2 || exit; cat /proc/$$/io", "sh"]);
    shell.arg(srcfs.get_program()).args(srcfs.get_args());
    for (name, value) in srcfs.get_envs() {
        value.map(|value| shell.env(name, value));
    }
    let ended = shell.output().unwrap();
    let failed = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(failed.contains(&format!(" {} cached, 0 failed", keys.len())), "{failed}");
    let counts = String::from_utf8(ended.stdout).unwrap();
    let count = |name| counts.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
    Some(count("syscr:")? + count("syscw:")?)
}

#[test]
fn a_batch_of_eight_times_the_length_does_no_more_for_each_key() {
    let (setting, keys) = with_repositories(48);
    setting.program.json(&get(&["--jobs", "2"], &keys));
    // All is cached: nothing of git hides what the batch itself does.
    let counts = (reads_and_writes(&setting, &keys[..6]), reads_and_writes(&setting, &keys));
    let (Some(few), Some(many)) = counts else { return eprintln!("not run: the kernel does not count") };
    assert!(many > few, "{few} and {many}");
    assert!(many <= few * 8, "{few} for 6 keys, {many} for 48");
}
