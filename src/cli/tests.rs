use clap::CommandFactory;
use srcfs_mount::mounting::{Access, MountOptions};

use super::*;

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_verb_says_what_it_does_with_an_example() {
    let command = Cli::command();
    let verbs = [
        "mount",
        "unmount",
        "get",
        "list",
        "path",
        "cite",
        "agent-guide",
        "add",
        "import",
        "remove",
        "update",
        "clear",
        "gc",
        "keep",
        "release",
        "status",
        "explain",
        "doctor",
    ];
    for verb in verbs {
        let verb = command.find_subcommand(verb).unwrap();
        let name = verb.get_name();
        assert!(verb.get_about().is_some_and(|about| !about.to_string().is_empty()), "{name}");
        let after = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(after.contains("Example") && after.contains(&format!("srcfs {name}")), "{name}: {after}");
    }
    let shown = command.get_subcommands().filter(|verb| !verb.is_hide_set()).count();
    assert_eq!(shown, verbs.len());
}

#[test]
fn no_line_of_a_help_is_broken_by_its_width() {
    let command = Cli::command();
    let helps = command.get_subcommands().chain([&command]).filter_map(|verb| verb.get_after_help());
    for line in helps.flat_map(|help| help.to_string().lines().map(str::to_owned).collect::<Vec<_>>()) {
        assert!(line.chars().count() <= 100, "{line}");
    }
}

#[test]
fn the_daemon_can_be_started_by_its_own_arguments() {
    let wanted = mount::MountArguments {
        mount_point: "/m p/-x".into(),
        cache_directory: "/c d".into(),
        config_file: "/f".into(),
        options: MountOptions { access: Access::Everyone, noexec: true },
        foreground: true,
        announce: true,
        verbose: 2,
        quiet: false,
    };
    let mut arguments = vec![OsString::from("srcfs")];
    arguments.extend(wanted.foreground_arguments());
    let cli = Cli::try_parse_from(&arguments).unwrap();
    let Verb::Mount(verb) = cli.verb else { panic!("it is the verb mount") };
    let invocation = Invocation::new(cli.global, Environment::from(|_| None));
    assert_eq!(mount::arguments(&verb, &invocation).unwrap(), wanted);
}
