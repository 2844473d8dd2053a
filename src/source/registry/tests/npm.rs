use std::os::unix::fs::PermissionsExt;

use super::{Home, defaults, header, url};
use crate::source::registry::{Npm, Proxy};

fn read(home: &Home, variables: &[(&str, &str)]) -> Npm {
    Npm::read(&home.variables(variables), None, &defaults()).unwrap()
}

fn registry(npm: &Npm, name: &str) -> String {
    npm.registry_of(name).unwrap().to_string()
}

#[test]
fn the_environment_is_before_the_project_the_user_and_the_machine() {
    let home = Home::new();
    home.write("etc/npmrc", "registry=http://machine.example/\n@m:registry=http://m.example");
    let prefix = home.path().to_str().unwrap();
    let project = home.path().join("work/inside");
    home.write("work/package.json", "{}");
    std::fs::create_dir(&project).unwrap();
    let with = |variables: &[(&str, &str)]| {
        let variables = [&[("PREFIX", prefix)], variables].concat();
        Npm::read(&home.variables(&variables), Some(&project), &defaults()).unwrap()
    };
    assert_eq!(registry(&with(&[]), "a"), "http://machine.example/");
    home.write(".npmrc", "registry=http://user.example/");
    assert_eq!(registry(&with(&[]), "a"), "http://user.example/");
    home.write("work/.npmrc", "registry=http://project.example/");
    assert_eq!(registry(&with(&[]), "a"), "http://project.example/");
    let npm = with(&[("NPM_CONFIG_REGISTRY", "http://variable.example/npm")]);
    assert_eq!(registry(&npm, "a"), "http://variable.example/npm/");
    assert_eq!(registry(&npm, "@m/a"), "http://m.example/");
    let npm = with(&[("npm_config_registry", "")]);
    assert_eq!(registry(&npm, "a"), "http://project.example/", "an empty variable says nothing");
    let other = home.write("other", "registry=http://other.example/");
    home.write("work/.npmrc", "");
    let npm = with(&[("npm_config_userconfig", other.to_str().unwrap())]);
    assert_eq!(registry(&npm, "a"), "http://other.example/");
    let npm =
        with(&[("npm_config_userconfig", "/dev/null"), ("NPM_CONFIG_GLOBALCONFIG", other.to_str().unwrap())]);
    assert_eq!(registry(&npm, "a"), "http://other.example/");
}

#[test]
fn what_is_no_text_in_a_comment_hides_nothing() {
    let home = Home::new();
    std::fs::write(home.path().join(".npmrc"), b"; caf\xe9\nregistry=https://r.example/\n").unwrap();
    assert_eq!(registry(&read(&home, &[]), "a"), "https://r.example/");
}

#[test]
fn a_scope_has_its_own_registry() {
    let home = Home::new();
    home.write(".npmrc", "@a:registry = https://a.example/npm\nregistry=https://r.example");
    let npm = read(&home, &[("npm_config_@b:registry", "https://b.example")]);
    assert_eq!(registry(&npm, "@a/x"), "https://a.example/npm/");
    assert_eq!(registry(&npm, "@b/x"), "https://b.example/");
    assert_eq!(registry(&npm, "@c/x"), "https://r.example/");
    assert_eq!(registry(&npm, "a"), "https://r.example/");
}

#[test]
fn a_scope_that_is_set_comes_before_the_registry() {
    let home = Home::new();
    let scopes = "registry=https://r.example\n@a:registry=https://a.example\n@b:registry=https://b.example\n";
    for spelled in ["scope=@a", "scope = a"] {
        home.write(".npmrc", &format!("{scopes}{spelled}\n"));
        let npm = read(&home, &[]);
        assert_eq!(registry(&npm, "x"), "https://a.example/", "{spelled}");
        assert_eq!(registry(&npm, "@c/x"), "https://a.example/", "{spelled}");
        assert_eq!(registry(&npm, "@b/x"), "https://b.example/", "{spelled}");
    }
    let other = read(&home, &[("npm_config_scope", "b")]);
    assert_eq!(registry(&other, "x"), "https://b.example/");
    let unknown = read(&home, &[("NPM_CONFIG_SCOPE", "@none")]);
    assert_eq!(registry(&unknown, "x"), "https://r.example/");
}

#[test]
fn a_token_goes_to_its_own_path_and_the_longest_one_counts() {
    let home = Home::new();
    home.write(
        ".npmrc",
        "//a.example/:_authToken=top\n//a.example/npm/:_authToken=${TOKEN}\n//a.example/slashless:_authToken=s\n\
         //b.example:8443/:_auth=dTpw\n//c.example/:username=u\n//c.example/:_password=cDo7\n\
         //d.example/:_authToken=${UNSET}\n_authToken=anywhere",
    );
    let npm = read(&home, &[("TOKEN", "inner")]);
    let sent = |to: &str| header(npm.credential_for(&url(to)));
    assert_eq!(sent("https://a.example/x/-/x-1.tgz").unwrap(), "Bearer top");
    assert_eq!(sent("https://a.example/npm/x").unwrap(), "Bearer inner");
    assert_eq!(sent("https://a.example/npm").unwrap(), "Bearer top");
    assert_eq!(sent("https://a.example/npmx/y").unwrap(), "Bearer top");
    assert_eq!(sent("https://a.example/slashless/y").unwrap(), "Bearer s");
    assert_eq!(sent("https://b.example:8443/").unwrap(), "Basic dTpw");
    assert_eq!(sent("https://c.example/").unwrap(), "Basic dTpwOjs=");
    for elsewhere in [
        "https://b.example/",
        "https://d.example/",
        "https://a.example.evil.example/",
        "https://a.example:1/",
    ] {
        assert_eq!(sent(elsewhere), None, "{elsewhere}");
    }
    let notes = npm.notes().join("\n");
    assert!(notes.contains("UNSET is not set") && notes.contains("_authToken in "), "{notes}");
    assert!(!notes.contains("anywhere"), "{notes}");
}

#[test]
fn a_token_goes_over_plain_http_only_where_that_is_configured() {
    let home = Home::new();
    let tokens = "//a.example/:_authToken=t\n//a.example:81/:_authToken=u\n";
    home.write(".npmrc", &format!("{tokens}registry=https://a.example/"));
    assert_eq!(header(read(&home, &[]).credential_for(&url("http://a.example/x"))), None);
    home.write(".npmrc", &format!("{tokens}@s:registry=http://a.example/"));
    let npm = read(&home, &[]);
    assert_eq!(header(npm.credential_for(&url("http://a.example/x"))).unwrap(), "Bearer t");
    assert_eq!(header(npm.credential_for(&url("http://a.example:81/x"))), None);
}

#[test]
fn an_archive_on_the_registrys_own_server_gets_its_token() {
    let home = Home::new();
    home.write(".npmrc", "//a.example/npm/:_authToken=t");
    let npm = read(&home, &[]);
    let registry = url("https://a.example/npm/");
    let sent = |to: &str| header(npm.credential_for_archive(&url(to), &registry));
    assert_eq!(sent("https://a.example/archives/x.tgz").unwrap(), "Bearer t");
    assert_eq!(sent("https://b.example/npm/x.tgz"), None);
    assert_eq!(sent("http://a.example/npm/x.tgz"), None);
    let plain = url("http://a.example/npm/");
    let encrypted = url("https://a.example/archives/x.tgz");
    assert_eq!(header(npm.credential_for_archive(&encrypted, &plain)), None, "no registry is configured so");
    home.write(".npmrc", "registry=http://a.example/npm/\n//a.example/npm/:_authToken=t");
    let sent = header(read(&home, &[]).credential_for_archive(&encrypted, &plain));
    assert_eq!(sent.unwrap(), "Bearer t", "what was sent plainly may be sent encrypted");
}

#[test]
fn an_archive_on_the_public_registrys_host_comes_from_the_mirror() {
    let home = Home::new();
    let at = |setting: &str, of: &str, said: &str| {
        home.write(".npmrc", &format!("{setting}\n"));
        let npm = home.write("bin/npm", "#!/bin/sh\necho https://public.example/");
        std::fs::set_permissions(npm, std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:/usr/bin:/bin", home.path().join("bin").display());
        read(&home, &[("PATH", &path)]).archive_at(url(said), &url(of)).to_string()
    };
    let (mirror, public) = ("https://m.example:81/npm/", "https://public.example/@a/b/-/b-1.tgz?x=1");
    let replaced = "https://m.example:81/npm/@a/b/-/b-1.tgz?x=1";
    assert_eq!(at("", mirror, public), replaced);
    assert_eq!(at("replace-registry-host=npmjs", mirror, public), replaced);
    assert_eq!(at("replace-registry-host=Public.example", mirror, public), replaced);
    assert_eq!(at("replace-registry-host=never", mirror, public), public);
    let other = "https://cdn.example/b-1.tgz";
    assert_eq!(at("", mirror, other), other);
    assert_eq!(at("replace-registry-host=public.example", mirror, other), other);
    assert_eq!(at("replace-registry-host=always", mirror, other), "https://m.example:81/npm/b-1.tgz");
    // What lies on the registry's own server, wherever, is there, unless every host is replaced.
    let own = "https://m.example:81/files/b-1.tgz";
    assert_eq!(at("", mirror, "http://m.example:81/files/b-1.tgz"), own);
    let below = "https://m.example:81/npm/files/b-1.tgz";
    assert_eq!(at("replace-registry-host=always", mirror, own), below);
    assert_eq!(at("replace-registry-host=always", mirror, below), below);
    // Without npm nobody knows what is public.
    let none = read(&Home::new(), &[("PATH", "/nowhere")]);
    assert_eq!(none.archive_at(url(public), &url(mirror)).as_str(), public);
}

#[test]
fn a_host_counts_at_every_port_and_a_path_that_is_there_is_not_written_twice() {
    let home = Home::new();
    let (registry, other) = (url("http://m.example:81/r/"), "http://o.example:82");
    for (setting, said, asked) in [
        ("always", "/r/f/x.tgz", "http://m.example:81/r/f/x.tgz"),
        ("o.example", "/r/f/x.tgz", "http://m.example:81/r/f/x.tgz"),
        ("o.example", "/rx/x.tgz?a", "http://m.example:81/r/rx/x.tgz?a"),
        ("o.example:82", "/f/x.tgz", "http://m.example:81/f/x.tgz"),
        ("o.example:83", "/f/x.tgz", "http://o.example:82/f/x.tgz"),
        ("https://o.example", "/f/x.tgz", "http://m.example:81/r/f/x.tgz"),
        ("https://o.example:9/old/", "/old/f/x.tgz", "http://m.example:81/r/f/x.tgz"),
        ("http://o.example/old", "/older/x.tgz", "http://o.example:82/older/x.tgz"),
        ("http://m.example/old", "/old/x.tgz", "http://o.example:82/old/x.tgz"),
        ("never", "/f/x.tgz", "http://o.example:82/f/x.tgz"),
    ] {
        home.write(".npmrc", &format!("replace-registry-host={setting}\n"));
        let npm = read(&home, &[("PATH", "/nowhere")]);
        let found = npm.archive_at(url(&format!("{other}{said}")), &registry);
        assert_eq!(found.as_str(), asked, "{setting} {said}");
    }
}

#[test]
fn a_password_in_the_url_is_taken_out_and_sent_there() {
    let home = Home::new();
    home.write(".npmrc", "registry=https://u%40x:p%3A@a.example/npm");
    let npm = read(&home, &[]);
    assert_eq!(registry(&npm, "a"), "https://a.example/npm/");
    let sent = header(npm.credential_for(&url("https://a.example/npm/a"))).unwrap();
    assert_eq!(sent, super::Credential::basic("u@x", "p:").header());
}

#[test]
fn certificates_and_proxies_are_told_and_nothing_is_trusted_blindly() {
    let home = Home::new();
    home.write(".npmrc", "cafile=~/ca.pem\nproxy=http://p.example:3128\nnoproxy=near.example,b.example\nstrict-ssl=false\nca=x");
    home.write("ca.pem", "");
    let extra = home.write("extra.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let npm = read(&home, &[("NODE_EXTRA_CA_CERTS", extra.to_str().unwrap())]);
    assert_eq!(npm.trust(), [home.path().join("ca.pem"), extra]);
    assert_eq!(npm.proxy(&url("https://far.example/")), Proxy::Through("http://p.example:3128"));
    assert_eq!(npm.proxy(&url("https://x.near.example/")), Proxy::Direct);
    assert_eq!(npm.proxy(&url("https://xnear.example/")), Proxy::Through("http://p.example:3128"));
    assert_eq!(read(&Home::new(), &[]).proxy(&url("https://a.example/")), Proxy::Environment);
    let notes = npm.notes().join("\n");
    assert!(notes.contains("strict-ssl=false in ") && notes.contains("ca in "), "{notes}");
}

#[test]
fn certificates_that_npm_goes_without_are_noted_and_read_when_they_come() {
    let home = Home::new();
    home.write(".npmrc", "cafile=~/none.pem");
    let npm = read(&home, &[]);
    assert!(npm.trust().is_empty() && npm.notes()[0].contains("none.pem"), "{npm:?}");
    home.write(".npmrc", "");
    let extra = home.path().join("extra.pem");
    let variables = home.variables(&[("NODE_EXTRA_CA_CERTS", extra.to_str().unwrap())]);
    let registries = super::Registries::new(variables, None, defaults());
    let noted = |why: &str| {
        let npm = registries.npm().unwrap();
        let notes = npm.notes().join("\n");
        assert!(npm.trust().is_empty(), "{npm:?}");
        assert!(notes.contains("NODE_EXTRA_CA_CERTS in the environment") && notes.contains(why), "{notes}");
    };
    noted("No such file");
    home.write("extra.pem", "nothing");
    noted("no certificate");
    home.write("extra.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let npm = registries.npm().unwrap();
    assert_eq!((npm.trust(), npm.notes()), (&[extra][..], &[][..]));
}

#[test]
fn what_is_no_url_of_a_registry_is_an_error_with_its_line() {
    let home = Home::new();
    for text in ["no url", "file:///a", "${UNSET}"] {
        home.write(".npmrc", &format!("\nregistry={text}"));
        let error = Npm::read(&home.variables(&[]), None, &defaults()).unwrap_err().to_string();
        assert!(error.contains(".npmrc, line 2"), "{error}");
        assert_eq!(text.contains("UNSET"), error.contains("set the environment variable UNSET"), "{error}");
    }
}
