//! What the mount tells people and agents about itself works as it stands: every command of it is run.

use std::process::Command;

use super::citations::site;
use super::harness::repository::File;
use super::mounted2::{Site, run, wait_until};
use super::program::Run;
use crate::registry::{Fault, Registry};

/// The repository of the examples.
const EXAMPLE: &str = "rust-lang/log";

fn serve_the_example(site: &Site) -> String {
    let mut log = site.repository(EXAMPLE);
    let lib = "// A crate.\n\npub trait Log: Sync + Send {\n}\n";
    let commit = log.commit(&[File::new("src/lib.rs", lib), File::new("README.md", "log\n")]);
    log.tag("0.4.22", &commit);
    commit
}

/// Has the clients of npm's registry, which srcfs follows, ask one that has the package of the examples.
fn serve_the_package(site: &mut Site) -> Registry {
    let registry = Registry::start();
    registry.recorded("npm", "ms");
    let client = registry.configure(site.program.path());
    for (name, value) in client.environment() {
        site.set(name, value.to_str().unwrap());
    }
    registry
}

/// What stands in the text as a command, in its order.
fn commands(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_prefix("    ")).collect()
}

/// Runs a line as its reader would, with this program in the search path.
fn shell(site: &Site, line: &str) -> Run {
    let program = site.command(&[]);
    let place = std::path::Path::new(program.get_program()).parent().unwrap().to_owned();
    #[expect(clippy::disallowed_methods, reason = "the reader's own search path")]
    let mut path = std::env::var_os("PATH").unwrap();
    path.push(":");
    path.push(place);
    let environment = program.get_envs().filter_map(|(name, value)| Some((name, value?)));
    run(Command::new("sh").args(["-c", line]).envs(environment).env("PATH", path).current_dir("/"))
}

#[test]
fn every_command_of_every_guide_works_in_the_running_mount() {
    let mut site = site("");
    let commit = serve_the_example(&site);
    let _registry = serve_the_package(&mut site);
    site.mount();
    let readme = site.cat(&site.path("README.md"));
    let section = site.run(&["agent-guide"]);
    let skill = site.run(&["agent-guide", "--skill"]);
    assert_eq!((section.code, section.err.as_str()), (0, ""), "{section:?}");
    for text in [&readme, &section.out, &skill.out] {
        assert!(text.lines().count() < 60, "{text}");
        let commands = commands(text);
        assert_eq!(commands.len(), 7, "{commands:?}");
        for command in commands {
            let done = shell(&site, command);
            assert!(done.code == 0 && !done.out.is_empty(), "{command}: {done:?}");
            let told = match command.split(' ').next().unwrap() {
                "git" => "refs/tags/0.4.22".to_owned(),
                "rg" if command.contains("/npm/") => "module.exports".to_owned(),
                "rg" => "3:pub trait Log".to_owned(),
                "srcfs" if command.contains("package.json") => {
                    "\"repository\":\"https://github.com/vercel/ms\"".to_owned()
                }
                "srcfs" if command.contains(" path ") => format!("log@{commit}"),
                "srcfs" if command.contains(" cite ") => {
                    format!("https://github.com/rust-lang/log/blob/{commit}/src/lib.rs#L1-L3\n")
                }
                "srcfs" => "nothing failed".to_owned(),
                other => panic!("{other} is not known"),
            };
            assert!(done.out.contains(&told), "{command}: {done:?}");
        }
        for file in text.split('`').filter(|quoted| quoted.starts_with(site.mount_point().to_str().unwrap()))
        {
            assert!(std::fs::symlink_metadata(file).is_ok(), "{file} is named and not there");
        }
    }
    assert!(skill.out.starts_with("---\nname: srcfs\ndescription: "), "{skill:?}");
}

#[test]
fn a_guide_names_what_is_configured_now() {
    let mut site = site("");
    serve_the_example(&site);
    site.mount();
    let readme = || site.cat(&site.path("README.md"));
    assert!(!readme().contains("logging"));
    let url = format!("https://github.com/{EXAMPLE}.git");
    site.json(&["add", "logging", &url, "--subpath", "src", "--note", "begin at src/lib.rs"]);
    let line = format!("  - `logging`: {url}, of it src; begin at src/lib.rs\n");
    wait_until("the mount names it", || readme().contains(&line));
    let section = site.json(&["agent-guide"]);
    assert!(section["text"].as_str().unwrap().contains(&line) && section["mounted"] == true, "{section}");
    assert_eq!(section["mount_point"], site.mount_point().to_str().unwrap());
    assert!(readme().contains("forge.test, github.com"), "{}", readme());

    site.unmount();
    let unmounted = site.run(&["agent-guide"]);
    assert!(unmounted.code == 0 && unmounted.err.contains("nothing is mounted"), "{unmounted:?}");
    assert!(unmounted.out.contains(site.mount_point().to_str().unwrap()), "{unmounted:?}");
}

/// What the guide says of an error, as programs print it.
fn explained<'t>(guide: &'t str, complaint: &str) -> &'t str {
    let error = complaint.trim_end().rsplit(": ").next().unwrap();
    let (_, about) =
        guide.split_once(&format!("\n- {error}: ")).unwrap_or_else(|| panic!("{complaint}: {guide}"));
    about.split("\n-").next().unwrap()
}

#[test]
fn a_guide_says_what_an_error_means_that_a_program_prints_there() {
    let mut site = site("max_materializations_per_process = 2\nwalker_window = \"1h\"");
    let registry = serve_the_package(&mut site);
    registry.misbehave(&registry.archives_path("npm", "ms"), Fault::Flip);
    for number in 0..3 {
        site.repository_of(&format!("team/r{number}"), &[File::new("a", "content\n")]);
    }
    site.mount();
    let readme = || site.cat(&site.path("README.md"));
    let complaint = |script: &str| site.sh(&format!("export LC_ALL=C; {script}")).err;
    let walked = complaint("for n in 0 1 2; do read line < git/github.com/team/r$n/a; done");
    let about = explained(&readme(), &walked).to_owned();
    assert!(about.contains("after 2 uncached trees") && about.contains("within 1h"), "{about}");
    let forged = complaint("cat npm/ms/package.json");
    assert!(explained(&readme(), &forged).contains("its published hash"), "{forged}");
    assert!(readme().contains("the first look into a tree fetches it"), "{}", readme());

    // Whether the network is used is decided when it is mounted, and how much one may cause at any time.
    let offline = "offline = true\nmax_materializations_per_process = 3";
    site.configure(offline);
    wait_until("the mount reads it", || readme().contains("after 3 uncached trees"));
    assert!(readme().contains("the first look into a tree fetches it"), "{}", readme());
    site.remount();
    let readme = site.cat(&site.path("README.md"));
    assert!(!readme.contains("the first look into a tree fetches it"), "{readme}");
    let absent = site.sh("export LC_ALL=C; cat git/github.com/team/r2/a").err;
    assert!(explained(&readme, &absent).contains("srcfs is offline"), "{absent}");
}

#[test]
fn a_guide_names_ten_projects_and_says_how_many_more_there_are() {
    let project = |number| format!("[[project]]\nname = \"p{number}\"\npath = \"/nowhere/{number}\"\n");
    let site = site(&(0..12).map(project).collect::<String>());
    let guide = site.run(&["agent-guide"]).out;
    assert!(guide.contains("p8, p9, and 2 more\n") && !guide.contains("p10"), "{guide}");
}
