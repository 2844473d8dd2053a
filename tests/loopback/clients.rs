//! The registries' own clients install from the loopback registry: so its shapes are real.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::registry::{Client, Hashes, Registry, packing};

/// Whether a client runs on this machine; says so if not.
fn there_is(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        eprintln!("skipped: there is no {program} on this machine");
    }
    found
}

/// What a client printed, and whether it succeeded.
fn run(client: &Client, program: &str, arguments: &[&str], directory: &Path) -> (bool, String) {
    let mut command = Command::new(program);
    // The compiler beside this cargo: rustup would look for itself in the home directory.
    command.env("RUSTC", Path::new(env!("CARGO")).with_file_name("rustc"));
    let output = client.apply(command.args(arguments).current_dir(directory)).stdin(Stdio::null());
    let output = output.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

fn succeeds(client: &Client, program: &str, arguments: &[&str], directory: &Path) -> String {
    let (success, text) = run(client, program, arguments, directory);
    assert!(success, "{program} {arguments:?}: {text}");
    text
}

#[test]
fn npm_packs_a_range_a_tag_and_a_scoped_package() {
    if !there_is("npm") {
        return;
    }
    let (registry, home) = (Registry::start(), tempfile::tempdir().unwrap());
    registry.recorded("npm", "ms");
    registry.npm("@scope/pkg").version("1.0.0", &[("index.js", "")]);
    registry.require_token("/npm/", "secret");
    let client = registry.configure_with_token(home.path(), "secret");
    let read = |name: &str| std::fs::read(home.path().join(name)).unwrap();
    succeeds(&client, "npm", &["pack", "ms@2"], home.path());
    assert_eq!(read("ms-2.1.3.tgz"), registry.npm("ms").bytes("2.1.3"));
    succeeds(&client, "npm", &["pack", "ms@canary"], home.path());
    assert_eq!(read("ms-3.0.0-canary.1.tgz"), registry.npm("ms").bytes("3.0.0-canary.1"));
    succeeds(&client, "npm", &["pack", "@scope/pkg"], home.path());
    assert_eq!(read("scope-pkg-1.0.0.tgz"), registry.npm("@scope/pkg").bytes("1.0.0"));
    assert_eq!(registry.downloads_of("npm", "@scope/pkg"), 1);
}

#[test]
fn npm_refuses_what_was_forged() {
    if !there_is("npm") {
        return;
    }
    let (registry, home) = (Registry::start(), tempfile::tempdir().unwrap());
    let forged = packing::tgz(&[("package/package.json".to_owned(), b"{}".to_vec())]);
    registry.npm("demo").version("1.0.0", &[("index.js", "")]).forged(forged);
    let (success, text) = run(&registry.configure(home.path()), "npm", &["pack", "demo"], home.path());
    assert!(!success && text.contains("EINTEGRITY"), "{text}");
}

#[test]
fn cargo_fetches_from_the_index_and_refuses_what_was_forged() {
    let cargo = env!("CARGO");
    if !there_is(cargo) {
        return;
    }
    let (registry, home) = (Registry::start(), tempfile::tempdir().unwrap());
    registry.recorded("crates", "cfg-if");
    registry.crates("Demo").version("1.0.0", &[("src/lib.rs", "")]).version("1.1.0", &[("x", "")]).yanked();
    registry.require_token("/crates/", "secret");
    let client = registry.configure_with_token(home.path(), "secret");
    let project = |dependencies: &str| {
        let directory = tempfile::tempdir().unwrap();
        let manifest = format!(
            "[package]\nname = \"project\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[dependencies]\n{dependencies}"
        );
        std::fs::write(directory.path().join("Cargo.toml"), manifest).unwrap();
        std::fs::create_dir(directory.path().join("src")).unwrap();
        std::fs::write(directory.path().join("src/lib.rs"), "").unwrap();
        directory
    };
    let good = project(
        "cfg-if = \"1\"\nDemo = \"1\"\nother = { package = \"Demo\", version = \"1\", registry = \"loopback\" }\n",
    );
    succeeds(&client, cargo, &["fetch"], good.path());
    let lock = std::fs::read_to_string(good.path().join("Cargo.lock")).unwrap();
    let hash = packing::sha256(&registry.crates("Demo").bytes("1.0.0"));
    assert!(lock.contains(&hash) && !lock.contains("1.1.0"), "{lock}");
    assert!(registry.downloads_of("crates", "cfg-if") == 1 && registry.downloads_of("crates", "Demo") >= 1);

    let forged = packing::tgz(&[("bad-1.0.0/Cargo.toml".to_owned(), b"".to_vec())]);
    registry.crates("bad").version("1.0.0", &[("src/lib.rs", "")]).forged(forged);
    let (success, text) = run(&client, cargo, &["fetch"], project("bad = \"1\"\n").path());
    assert!(!success && text.contains("checksum"), "{text}");
    registry.crates("bare").version("1.0.0", &[("src/lib.rs", "")]).hashes(Hashes::None);
    assert!(!run(&client, cargo, &["fetch"], project("bare = \"1\"\n").path()).0);
}

#[test]
fn pip_downloads_wheels_and_sdists_of_both_forms_of_the_index() {
    if !there_is("pip") {
        return;
    }
    let (registry, home) = (Registry::start(), tempfile::tempdir().unwrap());
    registry.recorded("pypi", "iniconfig");
    registry.recorded("pypi", "tensorboard-data-server");
    // An sdist that needs nobody else to be looked at.
    let backend = "def prepare_metadata_for_build_wheel(to, settings=None):\n    \
        import os\n    \
        os.mkdir(to + '/demo-1.0.dist-info')\n    \
        open(to + '/demo-1.0.dist-info/METADATA', 'w').write(open('PKG-INFO').read())\n    \
        return 'demo-1.0.dist-info'\n\
        def build_wheel(*_):\n    raise SystemExit\n";
    let build = "[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n";
    let files = [("pyproject.toml", build), ("backend.py", backend)];
    registry.pypi("Demo").sdist("1.0", &files).sdist("2.0", &files).yanked("broken");
    registry.require_token("/pypi/", "secret");
    let client = registry.configure_with_token(home.path(), "secret");
    let download = |arguments: &[&str]| {
        let arguments = [&["download", "--no-deps", "--no-cache-dir", "-d", "."], arguments].concat();
        succeeds(&client, "pip", &arguments, home.path())
    };
    let is_there = |project: &str, name: &str| {
        let read = std::fs::read(home.path().join(name)).unwrap();
        assert_eq!(read, registry.pypi(project).bytes(name));
    };
    download(&["iniconfig"]);
    is_there("iniconfig", "iniconfig-2.0.0-py3-none-any.whl");
    download(&["--no-binary", ":all:", "demo"]);
    is_there("demo", "demo-1.0.tar.gz");
    registry.html_only();
    download(&["tensorboard_data_server"]);
    is_there("tensorboard-data-server", "tensorboard_data_server-0.7.2-py3-none-any.whl");

    registry.pypi("bad").wheel("1.0", "py3-none-any", &[("bad.py", "")]).forged(packing::zip(&[]));
    let (success, text) = run(&client, "pip", &["download", "--no-cache-dir", "-d", ".", "bad"], home.path());
    assert!(!success && text.to_lowercase().contains("hash"), "{text}");
}
