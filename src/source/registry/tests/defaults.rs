use std::os::unix::fs::PermissionsExt;

use super::{Defaults, Home, url};
use crate::config::variables::Variables;

/// A home whose `PATH` is its `bin`, with the shell's own commands beside it.
fn variables(home: &Home) -> Variables {
    let path = format!("{}:/usr/bin:/bin", home.path().join("bin").display());
    home.variables(&[("PATH", &path), ("npm_config_registry", "http://seen.example/"), ("TOKEN", "s3cret")])
}

fn program(home: &Home, name: &str, script: &str) {
    let file = home.write(&format!("bin/{name}"), &format!("#!/bin/sh\n{script}\n"));
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_client_is_asked_once_even_by_two_processes_until_it_is_another() {
    let home = Home::new();
    let asked = home.path().join("asked");
    let count = || std::fs::read_to_string(&asked).unwrap().lines().count();
    let script = |host: &str| format!("echo x >>{}\necho a warning\necho http://{host}/", asked.display());
    program(&home, "npm", &script("one.example"));
    let new = || Defaults::kept_in(home.path().join("v1/sources"));
    let left = home.write("v1/sources/tmp_of_a_dead_process", "");
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(7200);
    std::fs::File::open(&left).unwrap().set_modified(long_ago).unwrap();
    let first = new();
    for _ in 0..2 {
        assert_eq!(first.npm(&variables(&home)).unwrap(), url("http://one.example/"));
    }
    assert_eq!(new().npm(&variables(&home)).unwrap(), url("http://one.example/"));
    assert_eq!(count(), 1);
    assert!(!left.exists());
    program(&home, "npm", &script("another.example"));
    assert_eq!(new().npm(&variables(&home)).unwrap(), url("http://another.example/"));
    home.write("v1/sources/npm.default", "torn");
    assert_eq!(new().npm(&variables(&home)).unwrap(), url("http://another.example/"));
    assert_eq!(count(), 3);
}

#[test]
fn a_client_sees_no_project_no_home_and_no_settings() {
    let home = Home::new();
    let seen = home.path().join("seen");
    program(&home, "npm", &format!("{{ pwd; env; }} >{}\necho http://a.example/", seen.display()));
    Defaults::new().npm(&variables(&home)).unwrap();
    let seen = std::fs::read_to_string(seen).unwrap();
    assert_eq!(seen.lines().next(), Some("/"));
    assert!(seen.contains("HOME=/dev/null"), "{seen}");
    assert!(!seen.contains("seen.example") && !seen.contains("s3cret"), "{seen}");
}

#[test]
fn without_a_client_that_answers_the_error_says_what_to_write_where() {
    let home = Home::new();
    let none = home.variables(&[("PATH", "bin:.")]);
    let npm = Defaults::new().npm(&none).unwrap_err().to_string();
    assert!(npm.contains("no npm on the PATH") && npm.contains("~/.npmrc"), "{npm}");
    let pip = Defaults::new().pip(&none).unwrap_err().to_string();
    assert!(pip.contains("index-url = https://") && pip.contains("pip.conf"), "{pip}");
    program(&home, "npm", "echo no url; exit 1");
    let path = home.path().join("bin");
    let broken = home.variables(&[("PATH", path.to_str().unwrap())]);
    let npm = Defaults::new().npm(&broken).unwrap_err().to_string();
    assert!(npm.contains("bin/npm could not say") && npm.contains("~/.npmrc"), "{npm}");
}
