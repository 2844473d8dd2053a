//! Where an archive is asked for, and with what, is what the ecosystem's own client asks of the same registry.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

use super::mounted2::run;
use super::place::Place;
use super::registry::USER;

const TOKEN: &str = "hunter2-very-secret-token";

/// Paths, and what was sent there to be let in.
type Asked = BTreeSet<(String, Option<String>)>;

/// All that the registry was asked since it was last looked at.
fn asked(place: &Place) -> Asked {
    let requests = place.registry.requests();
    place.registry.reset();
    requests.into_iter().map(|one| (one.path.clone(), one.authorization().map(str::to_owned))).collect()
}

/// What a client asks, whether it gets it or not; none if there is no such client.
fn of_client(place: &Place, program: &str, arguments: &[&str], set: &[(&str, &str)]) -> Option<Asked> {
    let work = tempfile::tempdir().unwrap();
    let mut command = Command::new(program);
    place.client.apply(command.args(arguments).current_dir(work.path()).stdin(Stdio::null()));
    let ended = command.envs(set.iter().copied()).output();
    let asked = asked(place);
    if ended.is_err() || asked.is_empty() {
        let _ = writeln!(std::io::stderr(), "skipped: {program} {arguments:?} asked nothing: {ended:?}");
        return None;
    }
    Some(asked)
}

/// What srcfs asks.
fn of_srcfs(place: &Place, key: &str, set: &[(&str, &str)]) -> Asked {
    let mut command = place.command(&["get", key]);
    run(command.envs(set.iter().copied()));
    asked(place)
}

#[test]
fn an_archive_of_another_host_is_asked_for_where_npm_asks_for_it() {
    let mut place = Place::new();
    place.client = place.registry.configure_with_token(place.site.program.path(), TOKEN);
    let other = place.registry.url("").replace("127.0.0.1", "localhost");
    let port = place.registry.address().port();
    let cases = [
        ("always", "/npm/f/x.tgz"),
        ("always", "/f/x.tgz"),
        ("localhost", "/old/x.tgz"),
        (&*format!("localhost:{port}"), "/old/x.tgz"),
        (&*format!("http://localhost:{port}/old/"), "/old/x.tgz"),
        ("http://localhost/old", "/older/x.tgz"),
        ("never", "/npm/f/x.tgz"),
    ];
    for (number, (setting, path)) in cases.into_iter().enumerate() {
        let name = format!("lib{number}");
        place.registry.npm(&name).version("1.0.0", &[("a", "1")]).metadata(|manifest| {
            manifest["dist"]["tarball"] = format!("{other}{path}").into();
        });
        let set = [("npm_config_replace_registry_host", setting)];
        let Some(theirs) = of_client(&place, "npm", &["install", "--no-save", &name], &set) else { return };
        assert_eq!(of_srcfs(&place, &format!("npm/{name}"), &set), theirs, "{setting}: {path}");
    }
}

/// The first two numbers of pip's version; none if there is no pip.
fn version_of_pip() -> Option<(u32, u32)> {
    let said = Command::new("python3").args(["-m", "pip", "--version"]).output().ok()?;
    let said = String::from_utf8(said.stdout).ok()?;
    let mut numbers = said.split(' ').nth(1)?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[test]
fn pip_sends_the_same_to_a_server_with_several_indexes() {
    // Before, it took for an archive the last user of the server, wherever its index was.
    if version_of_pip().is_none_or(|version| version < (23, 2)) {
        let _ = writeln!(std::io::stderr(), "skipped: there is no pip of 23.2 or later");
        return;
    }
    let place = Place::new();
    let with = |user: &str, path: &str| place.registry.url(path).replacen("//", &format!("//{user}"), 1);
    let (user, own) = (format!("{USER}:{TOKEN}@"), "/pypi/simple/");
    let cases = [
        (with("", own), with(&user, "/other/simple/"), "{registry}/f/"),
        (with(&user, "/other/simple/"), with("", own), "{registry}/f/"),
        (with(&user, "/other/simple/"), with("someone@", own), "{registry}/f/"),
        (with(&user, own), with("me:x@", "/other/simple/"), "{registry}/f/"),
        (with("", own), String::new(), &*with("me:x@", "/f/")),
        (with(&user, own), String::new(), &*with("me@", "/f/")),
    ];
    for (number, (first, extra, files)) in cases.into_iter().enumerate() {
        let name = format!("lib{number}");
        place.registry.pypi(&name).wheel("1.0", "py3-none-any", &[("a", "1")]).metadata(|file| {
            file["url"] = format!("{files}{}", file["filename"].as_str().unwrap()).into();
        });
        let set = [("PIP_INDEX_URL", &*first), ("PIP_EXTRA_INDEX_URL", &*extra), ("PIP_NO_INPUT", "1")];
        let pip = ["-m", "pip", "download", "--no-deps", &name];
        let Some(theirs) = of_client(&place, "python3", &pip, &set) else { return };
        assert_eq!(of_srcfs(&place, &format!("pypi/{name}"), &set), theirs, "{first} {extra} {files}");
    }
}
