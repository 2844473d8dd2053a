//! The same points in a daemon: one step fails and the daemon goes on, or it dies and the next one does.
//! Either way the next access is right.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use srcfs::cache::check::Thoroughness;

use crate::matrix::each;
use crate::outcome::see_settled;
use crate::reader::{self, Reader, pid, wait_until};
use crate::stage::{Case, KEY, Stage, Start, Upstream, key};

/// A daemon of a case. The case outlives it.
struct Daemon<'c, 's> {
    case: &'c Case<'s>,
    child: Child,
    /// Whether another one has taken its place, which is then not this one's to unmount.
    replaced: bool,
}

impl<'c, 's> Daemon<'c, 's> {
    /// Starts it; `None` if the fault kept it from mounting.
    fn start(case: &'c Case<'s>, faults: &str) -> Option<Daemon<'c, 's>> {
        let mut command = case.with_faults(Upstream::New, &["-v", "mount", "--foreground"], faults);
        let child = command.stdout(Stdio::null()).stderr(case.log()).spawn().unwrap();
        let mut daemon = Daemon { case, child, replaced: false };
        let own = case.mount().join(".srcfs/status.json");
        let mut ended = false;
        wait_until("the mount answers or the daemon ends", || {
            ended = daemon.child.try_wait().unwrap().is_some();
            ended || own.symlink_metadata().is_ok()
        });
        (!ended).then_some(daemon)
    }

    fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    fn end(mut self) {
        let _ = kill(pid(&self.child), Signal::SIGTERM);
        assert!(reader::ends(&mut self.child), "it does not end: {}", self.case.said());
    }
}

impl Drop for Daemon<'_, '_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if self.replaced {
            return;
        }
        let unmount = ["-q", "unmount", "--force"];
        let _ = self.case.command(Upstream::New, &unmount).stderr(Stdio::null()).status();
    }
}

/// What a new process reads there.
fn cat(path: &Path) -> Result<String, String> {
    let ended = Reader::run("cat", &[&path]).end();
    match ended.status.success() {
        true => Ok(ended.out.join("\n")),
        false => Err(ended.err),
    }
}

/// Reads, updates, reads, clears and reads; whatever fails on the way is to be right the second time.
fn play(case: &Case<'_>, faults: &str, dies: bool) {
    let mut daemon = Daemon::start(case, faults).or_else(|| Daemon::start(case, "")).expect("it mounts");
    let file = case.mount().join(KEY).join("deep/text");
    let mut again = false;
    for (verb, expected) in
        [("", ["this is old", "this is new"]), ("update", ["this is new"; 2]), ("clear", ["this is new"; 2])]
    {
        if verb == "clear" {
            // As fast as it can be done: the verb would wait for what only the kernel remembers.
            case.open().clear(&key()).unwrap();
            // And tells the daemon as a verb does.
            Reader::run("stat", &[&case.mount().join(".srcfs/sync-0123456789abcdef")]).end();
        } else if !verb.is_empty() {
            let changed = case.command(Upstream::New, &[verb, KEY]).output().unwrap();
            assert!(changed.status.success(), "{verb}: {changed:?}");
        }
        for round in ["first", "second"] {
            let mut text = cat(&file);
            let cut = |error: &String| error.contains("not connected") || error.contains("connection abort");
            if text.as_ref().is_err_and(cut) {
                // It is dying.
                reader::ends(&mut daemon.child);
            }
            // At the second too: what it does not show any more it gives back after a while.
            if daemon.is_over() {
                assert!(dies && !again, "{faults}: it ended: {}", case.said());
                again = true;
                daemon.replaced = true;
                daemon = Daemon::start(case, "").expect("the next one mounts");
                if text.is_err() && round == "second" {
                    text = cat(&file);
                }
            }
            match text {
                Ok(text) => assert!(expected.contains(&text.as_str()), "{faults}, {round}, {verb:?}: {text}"),
                Err(error) => {
                    let may = error.contains("Input/output error") || dies;
                    assert!(round == "first" && may, "{faults}, {round}, {verb:?}: {error}: {}", case.said());
                }
            }
        }
    }
    let beside = case.look(Thoroughness { deep: true, settled: false });
    assert!(beside.violations.is_empty(), "{faults}: {beside:?}");
    daemon.end();
    let said = case.said();
    assert!(!said.contains("panicked"), "{faults}: {said}");
    let mut wrong = Vec::new();
    see_settled(case, "after its end", &mut wrong);
    assert!(wrong.is_empty(), "{faults}: {wrong:?}");
}

#[test]
fn a_daemon_in_which_a_step_fails_is_right_the_next_time_and_so_is_the_one_after_it() {
    let stage = Stage::new();
    let (mut cases, mut seen) = (Vec::new(), BTreeSet::new());
    for start in [Start::Old, Start::Damaged] {
        let case = stage.case(start);
        play(&case, "", false);
        let points: BTreeSet<String> = case.trace().into_iter().map(|(point, _)| point).collect();
        assert!(points.len() > 15, "{points:?}");
        // What the second one does after the damage is what the first one does.
        let new: Vec<String> = points.difference(&seen).cloned().collect();
        for mode in ["error", "kill"] {
            cases.extend(new.iter().map(|point| (start, format!("{point}:{mode}"), mode == "kill")));
        }
        seen.extend(points);
    }
    let hit: usize = each(cases.len(), |at| {
        let (start, faults, dies) = &cases[at];
        let case = stage.case(*start);
        play(&case, faults, *dies);
        usize::from(case.trace().iter().any(|(_, mode)| !mode.is_empty()))
    })
    .iter()
    .sum();
    println!("{} daemons, {hit} of them hit", cases.len());
    assert!(hit * 10 > cases.len() * 9, "{hit} of {}", cases.len());
}
