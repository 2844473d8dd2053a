//! Row "clear in a loop during whole-tree greps of three processes, one of them into a slow pager, one
//! stopped and continued": every walk whole, one snapshot each, no error; what the commit lock cost.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::commit_times::{LOG, summary};
use crate::harness::repository::{hermetic, many_files};
use crate::mounted::Mounted;
use crate::reader::Reader;
use crate::setting::{KEY, Setting};

const MANY: usize = 1_500;
/// A grep of so much does not fit into a pipe, so a pager that is slow stops it.
const LINE: &str = ".........................................................................................";

#[test]
fn three_walks_are_whole_while_the_name_is_cleared_in_a_loop() {
    let mut setting = Setting::with("", &many_files(MANY, "v1"));
    let Setting { program, docs, .. } = &mut setting;
    let program = &*program;
    let mount = Mounted::with(program, "mount", |command| command.env(LOG.0, LOG.1));
    let view = mount.path(KEY);
    assert_eq!(Reader::play("walk", &view).end().lines(), [format!("v1 {MANY}")]);
    let over = AtomicBool::new(false);
    let logs = Mutex::new(String::new());
    let (clears, versions) = std::thread::scope(|scope| {
        let clearing = scope.spawn(|| {
            let mut clears = 0;
            while !over.load(Ordering::SeqCst) || clears < 4 {
                docs.commit(&many_files(MANY, &format!("v{}", clears + 2)));
                let mut clear = program.command(&["clear", KEY]);
                let cleared = clear.env(LOG.0, LOG.1).output().unwrap();
                assert!(cleared.status.success(), "{cleared:?}");
                logs.lock().unwrap().push_str(&String::from_utf8_lossy(&cleared.stderr));
                clears += 1;
                // Somebody wants what is new, so that there is something to clear again.
                assert!(Reader::run("ls", &[&view]).end().status.success());
            }
            clears
        });
        let plain = scope.spawn(|| {
            let mut versions = Vec::new();
            for _ in 0..3 {
                let lines = Reader::play("walk", &view).end().lines();
                let (version, count) = lines[0].split_once(' ').unwrap();
                assert_eq!(count, MANY.to_string());
                versions.push(version.to_owned());
            }
            versions
        });
        let paged = scope.spawn(|| {
            let script = format!("exec grep -r '' \"$1\" | sed 's/$/ {LINE}/'");
            let mut grep = hermetic("sh");
            grep.args(["-c", &script, "sh"]).arg(&view).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut grep = grep.spawn().unwrap();
            let mut lines = Vec::new();
            for (n, line) in BufReader::new(grep.stdout.take().unwrap()).lines().enumerate() {
                lines.push(line.unwrap());
                if n % 100 == 0 {
                    // That is what makes it slow; nothing waits for it.
                    std::thread::sleep(Duration::from_millis(60));
                }
            }
            let ended = grep.wait_with_output().unwrap();
            assert!(ended.status.success() && ended.stderr.is_empty(), "{ended:?}");
            assert_eq!(lines.len(), MANY);
            let version = |line: &String| line.split(" of ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
            let first = version(&lines[0]);
            assert!(lines.iter().all(|line| version(line) == first), "it is torn");
            first
        });
        let stopped = scope.spawn(|| {
            let mut walk = Reader::play("walk in steps", &view);
            assert_eq!(walk.line(), "half");
            for _ in 0..8 {
                walk.signal(Signal::SIGSTOP);
                std::thread::sleep(Duration::from_millis(40));
                walk.signal(Signal::SIGCONT);
                std::thread::sleep(Duration::from_millis(10));
            }
            walk.tell("go on");
            walk.end().lines().remove(0)
        });
        let plain = plain.join();
        let paged = paged.join();
        let stopped = stopped.join();
        over.store(true, Ordering::SeqCst);
        let clears = clearing.join().unwrap();
        let stopped = stopped.unwrap();
        assert!(stopped.ends_with(&format!(" {MANY}")), "{stopped}");
        (clears, [plain.unwrap(), vec![paged.unwrap()], vec![stopped]].concat())
    });
    let logs = logs.into_inner().unwrap() + &mount.log();
    println!("{clears} clears beside walks of {versions:?}; {}", summary(&logs));
    assert!(logs.contains("the commit lock of"));
}
