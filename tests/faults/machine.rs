//! Rows about the machine below: a wall clock that jumps, and file locks that cannot be had. Both are
//! shown by a library that is loaded before libc into the program (`LD_PRELOAD`) and lies to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::repository::{hermetic, many_files};
use crate::mounted::Mounted;
use crate::reader::{Reader, cat};
use crate::setting::{DOCS, KEY, ONE, Setting, few, one};

/// `LIE_CLOCK` names a file with the seconds by which the wall clock is wrong; while the file that
/// `LIE_LOCKS` names exists, there are no locks.
const LIES: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long wrong(void) {
    const char *name = getenv("LIE_CLOCK");
    long seconds = 0;
    FILE *file = name ? fopen(name, "r") : NULL;
    if (file) {
        if (fscanf(file, "%ld", &seconds) != 1) seconds = 0;
        fclose(file);
    }
    return seconds;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += wrong();
    return result;
}

int gettimeofday(struct timeval *now, void *zone) {
    static int (*real)(struct timeval *, void *);
    if (!real) real = dlsym(RTLD_NEXT, "gettimeofday");
    int result = real(now, zone);
    if (result == 0) now->tv_sec += wrong();
    return result;
}

time_t time(time_t *now) {
    struct timespec real;
    clock_gettime(CLOCK_REALTIME, &real);
    if (now) *now = real.tv_sec;
    return real.tv_sec;
}

int flock(int descriptor, int operation) {
    static int (*real)(int, int);
    if (!real) real = dlsym(RTLD_NEXT, "flock");
    const char *name = getenv("LIE_LOCKS");
    /* Unlocking is no attempt to lock. */
    if (name && !(operation & 8) && access(name, F_OK) == 0) {
        errno = ENOLCK;
        return -1;
    }
    return real(descriptor, operation);
}
"#;

/// The library, or `None` where nothing can be compiled.
fn lies(place: &Path) -> Option<PathBuf> {
    let (source, library) = (place.join("lies.c"), place.join("lies.so"));
    fs::write(&source, LIES).unwrap();
    let made = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &source])
        .arg("-ldl")
        .output();
    match made {
        Ok(made) if made.status.success() => Some(library),
        Ok(made) => panic!("{}", String::from_utf8_lossy(&made.stderr)),
        Err(error) => {
            eprintln!("skipped: there is no C compiler: {error}");
            None
        }
    }
}

#[test]
fn a_wall_clock_that_jumps_hides_no_change_and_tears_no_walk() {
    let mut setting = Setting::with("", &many_files(300, "v0"));
    let Some(library) = lies(setting.program.path()) else { return };
    let (daemons, verbs) = (setting.program.path().join("daemons"), setting.program.path().join("verbs"));
    let set = |file: &Path, seconds: i64| fs::write(file, format!("{seconds}\n")).unwrap();
    set(&daemons, 0);
    // That the library lies: what the daemon says about its start is an hour late.
    let mut lied = hermetic("date");
    set(&verbs, 3600);
    let lied = lied.arg("+%s").env("LD_PRELOAD", &library).env("LIE_CLOCK", &verbs).output().unwrap();
    let lied: u64 = String::from_utf8(lied.stdout).unwrap().trim().parse().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!(lied > now + 3000, "{lied} is not an hour after {now}");

    let Setting { program, docs, .. } = &mut setting;
    let program = &*program;
    let mount = Mounted::with(program, "mount", |command| {
        command.env("LD_PRELOAD", &library).env("LIE_CLOCK", &daemons)
    });
    let view = mount.path(KEY);
    let hour = 3600;
    // By how much the daemon's clock and that of the verb are wrong, from the change to the read.
    let jumps = [(hour, hour), (-hour, -hour), (hour, 0), (-hour, 0), (0, hour), (0, -hour), (0, 0)];
    for (round, (of_daemon, of_verb)) in jumps.into_iter().enumerate() {
        let (before, after) = (format!("v{round}"), format!("v{}", round + 1));
        let mut walk = Reader::play("walk in steps", &view);
        assert_eq!(walk.line(), "half");
        docs.commit(&many_files(300, &after));
        set(&daemons, of_daemon);
        set(&verbs, of_verb);
        let verb = if round % 3 == 1 { "clear" } else { "update" };
        let mut change = program.command(&[verb, KEY]);
        let changed = change.env("LD_PRELOAD", &library).env("LIE_CLOCK", &verbs).output().unwrap();
        assert!(changed.status.success(), "{changed:?}");
        assert_eq!(cat(&view.join(ONE)), one(&after), "the change is seen: {of_daemon} {of_verb}");
        walk.tell("go on");
        assert_eq!(walk.end().lines(), [format!("{before} 300")], "{of_daemon} {of_verb}");
        assert_eq!(Reader::play("walk", &view).end().lines(), [format!("{after} 300")]);
    }
}

#[test]
fn without_locks_nothing_is_done_unlocked_and_the_path_is_named() {
    let mut setting = Setting::new();
    let Some(library) = lies(setting.program.path()) else { return };
    let none = setting.program.path().join("no-locks");
    let run = |setting: &Setting, arguments: &[&str]| {
        let mut command = setting.program.command(arguments);
        let output = command.env("LD_PRELOAD", &library).env("LIE_LOCKS", &none).output().unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout),
        )
    };
    let locks = setting.program.cache().join("v1");
    let refused = |(code, said): (Option<i32>, String)| {
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("No locks available") && said.contains(locks.to_str().unwrap()), "{said}");
    };
    fs::write(&none, "").unwrap();
    refused(run(&setting, &["get", KEY]));
    assert_eq!(setting.server.counts(DOCS).fetches, 0, "nothing was fetched unlocked");
    assert_eq!((setting.generations().len(), setting.leftovers().len()), (0, 0));

    fs::remove_file(&none).unwrap();
    assert_eq!(run(&setting, &["get", KEY]).0, Some(0));
    setting.docs.commit(&few("two"));
    fs::write(&none, "").unwrap();
    for verb in ["update", "clear"] {
        refused(run(&setting, &[verb, KEY]));
    }
    assert_eq!(setting.server.counts(DOCS).fetches, 1);
    assert_eq!(setting.generations().len(), 1, "what is cached stays");

    // A daemon: the request fails, and the next one succeeds when there are locks again.
    let program = &setting.program;
    let mount = Mounted::with(program, "mount", |command| {
        command.env("LD_PRELOAD", &library).env("LIE_LOCKS", &none)
    });
    let file = mount.path(KEY).join(ONE);
    let ended = Reader::run("cat", &[&file]).end();
    assert!(!ended.status.success() && ended.out.is_empty(), "{ended:?}");
    assert!(!ended.err.contains("No such file"), "{ended:?}");
    fs::remove_file(&none).unwrap();
    assert_eq!(cat(&file), one("one"));
    let checked = program.run(&["__check", "--deep"]);
    assert_eq!(checked.code, 0, "{checked:?}");
}
