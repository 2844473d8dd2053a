//! The same files, given to the clients themselves: what they make of them is what is expected here.
//!
//! Nothing reaches the network: what a client would ask is a closed port of this machine.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Home, defaults, header, url};
use crate::config::variables::Variables;
use crate::source::git;
use crate::source::registry::defaults::find;
use crate::source::registry::{Cargo, Npm, Pypi, registry_url};

/// A file, what is written there, and variables that are set with it.
type Step<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

/// The client of that name; none, with a word why, if this machine has none.
fn client(name: &str) -> Option<PathBuf> {
    let found = find(name, &Variables::read());
    if found.is_none() {
        eprintln!("skipped: there is no {name} on the PATH to compare with");
    }
    found
}

/// What `program` prints, with these variables and `PATH`.
fn ask(program: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let path = std::env::join_paths(Variables::read().search_path()).unwrap();
    // By way of `env`, because a shell drops the names that it could not write (`npm_config_@scope:registry`).
    let variables = variables.iter().map(|(name, value)| OsString::from(format!("{name}={value}")));
    let mut all: Vec<OsString> = vec!["-i".into(), ["PATH=".into(), path].into_iter().collect()];
    all.extend(variables);
    all.push(program.into());
    all.extend(arguments.iter().map(OsString::from));
    let all: Vec<&OsStr> = all.iter().map(OsString::as_os_str).collect();
    let bound = Duration::from_secs(120);
    let said = git::run_other("ask a client", Path::new("/usr/bin/env"), &all, Vec::new(), bound).unwrap();
    String::from_utf8(said.expect("the client fails")).unwrap()
}

/// Whether `python` has pip, with a word if it has not.
fn has_pip(python: &Path) -> bool {
    let found = ask(python, &["-I", "-c", "import importlib.util as u; print(u.find_spec('pip'))"], &[]);
    if found.trim() == "None" {
        eprintln!("skipped: {} has no pip to compare with", python.display());
    }
    found.trim() != "None"
}

#[test]
fn npm_finds_the_same_registries() {
    let Some(client) = client("npm") else { return };
    let home = Home::new();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let global =
        text(&home.write("global", "registry=http://machine.example/\n@s:registry=http://s.example/"));
    let project = home.path().join("work");
    home.write("work/package.json", "{}");
    let always = [
        ("HOME", text(home.path())),
        ("npm_config_globalconfig", global),
        ("HOST", "expanded.example".to_owned()),
    ];
    let steps: [Step<'_>; 5] = [
        ("unread", "", &[]),
        (".npmrc", "registry = http://user.example/a ; c\n@s:registry=\"http://${HOST}/\"", &[]),
        ("work/.npmrc", "registry=http://${HOST}/b\n@s:registry=http://h\\#h.example/", &[]),
        ("work/.npmrc", "registry=http://project.example # c\n[section]\nregistry=http://no.example", &[]),
        (
            "unread",
            "",
            &[("NPM_CONFIG_REGISTRY", "http://v.example"), ("npm_config_@s:registry", "http://w.example/")],
        ),
    ];
    for (file, contents, more) in steps {
        home.write(file, contents);
        let mut variables: Vec<(&str, &str)> = always.iter().map(|(n, v)| (*n, v.as_str())).collect();
        variables.extend(more);
        let ours = Npm::read(&Variables::from_pairs(variables.iter().copied()), Some(&project), &defaults());
        for (name, key) in [("a", "registry"), ("@s/a", "@s:registry")] {
            let theirs = ask(&client, &["--prefix", &text(&project), "config", "get", key], &variables);
            let theirs = registry_url(&theirs, "npm");
            let ours = ours.as_ref().map_err(Clone::clone).and_then(|npm| npm.registry_of(name));
            assert_eq!(ours.ok(), theirs.ok(), "{key} after {file}: {contents} {more:?}");
        }
    }
}

#[test]
fn npm_asks_the_registry_of_the_same_scope() {
    let Some(client) = client("npm") else { return };
    let home = Home::new();
    home.write("work/package.json", "{}");
    let project = home.path().join("work");
    let closed = "http://127.0.0.1:9";
    home.write(
        ".npmrc",
        &format!("registry={closed}/r/\n@a:registry={closed}/a/\n@b:registry={closed}/b/\nscope=@a\n"),
    );
    let global = home.path().join("none");
    let always = [
        ("HOME", home.path().to_str().unwrap()),
        ("npm_config_globalconfig", global.to_str().unwrap()),
        ("npm_config_fetch_retries", "0"),
        ("npm_config_update_notifier", "false"),
    ];
    let steps: [Step<'_>; 5] = [
        ("work/.npmrc", "", &[]),
        ("work/.npmrc", "scope=b", &[]),
        ("work/.npmrc", "scope=", &[]),
        ("work/.npmrc", "scope=@none", &[]),
        ("work/.npmrc", "", &[("NPM_CONFIG_SCOPE", "b")]),
    ];
    let script = "cd \"$2\" && \"$1\" view \"$3\" 2>&1 || true";
    for (file, contents, more) in steps {
        home.write(file, contents);
        let variables = [&always, more].concat();
        let ours = Npm::read(&Variables::from_pairs(variables.iter().copied()), Some(&project), &defaults());
        let ours = ours.unwrap();
        for name in ["x", "@c/x"] {
            let arguments = ["-c", script, "sh", client.to_str().unwrap(), project.to_str().unwrap(), name];
            let said = ask(Path::new("/bin/sh"), &arguments, &variables);
            let ours = format!("{}{} failed", ours.registry_of(name).unwrap(), name.replace('/', "%2f"));
            assert!(said.contains(&ours), "{ours} after {contents:?} {more:?}: {said}");
        }
    }
}

#[test]
fn npm_sends_the_same_credentials() {
    let (Some(npm), Some(node)) = (client("npm"), client("node")) else { return };
    let Ok(npm) = std::fs::read_link(&npm).map(|link| npm.parent().unwrap().join(link)) else {
        return eprintln!("skipped: npm is no link to its package");
    };
    let home = Home::new();
    let file = home.write(
        ".npmrc",
        "//a.example/:_authToken=top#comment\n//a.example/npm/:_authToken=\"in;ner\"\n//a.example/bare:_authToken=b\\;b\n\
         //b.example:8443/:_auth=dTpw\n//c.example/x/:username=u\n//c.example/x/:_password=cDo7\n\
         //c.example/:username=alone\n//d.example/:_authToken='q \"q\"'\n//e.example/:_authToken\n\
         //f.example/:_authToken=\n//f.example/:_auth=Zjpm\n //g.example/:_authToken = g = g \n",
    );
    let urls = [
        "https://a.example/",
        "https://a.example/npm",
        "https://a.example/npm/",
        "https://a.example/npm/@s%2fp",
        "https://a.example/npmx/y",
        "https://a.example/bare",
        "https://a.example/bare/x",
        "https://a.example:444/",
        "https://b.example:8443/x",
        "https://b.example/",
        "https://c.example/x/y",
        "https://c.example/y",
        "https://d.example/",
        "https://e.example/",
        "https://f.example/",
        "https://g.example/x?y",
    ];
    let script = "const [package_, file, ...urls] = process.argv.slice(1);
        const options = require(package_ + '/node_modules/ini').parse(require('fs').readFileSync(file, 'utf8'));
        const credential = require(package_ + '/node_modules/npm-registry-fetch/lib/auth.js');
        for (const url of urls) {
            const { token, auth } = credential(url, options);
            console.log(token ? 'Bearer ' + token : auth ? 'Basic ' + auth : 'none');
        }";
    let package = npm.ancestors().nth(2).unwrap().to_str().unwrap();
    let theirs = ask(&node, &[&["-e", script, package, file.to_str().unwrap()][..], &urls].concat(), &[]);
    let ours = Npm::read(&home.variables(&[]), None, &defaults()).unwrap();
    let ours = urls.map(|to| header(ours.credential_for(&url(to))).unwrap_or("none".to_owned()));
    assert_eq!(ours.as_slice(), theirs.lines().collect::<Vec<_>>());
}

#[test]
fn pip_finds_the_same_indexes_and_logins() {
    let Some(python) = client("python3") else { return };
    if !has_pip(&python) {
        return;
    }
    let home = Home::new();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let named = text(&home.write(
        "named",
        "[global]\nindex-url = https://named/\n[download]\nextra-index-url = https://x/ https://y/",
    ));
    let xdg = text(home.path());
    let always = [("HOME", xdg.as_str()), ("XDG_CONFIG_DIRS", xdg.as_str()), ("LC_ALL", "C.UTF-8")];
    let script = "
import sys
from pip._internal.commands import create_command
options = create_command('download').parser.get_default_values()
print(options.index_url, *options.extra_index_urls)
from pip._vendor.requests.utils import get_netrc_auth
for host in sys.argv[1:]: print(*(get_netrc_auth('https://' + host + '/') or ['none']))
";
    home.write(".netrc", "# c\nmachine a login \"u\\\"v\" password p\\ q\nmacdef m\nmachine c\n\nmachine b user x account y password #z");
    let hosts = ["a", "b", "c"];
    let steps: [Step<'_>; 7] = [
        ("pip/pip.conf", "[global]\nindex-url=https://machine/\n", &[]),
        (".pip/pip.conf", "[DEFAULT]\nINDEX_URL : https://legacy/\n[global]\n; c\nx=y\n", &[]),
        (
            ".config/pip/pip.conf",
            "[global]\nindex-url = https://user/\n\nextra-index-url =\n    https://a/\n\n  # c\n    https://b/;c\nother = 1\n",
            &[],
        ),
        ("pip/pip.conf", "[download]\n--index-url = https://download/\n", &[]),
        ("unread", "", &[("PIP_CONFIG_FILE", &named)]),
        (
            "unread",
            "",
            &[("PIP_INDEX_URL", "https://variable/"), ("PIP_EXTRA_INDEX_URL", " https://c/\n https://d/ ")],
        ),
        (".config/pip/pip.conf", "[global]\nindex-url =\n", &[]),
    ];
    for (file, contents, more) in steps {
        home.write(file, contents);
        let variables = [&always, more].concat();
        let said = ask(&python, &[&["-c", script][..], &hosts].concat(), &variables);
        let mut theirs = said.lines();
        let ours = Pypi::read(&Variables::from_pairs(variables.iter().copied()), &defaults()).unwrap();
        let indexes: Vec<_> = ours.indexes().unwrap().iter().map(|url| url.as_str().to_owned()).collect();
        let expected: Vec<_> = theirs
            .next()
            .unwrap()
            .split(' ')
            .map(|text| registry_url(text, "pip").unwrap().to_string())
            .collect();
        assert_eq!(indexes, expected, "after {file}: {contents} {more:?}");
        for (host, login) in hosts.iter().zip(theirs) {
            let ours = header(ours.credential_for(&url(&format!("https://{host}/"))));
            let login = login.replacen(' ', ":", 1);
            let (user, password) = login.split_once(':').unwrap_or_default();
            let theirs =
                (login != "none").then(|| super::Credential::basic(user, password).header().to_owned());
            assert_eq!(ours, theirs, "{host}");
        }
    }
}

#[test]
fn clients_find_the_same_home_directory_without_its_variable() {
    let nothing = Variables::from_pairs([("PATH", "")]);
    let programs = [
        ("node", "-p", "require('os').homedir()"),
        ("python3", "-c", "import os; print(os.path.expanduser('~'))"),
    ];
    for (name, option, script) in programs {
        let Some(program) = client(name) else { continue };
        let theirs = ask(&program, &[option, script], &[]);
        assert_eq!(nothing.home().as_deref(), Some(Path::new(theirs.trim())), "{name}");
    }
}

#[test]
fn where_nothing_is_configured_the_client_says_its_own() {
    let home = Home::new();
    let path = std::env::join_paths(Variables::read().search_path()).unwrap();
    let variables =
        home.variables(&[("PATH", path.to_str().unwrap()), ("npm_config_globalconfig", "/dev/null")]);
    if client("npm").is_some() {
        let npm = Npm::read(&variables, None, &defaults()).unwrap();
        assert_eq!(npm.registry_of("@scope/a").unwrap().scheme(), "https");
    }
    if client("python3").is_some_and(|python| has_pip(&python)) {
        let pypi = Pypi::read_on(home.path(), &variables, &defaults()).unwrap();
        assert_eq!(pypi.indexes().unwrap()[0].path(), "/simple/");
    }
}

#[test]
fn cargo_asks_the_same_index() {
    // The one that builds this: of this machine, and with its rustc beside it.
    let cargo = Path::new(env!("CARGO"));
    if !cargo.exists() {
        return eprintln!("skipped: the cargo that built this test is not here to compare with");
    }
    let home = Home::new();
    home.write(
        "work/Cargo.toml",
        "[package]\nname='c'\nversion='1.0.0'\nedition='2021'\n[dependencies]\nnone='1'",
    );
    home.write("work/src/lib.rs", "");
    let own = home.path().join("cargo");
    let port = "http://127.0.0.1:9";
    let path = format!("{}:/usr/bin:/bin", cargo.parent().unwrap().display());
    let always = [
        ("PATH", path.as_str()),
        ("HOME", home.path().to_str().unwrap()),
        ("CARGO_HOME", own.to_str().unwrap()),
        ("CARGO_HTTP_PROXY", port),
        ("CARGO_NET_RETRY", "0"),
    ];
    let manifest = home.path().join("work/Cargo.toml");
    let script = "cd \"${2%/*}\" && \"$1\" fetch 2>&1 || true";
    let [home_file, old_file] = ["home", "old"].map(|host| {
        format!("[source.crates-io]\nreplace-with='m'\n[source.m]\nregistry='sparse+{port}/{host}/'\n")
    });
    let steps: [Step<'_>; 7] = [
        ("unread", "", &[]),
        ("cargo/config.toml", &home_file, &[]),
        ("cargo/config", &old_file, &[]),
        ("work/.cargo/config.toml", "[source.m]\nregistry='sparse+http://127.0.0.1:9/merged/'", &[]),
        ("work/.cargo/config.toml", "include=['x.toml']\n[source.m]\nreplace-with='r'", &[]),
        ("unread", "", &[("CARGO_REGISTRIES_R_INDEX", "sparse+http://127.0.0.1:9/variable/")]),
        ("unread", "", &[("CARGO_SOURCE_M_REPLACE_WITH", "none")]),
    ];
    home.write(
        "work/.cargo/x.toml",
        &format!("[registries.r]\nindex='sparse+{port}/included/'\n[source.m]\nreplace-with='s'"),
    );
    for (name, contents, more) in steps {
        home.write(name, contents);
        let variables = [&always, more].concat();
        let arguments = ["-c", script, "sh", cargo.to_str().unwrap(), manifest.to_str().unwrap()];
        let said = ask(Path::new("/bin/sh"), &arguments, &variables);
        let ours = Cargo::read(&Variables::from_pairs(variables.iter().copied()), manifest.parent()).unwrap();
        let ours = format!("`{}config.json`", ours.default_index().unwrap());
        assert!(said.contains(&ours), "after {name}: {contents}\n{said}");
    }
}
