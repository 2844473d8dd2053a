//! P16: no hook, filter, submodule, install or build script of a source is run.

use std::path::{Path, PathBuf};

use super::harness::repository::{File, Repository, hermetic};
use super::mounted2::{Site, executable, run};

/// A program that leaves a mark when it is run.
pub fn marking(path: &Path, mark: &Path) {
    executable(path, &format!("#!/bin/sh\necho \"$0 $*\" >> '{}'\ncat\n", mark.display()));
}

const HOOKS: &[&str] = &[
    "post-checkout",
    "post-merge",
    "reference-transaction",
    "post-update",
    "pre-auto-gc",
    "post-index-change",
    "proc-receive",
    "pre-receive",
    "update",
    "post-receive",
    "fsmonitor-watchman",
];

struct Trap {
    mark: PathBuf,
    /// A configuration of the user under which everything that git can run leaves the mark.
    config: PathBuf,
}

/// Hooks, filters and helpers that git would run for whoever checks out a hostile source.
fn trap(site: &Site) -> Trap {
    let directory = site.program.path().join("trap");
    let mark = directory.join("mark");
    for hook in HOOKS {
        marking(&directory.join("hooks").join(hook), &mark);
        marking(&directory.join("template/hooks").join(hook), &mark);
    }
    let program = directory.join("program");
    marking(&program, &mark);
    let program = program.display();
    let config = directory.join("gitconfig");
    let text = format!(
        "[core]\n\thooksPath = {hooks}\n\tfsmonitor = {program}\n\
         \tpager = {program}\n\teditor = {program}\n\taskPass = {program}\n\
         [init]\n\ttemplateDir = {template}\n\
         [filter \"evil\"]\n\tsmudge = {program}\n\tclean = {program}\n\trequired = true\n\
         [filter \"lfs\"]\n\tsmudge = {program}\n\tclean = {program}\n\trequired = true\n\
         [diff \"evil\"]\n\ttextconv = {program}\n\
         [protocol \"ext\"]\n\tallow = always\n\
         [submodule]\n\trecurse = true\n\
         [fetch]\n\trecurseSubmodules = true\n\
         [gc]\n\tauto = 1\n\trecentObjectsHook = {program}\n\
         [maintenance]\n\tauto = true\n",
        hooks = directory.join("hooks").display(),
        template = directory.join("template").display(),
    );
    std::fs::write(&config, text).unwrap();
    Trap { mark, config }
}

/// A source that wants to be run.
fn hostile_files(mark: &Path, version: &str) -> Vec<File> {
    let touch = format!("#!/bin/sh\ntouch '{}'\n", mark.display());
    vec![
        File::new("README", format!("{version}\n")),
        File::new(".gitattributes", "* filter=evil diff=evil\n*.bin filter=lfs\n"),
        File::new(".lfsconfig", "[lfs]\n\turl = http://127.0.0.1:1/\n"),
        File::new("a.bin", "version https://git-lfs.github.com/spec/v1\n"),
        File::new(
            ".gitmodules",
            format!(
                "[submodule \"x\"]\n\tpath = x\n\turl = ext::touch% {}\n\tupdate = !touch {}\n",
                mark.display(),
                mark.display()
            ),
        ),
        File::submodule("x", "1234567890123456789012345678901234567890"),
        File::executable("setup.py", touch.clone()),
        File::executable("configure", touch.clone()),
        File::executable("build.rs", touch.clone()),
        File::executable(".githooks/post-checkout", touch.clone()),
        File::executable("hooks/post-checkout", touch),
        File::new("package.json", "{\"scripts\": {\"preinstall\": \"touch mark\"}}\n"),
    ]
}

#[test]
fn nothing_of_a_source_and_no_hook_or_filter_of_its_reader_is_run() {
    let mut site = Site::new("quiet = \"100ms\"");
    let Trap { mark, config } = trap(&site);
    site.set("GIT_CONFIG_GLOBAL", config.to_str().unwrap());
    let mut repository: Repository = site.repository("team/docs");
    repository.commit(&hostile_files(&mark, "one"));

    // The trap is one: a checkout by the same user falls into it.
    let clone = site.program.path().join("clone");
    let cloned = run(hermetic("git")
        .env("GIT_CONFIG_GLOBAL", &config)
        .args(["clone", "--quiet", &repository.url()])
        .arg(&clone));
    assert!(mark.exists(), "the trap does not work: {cloned:?}");
    std::fs::remove_file(&mark).unwrap();

    site.mount();
    assert_eq!(site.cat(&site.forge("team/docs/README")), "one\n");
    let all = site
        .sh("cd git/forge.test/team/docs && find . -type f -exec cat {} + >/dev/null && ls -lR >/dev/null");
    assert_eq!(all.code, 0, "{all:?}");
    repository.commit(&hostile_files(&mark, "two"));
    site.json(&["update"]);
    assert_eq!(site.cat(&site.forge("team/docs/README")), "two\n");
    site.json(&["get", "git/forge.test/team/docs@main"]);
    site.json(&["path", "--pin", "git/forge.test/team/docs"]);
    site.json(&["list"]);
    site.json(&["clear", "--all"]);
    assert_eq!(site.cat(&site.forge("team/docs/README")), "two\n");
    site.unmount();
    assert!(!mark.exists(), "{}", std::fs::read_to_string(&mark).unwrap());
}

#[test]
fn a_repository_on_the_disk_cannot_have_its_own_configuration_run() {
    let mut site = Site::new("");
    let Trap { mark, .. } = trap(&site);
    let mut repository = site.repository("team/docs");
    repository.commit(&[File::new("a", "one\n")]);
    let program = site.program.path().join("trap/program");
    let hooks = site.program.path().join("trap/hooks");
    for (name, value) in [
        ("uploadpack.packObjectsHook", program.to_str().unwrap()),
        ("core.fsmonitor", program.to_str().unwrap()),
        ("core.alternateRefsCommand", program.to_str().unwrap()),
        ("core.hooksPath", hooks.to_str().unwrap()),
        ("core.sshCommand", program.to_str().unwrap()),
        ("core.gitProxy", program.to_str().unwrap()),
    ] {
        repository.configure(name, value);
    }
    for hook in HOOKS {
        marking(&repository.path().join("hooks").join(hook), &mark);
    }
    site.configure(&format!("[[resource]]\nname = \"docs\"\ngit = \"{}\"", repository.url()));
    site.mount();
    assert_eq!(site.cat(&site.path("docs/a")), "one\n");
    site.json(&["update"]);
    site.unmount();
    assert!(!mark.exists(), "{}", std::fs::read_to_string(&mark).unwrap());
}
