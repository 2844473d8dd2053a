//! P5 no stolen lock: a holder that is stopped keeps its lock; who waits for it ends at a bound and is
//! told who holds it.

use nix::sys::signal::Signal;

use crate::harness::git_server::{Fault, Stage};
use crate::mounted::Mounted;
use crate::reader::{Reader, cat, wait_until};
use crate::setting::{DOCS, KEY, ONE, Setting, few, one};

#[test]
fn a_stopped_fetch_is_waited_for_up_to_the_bound_and_completes_when_it_goes_on() {
    let setting = Setting::with("reply_bound = \"1s\"\n", &few("one"));
    let mount = Mounted::new(&setting.program);
    setting.server.fail(DOCS, Stage::Fetch, Fault::StallBeforeHeaders);
    let get = Reader::start(&mut setting.program.command(&["get", KEY]));
    setting.server.wait_for(DOCS, |counts| counts.stalled == 1);
    get.signal(Signal::SIGSTOP);
    let stat = format!("/proc/{}/stat", get.pid());
    wait_until("it is stopped", || std::fs::read_to_string(&stat).unwrap().contains(") T "));
    setting.server.mend(DOCS);
    setting.server.release();

    let ended = Reader::run("cat", &[&mount.path(KEY).join(ONE)]).end();
    assert!(ended.err.contains("timed out") && ended.out.is_empty(), "{ended:?}");
    let locks = setting.program.json(&["status"])["locks"].clone();
    let holder = locks[0]["holder"].as_str().unwrap();
    assert!(holder.contains(&format!("by process {} ", get.pid())), "{locks}");
    // Whoever clears does not wait for it.
    setting.program.json(&["clear", KEY]);

    get.signal(Signal::SIGCONT);
    get.end().lines();
    assert_eq!(cat(&mount.path(KEY).join(ONE)), one("one"));
    assert_eq!(setting.server.counts(DOCS).fetches, 1, "nobody took it over");
}
