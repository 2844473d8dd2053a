//! Byte for byte what the ecosystems' own clients unpack: from the loopback, and from the registries that this
//! machine's clients ask, where they can be reached. What is skipped is said, also by a run that passes.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::mounted2::{Site, run};
use super::place::{Place, contents};

/// Something that stands in the registries that are asked, and a directory for the clients to work in.
struct Bench<'b> {
    /// The mount.
    site: &'b Site,
    /// Tells a client whom to ask.
    apply: &'b dyn Fn(&mut Command),
    work: tempfile::TempDir,
}

/// Says it although the test passes: what is printed by one that does is not shown.
fn skipped(what: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {what}");
}

impl Bench<'_> {
    /// Runs a client in a directory of its own; none if it is missing or could not do it.
    fn client(&self, program: &str, arguments: &[&str], directory: &Path) -> Option<()> {
        std::fs::create_dir_all(directory).unwrap();
        let mut command = Command::new(program);
        command.args(arguments).current_dir(directory).stdin(Stdio::null());
        (self.apply)(&mut command);
        // The compiler beside this cargo: rustup would look for itself in the home directory.
        command.env("RUSTC", Path::new(env!("CARGO")).with_file_name("rustc"));
        let output = command.output();
        match output {
            Ok(output) if output.status.success() => Some(()),
            Ok(output) => {
                skipped(&format!(
                    "{program} {arguments:?} could not: {}",
                    String::from_utf8_lossy(&output.stderr)
                ));
                None
            }
            Err(error) => {
                skipped(&format!("there is no {program}: {error}"));
                None
            }
        }
    }

    fn same(&self, shown: &str, unpacked: &Path, leaves: impl Fn(&str) -> bool) {
        let all = |directory: &Path| {
            let mut all = contents(directory);
            all.retain(|(name, _)| !leaves(name));
            all
        };
        let shown_at = self.site.path(shown);
        let listed = run(Command::new("ls").arg("--").arg(&shown_at));
        assert_eq!(listed.code, 0, "{shown}: {listed:?}\n{}", self.site.log());
        let (ours, theirs) = (all(&shown_at), all(unpacked));
        let names = |all: &[(String, Vec<u8>)]| all.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&ours), names(&theirs), "{shown}");
        assert!(!ours.is_empty() && ours == theirs, "{shown}: the bytes differ");
        eprintln!("{shown} is what its client unpacks, {} files", ours.len());
    }

    /// `version` may be a range or a tag, too.
    fn npm(&self, name: &str, version: &str) -> Option<()> {
        let directory = self.work.path().join("npm").join(name).join(version);
        let wanted = format!("{name}@{version}");
        let arguments = ["install", "--ignore-scripts", "--no-save", "--no-audit", "--no-fund", &wanted];
        self.client("npm", &arguments, &directory)?;
        self.same(&format!("npm/{name}@{version}"), &directory.join("node_modules").join(name), |file| {
            file.starts_with("node_modules/")
        });
        Some(())
    }

    fn cargo(&self, name: &str, version: &str) -> Option<()> {
        let directory = self.work.path().join("crates").join(name);
        std::fs::create_dir_all(directory.join("src")).unwrap();
        let manifest = format!(
            "[package]\nname = \"x\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[dependencies]\n{name} = \"={version}\"\n"
        );
        std::fs::write(directory.join("Cargo.toml"), manifest).unwrap();
        std::fs::write(directory.join("src/lib.rs"), "").unwrap();
        self.client(env!("CARGO"), &["vendor", "--quiet", "--versioned-dirs", "vendor"], &directory)?;
        let vendored = directory.join("vendor").join(format!("{name}-{version}"));
        // Vendoring adds the hashes of the files, and leaves out what cargo itself added to the crate.
        self.same(&format!("crates/{name}@{version}"), &vendored, |file| {
            [".cargo-checksum.json", "Cargo.toml.orig", ".cargo_vcs_info.json", "Cargo.lock"].contains(&file)
                || file.starts_with(".git")
        });
        Some(())
    }

    fn wheel(&self, name: &str, version: &str) -> Option<()> {
        let directory = self.work.path().join("wheel");
        let (target, wanted) = (directory.join(name), format!("{name}=={version}"));
        let place = target.to_str().unwrap();
        let pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--only-binary", ":all:"];
        self.client("python3", &[&pip[..], &["--target", place, &wanted]].concat(), &directory)?;
        let by_pip = ["RECORD", "INSTALLER", "REQUESTED"];
        self.same(&format!("pypi/{name}@{version}"), &target, |file| {
            file.contains(".dist-info/") && by_pip.iter().any(|own| file.ends_with(own))
        });
        Some(())
    }

    /// pip keeps no sdist unpacked: Python's own tarfile does it as pip does.
    fn sdist(&self, name: &str, version: &str, top: &str) -> Option<()> {
        let directory = self.work.path().join("sdist").join(name);
        let wanted = format!("{name}=={version}");
        let pip = ["-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"];
        self.client("python3", &[&pip[..], &[&wanted]].concat(), &directory)?;
        let archive: PathBuf = std::fs::read_dir(&directory).unwrap().next().unwrap().unwrap().path();
        let script = "import sys, tarfile; tarfile.open(sys.argv[1]).extractall('out', filter='data')";
        self.client("python3", &["-c", script, archive.to_str().unwrap()], &directory)?;
        self.same(&format!("pypi/{name}@{version}"), &directory.join("out").join(top), |_| false);
        Some(())
    }
}

#[test]
fn what_the_clients_unpack_from_the_loopback_is_what_is_shown() {
    let place = Place::recorded();
    // pip asks every sdist what it needs: this one answers by itself, with nothing from elsewhere.
    place.registry.pypi("my-sdist").sdist(
        "1.0",
        &[
            (
                "pyproject.toml",
                "[build-system]\nrequires = []\nbuild-backend = \"own\"\nbackend-path = [\".\"]\n",
            ),
            (
                "own.py",
                "import os\n\
                 def prepare_metadata_for_build_wheel(directory, settings=None):\n    \
                     name = 'my_sdist-1.0.dist-info'\n    \
                     os.mkdir(os.path.join(directory, name))\n    \
                     with open(os.path.join(directory, name, 'METADATA'), 'w') as file:\n        \
                         file.write('Metadata-Version: 2.1\\nName: my-sdist\\nVersion: 1.0\\n')\n    \
                     return name\n",
            ),
            ("src/my_sdist.py", "1\n"),
            ("bin/run!", "#!/bin/sh\n"),
        ],
    );
    let apply = |command: &mut Command| {
        place.client.apply(command);
    };
    let bench = Bench { site: &place.site, apply: &apply, work: tempfile::tempdir().unwrap() };
    bench.npm("ms", "2.1.3");
    bench.npm("ms", "^2.1.0");
    bench.npm("ms", "canary");
    bench.npm("@types/ms", "0.7.34");
    bench.cargo("cfg-if", "1.0.0");
    bench.wheel("tensorboard-data-server", "0.7.2");
    bench.sdist("my-sdist", "1.0", "my_sdist-1.0");
}

#[test]
fn what_the_clients_unpack_from_real_registries_is_what_is_shown() {
    let mut site = Site::new("refresh = \"never\"");
    let home = std::env::var_os("HOME").unwrap_or_default();
    let work = tempfile::tempdir().unwrap();
    // The machine's own configuration, but nothing is left in its caches.
    let apply = |command: &mut Command| {
        command.env("HOME", &home).env("npm_config_cache", work.path().join("cache"));
        command.env("PIP_NO_CACHE_DIR", "1");
    };
    site.mount_by(&["-v", "mount", "--foreground"], |command| {
        command.env("HOME", &home).env_remove("no_proxy");
    });
    let bench = Bench { site: &site, apply: &apply, work: tempfile::tempdir().unwrap() };
    bench.npm("left-pad", "1.3.0");
    // Nothing of it is published any more, so both mean the same for either.
    bench.npm("left-pad", "^1.1.0");
    bench.npm("left-pad", "latest");
    bench.npm("@types/ms", "2.1.0");
    bench.cargo("itoa", "1.0.9");
    // Published as one wheel, and nothing else.
    bench.wheel("tensorflow-estimator", "2.15.0");
    bench.sdist("six", "1.16.0", "six-1.16.0");
}
