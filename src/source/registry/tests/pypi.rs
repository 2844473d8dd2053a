use super::{Credential, Home, defaults, header, url};
use crate::source::registry::{Proxy, Pypi};

fn read(home: &Home, variables: &[(&str, &str)]) -> Pypi {
    Pypi::read_on(&home.path().join("etc"), &home.variables(variables), &defaults()).unwrap()
}

fn indexes(pypi: &Pypi) -> Vec<String> {
    pypi.indexes().unwrap().iter().map(|url| url.host_str().unwrap().to_owned()).collect()
}

#[test]
fn later_files_and_the_environment_count_more() {
    let home = Home::new();
    let index = |name: &str| format!("[global]\nindex-url = https://{name}/simple\n");
    let virtual_environment = home.path().join("venv");
    let virtual_environment = [("VIRTUAL_ENV", virtual_environment.to_str().unwrap())];
    for (file, host) in [
        ("etc/xdg/pip/pip.conf", "xdg"),
        ("etc/pip.conf", "machine"),
        (".pip/pip.conf", "legacy"),
        (".config/pip/pip.conf", "user"),
        ("venv/pip.conf", "venv"),
    ] {
        home.write(file, &index(host));
        assert_eq!(indexes(&read(&home, &virtual_environment)), [host]);
    }
    let named = home.write("named.conf", &index("named"));
    let named = ("PIP_CONFIG_FILE", named.to_str().unwrap());
    assert_eq!(indexes(&read(&home, &[virtual_environment[0], named])), ["named"]);
    let variable = ("PIP_INDEX_URL", "https://variable/");
    assert_eq!(indexes(&read(&home, &[virtual_environment[0], named, variable])), ["variable"]);
    home.write("named.conf", "");
    assert_eq!(indexes(&read(&home, &[named])), ["machine"], "it takes the place of the user's files");
    let nothing = read(&home, &[("PIP_CONFIG_FILE", "/dev/null")]).indexes().unwrap_err().to_string();
    assert!(nothing.contains("index-url = https://"), "{nothing}");
}

#[test]
fn sections_of_commands_count_before_the_global_one_even_of_a_later_file() {
    let home = Home::new();
    home.write("etc/pip.conf", "[install]\nindex-url=https://install/\n");
    home.write(
        ".config/pip/pip.conf",
        "[global]\nindex-url=https://global/\n[list]\nindex-url=https://list/",
    );
    assert_eq!(indexes(&read(&home, &[])), ["install"]);
    home.write(
        "etc/pip.conf",
        "[install]\nindex_url=https://install/\n[download]\n--index-url: https://download/",
    );
    assert_eq!(indexes(&read(&home, &[])), ["download"]);
    assert_eq!(
        indexes(&read(&home, &[("PIP_INDEX_URL", "")])),
        ["download"],
        "an empty variable says nothing"
    );
}

#[test]
fn extra_indexes_follow_in_their_order() {
    let home = Home::new();
    home.write(
        ".config/pip/pip.conf",
        "[global]\nindex-url = https://a/\nextra-index-url =\n    https://b/\n    # a comment\n    https://c/ https://a/\n",
    );
    assert_eq!(indexes(&read(&home, &[])), ["a", "b", "c"]);
    assert_eq!(indexes(&read(&home, &[("PIP_EXTRA_INDEX_URL", "https://d/\nhttps://e/")])), ["a", "d", "e"]);
    let none = read(&home, &[("PIP_NO_INDEX", "1")]).indexes().unwrap_err().to_string();
    assert!(none.contains("PIP_NO_INDEX"), "{none}");
}

#[test]
fn a_password_of_an_index_goes_to_its_server_only() {
    let home = Home::new();
    home.write(
        ".config/pip/pip.conf",
        "[global]\nindex-url = https://u%40x:p%2F@a.example/one/simple\nextra-index-url = https://v:q@a.example/two/simple https://token@b.example/",
    );
    let pypi = read(&home, &[]);
    assert_eq!(pypi.indexes().unwrap()[0], url("https://a.example/one/simple/"));
    let sent = |to: &str| header(pypi.credential_for(&url(to)));
    let basic = |user, password| Some(Credential::basic(user, password).header().to_owned());
    assert_eq!(sent("https://a.example/one/simple/x/"), basic("u@x", "p/"));
    assert_eq!(sent("https://a.example/two/files/x.whl"), basic("v", "q"));
    assert_eq!(sent("https://a.example/other"), basic("u@x", "p/"));
    assert_eq!(sent("https://b.example/x"), basic("token", ""));
    for elsewhere in ["http://a.example/one/simple/", "https://a.example:81/one/", "https://files.example/"] {
        assert_eq!(sent(elsewhere), None, "{elsewhere}");
    }
}

#[test]
fn a_password_of_an_index_is_for_all_of_its_server_that_has_none() {
    let home = Home::new();
    let pypi = |first: &str, extra: &str| {
        let text = format!("[global]\nindex-url = {first}\nextra-index-url = {extra}\n");
        home.write(".config/pip/pip.conf", &text);
        read(&home, &[])
    };
    let sent = |pypi: &Pypi, to: &str| header(pypi.credential_for(&url(to)));
    let basic = |user, password| Some(Credential::basic(user, password).header().to_owned());
    let (one, two, files) =
        ("https://a.example/1/simple/x/", "https://a.example/2/simple/x/", "https://a.example/f/x.whl");
    let later = pypi("https://a.example/1/simple", "https://u:p@a.example/2/simple");
    assert_eq!(sent(&later, files), basic("u", "p"));
    assert_eq!(sent(&later, two), basic("u", "p"));
    assert_eq!(sent(&later, one), None, "it is asked before anything was sent to the other one");
    let first = pypi("https://u:p@a.example/1/simple", "https://a.example/2/simple");
    assert_eq!([one, two, files].map(|to| sent(&first, to)), [(); 3].map(|()| basic("u", "p")));
    assert_eq!(sent(&first, "https://b.example/f/x.whl"), None);
    let others = pypi("https://u:p@a.example/1/simple", "https://v@a.example/2/simple");
    assert_eq!(sent(&others, two), basic("v", ""), "a password is that of its user");
    let own = pypi("https://u:p@a.example/1/simple", "https://u@a.example/2/simple");
    assert_eq!(sent(&own, two), basic("u", "p"));
    home.write(".netrc", "machine a.example login n password q");
    assert_eq!(sent(&read(&home, &[]), files), basic("u", "p"));
    let none = pypi("https://a.example/1/simple", "https://u:p@a.example/2/simple");
    assert_eq!(sent(&none, files), basic("n", "q"));
}

#[test]
fn a_password_for_plain_http_is_sent_encrypted_too_and_not_the_other_way_round() {
    let home = Home::new();
    let pypi = read(
        &home,
        &[
            ("PIP_INDEX_URL", "http://u:p@a.example/simple/"),
            ("PIP_EXTRA_INDEX_URL", "https://v:q@b.example/simple/"),
        ],
    );
    let sent = |to: &str| header(pypi.credential_for(&url(to)));
    let basic = |user, password| Some(Credential::basic(user, password).header().to_owned());
    assert_eq!(sent("https://a.example/f/x.whl"), basic("u", "p"));
    assert_eq!(sent("http://b.example/f/x.whl"), None);
    assert_eq!(sent("https://a.example:8443/f/x.whl"), None);
}

#[test]
fn what_stands_in_a_link_comes_first() {
    let home = Home::new();
    let pypi = read(&home, &[("PIP_INDEX_URL", "https://u:p@a.example/simple/")]);
    let sent = |to: &str| header(pypi.credential_for(&url(to)));
    let basic = |user, password| Some(Credential::basic(user, password).header().to_owned());
    assert_eq!(sent("https://v%40w:q@a.example/f/x.whl"), basic("v@w", "q"));
    assert_eq!(sent("https://v:q@b.example/f/x.whl"), basic("v", "q"));
    assert_eq!(sent("https://v@b.example/f/x.whl"), basic("v", ""));
    assert_eq!(sent("https://v@a.example/f/x.whl"), basic("u", "p"));
}

#[test]
fn netrc_is_for_its_hosts_and_its_default_for_indexes_only() {
    let home = Home::new();
    home.write(".netrc", "machine files.example login f password g\ndefault login d password e");
    let pypi = read(
        &home,
        &[("PIP_INDEX_URL", "https://a.example/"), ("PIP_EXTRA_INDEX_URL", "http://plain.example/")],
    );
    let sent = |to: &str| header(pypi.credential_for(&url(to)));
    let basic = |user, password| Some(Credential::basic(user, password).header().to_owned());
    assert_eq!(sent("https://files.example/x"), basic("f", "g"));
    assert_eq!(sent("https://a.example/x"), basic("d", "e"));
    assert_eq!(sent("http://plain.example/x"), basic("d", "e"));
    assert_eq!(sent("http://files.example/x"), None);
    assert_eq!(sent("https://elsewhere.example/x"), None);
    let other = home.write("other", "machine a.example login o password p");
    let pypi = read(&home, &[("NETRC", other.to_str().unwrap())]);
    assert_eq!(header(pypi.credential_for(&url("https://a.example/"))), basic("o", "p"));
    home.write(".netrc", "machine a.example\nlogin o pasword s3cret\n");
    let notes = read(&home, &[]).notes().join("\n");
    assert!(notes.contains(".netrc is not used: line 2") && !notes.contains("s3cret"), "{notes}");
}

#[test]
fn a_netrc_that_cannot_be_read_is_noted_and_read_when_it_can_be() {
    let home = Home::new();
    home.write(".config/pip/pip.conf", "[global]\nindex-url=https://a.example/\n");
    let registries = super::Registries::new(home.variables(&[]), None, defaults());
    let file = home.path().join(".netrc");
    // A link to itself is what nobody can open, not even root.
    std::os::unix::fs::symlink(".netrc", &file).unwrap();
    let unused = |why: &str| {
        let pypi = registries.pypi().unwrap();
        assert!(pypi.notes().iter().any(|note| note.contains(why)), "{:?}", pypi.notes());
        assert_eq!(header(pypi.credential_for(&url("https://a.example/"))), None);
    };
    unused(".netrc is not used: Too many levels");
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    unused(".netrc is not used: it is not a file");
    std::fs::remove_dir(&file).unwrap();
    std::fs::write(&file, b"machine a.example login u password p # \xe9\n").unwrap();
    unused(".netrc is not used: line 1 is not UTF-8");
    home.write(".netrc", "machine a.example login u password p");
    assert!(registries.pypi().unwrap().credential_for(&url("https://a.example/")).is_some());
}

#[test]
fn certificates_and_proxies_are_told_and_nothing_is_trusted_blindly() {
    let home = Home::new();
    home.write(
        ".config/pip/pip.conf",
        "[global]\ncert=~/ca.pem\nproxy=p.example:3128\ntrusted-host=a.example\n\
         find-links=https://u:s3cret@a.example/",
    );
    let pypi = read(&home, &[]);
    assert_eq!(pypi.trust(), [home.path().join("ca.pem")]);
    assert_eq!(pypi.proxy(&url("https://a.example/")), Proxy::Through("http://p.example:3128"));
    assert!(pypi.notes()[0].starts_with("trusted-host in "), "{:?}", pypi.notes());
    assert!(pypi.notes()[1].starts_with("find-links in ") && !pypi.notes()[1].contains("s3cret"));
    let pypi = read(&Home::new(), &[("PIP_CERT", "/ca.pem")]);
    assert_eq!(pypi.trust(), [std::path::PathBuf::from("/ca.pem")]);
    assert_eq!(pypi.proxy(&url("https://a.example/")), Proxy::Environment);
}
