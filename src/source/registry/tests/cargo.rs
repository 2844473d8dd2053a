use super::{Home, header, url};
use crate::source::registry::{Cargo, Proxy};

fn read(home: &Home, variables: &[(&str, &str)]) -> Cargo {
    Cargo::read(&home.variables(variables), Some(&home.path().join("work/inside"))).unwrap()
}

fn default(home: &Home) -> String {
    read(home, &[]).default_index().unwrap().to_string()
}

#[test]
fn the_nearest_file_counts_most_and_the_home_of_cargo_least() {
    let home = Home::new();
    let replace = |name: &str| {
        format!("[source.crates-io]\nreplace-with='m'\n[source.m]\nregistry='sparse+http://{name}/'")
    };
    for (file, host) in [
        (".cargo/config.toml", "home"),
        ("work/.cargo/config.toml", "above"),
        ("work/inside/.cargo/config.toml", "project"),
        ("work/inside/.cargo/config", "old"),
    ] {
        home.write(file, &replace(host));
        assert_eq!(default(&home), format!("http://{host}/"));
    }
    let other = home.write("other/config.toml", &replace("elsewhere"));
    let variables = home.variables(&[("CARGO_HOME", other.parent().unwrap().to_str().unwrap())]);
    assert_eq!(Cargo::read(&variables, None).unwrap().default_index().unwrap(), url("http://elsewhere/"));
}

#[test]
fn replacements_are_followed_to_a_source_or_a_registry() {
    let home = Home::new();
    let file = |text: &str| home.write(".cargo/config.toml", text);
    file(
        "[source.crates-io]\nreplace-with='a'\n[source.a]\nreplace-with='b'\n[registries.b]\nindex='sparse+https://b.example/i'",
    );
    assert_eq!(default(&home), "https://b.example/i/");
    file("[source.crates-io]\nregistry='sparse+https://c.example/'");
    assert_eq!(default(&home), "https://c.example/");
    file(
        "[source.m]\nregistry='sparse+https://r.example/'\nreplace-with='n'\n[source.n]\nregistry='sparse+https://n.example/'\n[registries.r]\nindex='sparse+https://r.example/'",
    );
    for named in ["https://r.example", "https://r.example/"] {
        assert_eq!(read(&home, &[]).index_at(&url(named)).unwrap(), url("https://n.example/"));
    }
    assert_eq!(read(&home, &[]).index_at(&url("https://x.example/")).unwrap(), url("https://x.example/"));
    for (text, expected) in [
        (
            "[source.crates-io]\nreplace-with='a'\n[source.a]\nreplace-with='crates-io'",
            "replaced with itself",
        ),
        ("[source.crates-io]\nreplace-with='a'", "there is no source a"),
        ("[source.crates-io]\nreplace-with='a'\n[source.a]\ndirectory='vendor'", "source.a.directory in "),
        ("[source.crates-io]\nreplace-with='a'\n[source.a]\nlocal-registry='vendor'", "sparse+https://"),
        ("[source.crates-io]\nreplace-with='a'\n[source.a]\nregistry='https://a.example/git'", "a git index"),
        ("[source.crates-io]\nreplace-with=1", "source.crates-io.replace-with is no text"),
    ] {
        file(text);
        let error = read(&home, &[]).default_index().unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn variables_name_registries_and_tokens_but_no_sources() {
    let home = Home::new();
    home.write(
        ".cargo/config.toml",
        "[source.crates-io]\nreplace-with='my-reg'\n[registries.my-reg]\nindex='sparse+https://a.example/'",
    );
    home.write(".cargo/credentials.toml", "[registries.my-reg]\ntoken='t'");
    let index = url("https://a.example/");
    assert_eq!(header(read(&home, &[]).credential_for(&index)).unwrap(), "t");
    let cargo = read(
        &home,
        &[
            ("CARGO_REGISTRIES_MY_REG_TOKEN", "v"),
            ("CARGO_SOURCE_CRATES_IO_REPLACE_WITH", "other"),
            ("CARGO_REGISTRIES_OTHER_INDEX", "sparse+https://o.example/"),
            ("CARGO_REGISTRIES_OTHER_TOKEN", "o"),
            ("CARGO_REGISTRY_TOKEN", "publishing"),
        ],
    );
    assert_eq!(cargo.default_index().unwrap(), index);
    assert_eq!(header(cargo.credential_for(&index)).unwrap(), "v");
    assert_eq!(header(cargo.credential_for(&url("https://o.example/"))).unwrap(), "o");
    assert_eq!(header(cargo.credential_for(&url("https://o.example"))).unwrap(), "o");
    assert_eq!(header(cargo.credential_for(&url("https://o.example/below/"))), None);
}

#[test]
fn included_files_count_less_than_the_one_that_includes_them() {
    let home = Home::new();
    home.write(".cargo/config.toml", "include=['a.toml',{path='b.toml',optional=true},{path='none.toml',optional=true}]\n[registries]\nx={index='sparse+http://own/'}");
    home.write(".cargo/a.toml", "[registries]\nx={index='sparse+http://a/'}\ny={index='sparse+http://a/'}\nz={index='sparse+http://a/'}");
    home.write(".cargo/b.toml", "[registries]\ny={index='sparse+http://b/'}");
    for (name, index) in [("x", "http://own/"), ("y", "http://b/"), ("z", "http://a/")] {
        home.write("work/.cargo/config.toml", &format!("[source.crates-io]\nreplace-with='{name}'"));
        assert_eq!(default(&home), index);
    }
    home.write(".cargo/b.toml", "include=['config.toml']");
    let error = Cargo::read(&home.variables(&[]), None).unwrap_err().to_string();
    assert!(error.contains("include each other"), "{error}");
}

#[test]
fn certificates_and_proxies_are_told() {
    let home = Home::new();
    home.write("work/.cargo/config.toml", "[http]\ncainfo='ca.pem'\nproxy='p.example:3128'");
    let cargo = read(&home, &[]);
    assert_eq!(cargo.trust(), [home.path().join("work/ca.pem")]);
    assert_eq!(cargo.proxy(&url("https://a.example/")), Proxy::Through("http://p.example:3128"));
    assert_eq!(read(&home, &[("CARGO_HTTP_PROXY", "")]).proxy(&url("https://a.example/")), Proxy::Direct);
    home.write("work/.cargo/config.toml", "[registry]\nglobal-credential-providers=['cargo:libsecret']");
    let cargo = read(&home, &[]);
    assert_eq!(cargo.proxy(&url("https://a.example/")), Proxy::Environment);
    assert!(cargo.notes()[0].contains("global-credential-providers"), "{:?}", cargo.notes());
    home.write("work/.cargo/config.toml", "[registries.my-reg]\ncredential-provider='cargo:libsecret'");
    let provider = ("CARGO_REGISTRIES_OTHER_CREDENTIAL_PROVIDER", "cargo:libsecret");
    let index = ("CARGO_REGISTRIES_OTHER_INDEX", "sparse+https://o.example/");
    let cargo = read(&home, &[provider, index]);
    let notes = cargo.notes();
    assert!(
        notes[0].starts_with("CARGO_REGISTRIES_OTHER_CREDENTIAL_PROVIDER in the environment"),
        "{notes:?}"
    );
    assert!(notes[1].starts_with("registries.my-reg.credential-provider in "), "{notes:?}");
    assert_eq!(notes.len(), 2);
}
