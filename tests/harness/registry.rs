//! A package registry on the loopback that misbehaves on request: npm, crates and PyPI under one root.
//!
//! A test says `#[path = "harness/registry.rs"] mod registry;`, starts one, publishes packages (archives
//! are built for real and have their true hashes, or were recorded) and looks at what was asked. All of it
//! can be changed while the server runs. It ends when it is dropped, with whatever still hangs in it.
//!
//! Below the root, which is [`Registry::url`]:
//!
//! | path | what |
//! |---|---|
//! | `/npm/<name>` | packument, full or abbreviated |
//! | `/npm/<name>/-/<file>.tgz` | archive |
//! | `/crates/index/config.json`, `/crates/index/se/rd/serde` | sparse index |
//! | `/crates/dl/<name>/<version>/download` | archive |
//! | `/crates/files/<anything>/<name>-<version>.crate` | archive ([`Registry::crates_at`]) |
//! | `/pypi/simple/<name>/` | project, as JSON or HTML |
//! | `/pypi/files/<name>/<file>` | archive |
//!
//! Where a path is asked for (faults, holds, tokens), one that ends in `/` stands for all below it, and
//! another one for itself alone: `/npm/left-pad` is the packument, `/npm/left-pad/` are the archives.

#![allow(dead_code, unused_imports, reason = "no test uses all of it")]
#![allow(clippy::disallowed_methods, reason = "tests start programs of their own")]

#[path = "registry/answering.rs"]
mod answering;
#[path = "registry/configuration.rs"]
mod configuration;
#[path = "registry/crates.rs"]
mod crates;
#[path = "registry/fault.rs"]
mod fault;
#[path = "registry/http.rs"]
mod http;
#[path = "registry/npm.rs"]
mod npm;
#[path = "registry/packing.rs"]
pub mod packing;
#[path = "registry/pypi.rs"]
mod pypi;

use std::collections::{BTreeMap, HashMap};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

pub use configuration::{Client, USER};
pub use crates::Crate;
pub use fault::Fault;
pub use npm::Npm;
pub use pypi::Pypi;

/// Which hashes of an archive the metadata names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hashes {
    /// All that the registry has.
    Strong,
    /// Only what is broken: sha1 at npm, md5 at PyPI. The index of crates has none such.
    Weak,
    /// None.
    None,
}

/// One request that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `GET`
    pub method: String,
    /// The path, without percent-encoding and query.
    pub path: String,
    /// What stood in the first line.
    pub target: String,
    /// The header lines, by their names in small letters.
    pub headers: HashMap<String, String>,
    /// The status of the answer; 0 before there is one.
    pub status: u16,
}

impl Request {
    /// A header of it, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The credential it carried.
    pub fn authorization(&self) -> Option<&str> {
        self.headers.get("authorization").map(String::as_str)
    }
}

/// The server. Dropping it ends it.
pub struct Registry {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    /// `http://127.0.0.1:1234`
    base: String,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    npm: BTreeMap<String, npm::Package>,
    crates: BTreeMap<String, crates::Package>,
    pypi: BTreeMap<String, pypi::Project>,
    /// The fault of a path, and for how many more answers.
    faults: BTreeMap<String, (Fault, Option<usize>)>,
    held: Vec<String>,
    tokens: BTreeMap<String, String>,
    requests: Vec<Request>,
    /// How many requests before those were forgotten.
    forgotten: usize,
    html_only: bool,
    full_only: bool,
    /// What is said of the time of archives.
    last_modified: Option<String>,
    /// Where the index of crates says that archives are, if a test says so.
    dl: Option<String>,
    /// How many requests wait for [`Registry::release`].
    waiting: usize,
    /// Grows with each release; a stall ends when it is another than at its start.
    releases: u64,
    connections: HashMap<SocketAddr, TcpStream>,
    ended: bool,
}

impl Registry {
    /// An empty one.
    pub fn start() -> Self {
        Self::start_at("127.0.0.1")
    }

    /// An empty one at this address of the loopback: `127.0.0.2` is another host.
    pub fn start_at(host: &str) -> Self {
        let listener = TcpListener::bind((host, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let base = format!("http://{address}");
        let shared = Arc::new(Shared { base, state: Mutex::default(), changed: Condvar::new() });
        let server = shared.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                if server.state().ended {
                    return;
                }
                let server = server.clone();
                // A client that goes away is no failure of the server.
                std::thread::spawn(move || server.serve(&connection));
            }
        });
        Registry { address, shared }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The url of a path: `registry.url("/npm/left-pad")`.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.shared.base)
    }

    /// The package of this name at npm, to publish versions of it.
    pub fn npm(&self, name: &str) -> Npm<'_> {
        Npm::new(&self.shared, name)
    }

    /// The crate of this name, to publish versions of it.
    pub fn crates(&self, name: &str) -> Crate<'_> {
        Crate::new(&self.shared, name)
    }

    /// The project of this name at PyPI, to publish files of it.
    pub fn pypi(&self, name: &str) -> Pypi<'_> {
        Pypi::new(&self.shared, name)
    }

    /// Publishes what was recorded in `tests/fixtures/registry/<kind>/<name>`.
    pub fn recorded(&self, kind: &str, name: &str) {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/registry");
        let directory = directory.join(kind).join(name);
        let mut state = self.shared.state();
        match kind {
            "npm" => drop(state.npm.insert(name.to_owned(), npm::Package::recorded(&directory))),
            "crates" => drop(state.crates.insert(name.to_owned(), crates::Package::recorded(&directory))),
            "pypi" => drop(state.pypi.insert(name.to_owned(), pypi::Project::recorded(&directory))),
            other => panic!("there is no kind {other}"),
        }
    }

    /// The path of what a kind says about a package.
    pub fn metadata_path(&self, kind: &str, name: &str) -> String {
        match kind {
            "npm" => format!("/npm/{name}"),
            "crates" => format!("/crates/index/{}", crates::index_path(name)),
            "pypi" => format!("/pypi/simple/{}/", pypi::normalised(name)),
            other => panic!("there is no kind {other}"),
        }
    }

    /// The path below which the archives of a package are.
    pub fn archives_path(&self, kind: &str, name: &str) -> String {
        match kind {
            "npm" => format!("/npm/{name}/-/"),
            "crates" => format!("/crates/dl/{name}/"),
            "pypi" => format!("/pypi/files/{}/", pypi::normalised(name)),
            other => panic!("there is no kind {other}"),
        }
    }

    /// Breaks the answers about a path from now on. The longest path that fits counts.
    pub fn misbehave(&self, path: &str, fault: Fault) {
        self.shared.state().faults.insert(path.to_owned(), (fault, None));
    }

    /// Breaks so many answers about a path.
    pub fn misbehave_times(&self, path: &str, times: usize, fault: Fault) {
        self.shared.state().faults.insert(path.to_owned(), (fault, Some(times)));
    }

    /// Answers about a path as it should, from now on.
    pub fn behave(&self, path: &str) {
        self.shared.state().faults.remove(path);
    }

    /// Lets no answer about a path go out before [`Registry::release`].
    pub fn hold(&self, path: &str) {
        self.shared.state().held.push(path.to_owned());
    }

    /// Lets everything go on that is held or stalls, and holds nothing any more.
    pub fn release(&self) {
        let mut state = self.shared.state();
        state.held.clear();
        state.releases += 1;
        self.shared.changed.notify_all();
    }

    /// Answers 401 about a path to everybody who does not show this token (as it is, as a bearer, or as
    /// the password of [`USER`]).
    pub fn require_token(&self, path: &str, token: &str) {
        self.shared.state().tokens.insert(path.to_owned(), token.to_owned());
    }

    /// Speaks no JSON at PyPI, as many mirrors do.
    pub fn html_only(&self) {
        self.shared.state().html_only = true;
    }

    /// Has only full packuments at npm, as many mirrors do.
    pub fn full_only(&self) {
        self.shared.state().full_only = true;
    }

    /// Says of every archive that it is of this time (`Sun, 06 Nov 1994 08:49:37 GMT`).
    pub fn last_modified(&self, time: &str) {
        self.shared.state().last_modified = Some(time.to_owned());
    }

    /// Has the index of crates say that archives are there: `{registry}` stands for the server, which has
    /// them as `/crates/files/<anything>/<name>-<version>.crate`, too; the markers of cargo stay.
    pub fn crates_at(&self, template: &str) {
        self.shared.state().dl = Some(template.to_owned());
    }

    /// All requests so far, in the order in which they came.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.state().requests.clone()
    }

    /// The requests so far about what a kind says about a package.
    pub fn lookups_of(&self, kind: &str, name: &str) -> usize {
        let path = self.metadata_path(kind, name);
        self.shared.state().requests.iter().filter(|request| request.path == path).count()
    }

    /// How often an archive of a package was sent, or is being sent.
    pub fn downloads_of(&self, kind: &str, name: &str) -> usize {
        let path = self.archives_path(kind, name);
        let state = self.shared.state();
        let is_of_it = |request: &str| match request.strip_prefix("/crates/files/") {
            Some(file) => {
                kind == "crates" && state.crates.get(name).is_some_and(|one| one.file(file).is_some())
            }
            None => request.starts_with(&path),
        };
        let sent = |request: &&Request| is_of_it(&request.path) && request.status < 300;
        state.requests.iter().filter(sent).count()
    }

    /// Forgets all requests so far.
    pub fn reset(&self) {
        let mut state = self.shared.state();
        state.forgotten += state.requests.len();
        state.requests.clear();
    }

    /// Waits until so many requests are held or stall; fails the test after 20 s.
    pub fn wait_until_held(&self, count: usize) {
        self.wait(&format!("{count} requests to be held"), |state| state.waiting >= count);
    }

    /// Waits until the requests so far are as `wanted`; fails the test after 20 s.
    pub fn wait_for(&self, what: &str, wanted: impl Fn(&[Request]) -> bool) {
        self.wait(what, |state| wanted(&state.requests));
    }

    /// Has the clients of all registries ask this one: writes `.npmrc`, `pip.conf` and cargo's
    /// `config.toml` into a home directory.
    pub fn configure(&self, home: &Path) -> Client {
        Client::write(home, &self.shared.base, None)
    }

    /// The same, with this token for all of them.
    pub fn configure_with_token(&self, home: &Path, token: &str) -> Client {
        Client::write(home, &self.shared.base, Some(token))
    }

    fn wait(&self, what: &str, wanted: impl Fn(&State) -> bool) {
        let until = Instant::now() + Duration::from_secs(20);
        let mut state = self.shared.state();
        while !wanted(&state) {
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain for {what}: {:#?}", state.requests);
            state = self.shared.changed.wait_timeout(state, left).unwrap().0;
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let connections = {
            let mut state = self.shared.state();
            state.ended = true;
            state.releases += 1;
            std::mem::take(&mut state.connections)
        };
        self.shared.changed.notify_all();
        for connection in connections.into_values() {
            let _ = connection.shutdown(std::net::Shutdown::Both);
        }
        // The accepting thread looks again.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // A test that failed while it held it must not hide why.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Whether a rule about `rule` is about `path`.
fn covers(rule: &str, path: &str) -> bool {
    rule == path || (rule.ends_with('/') && path.starts_with(rule))
}

/// The files that were recorded in a directory, by name.
fn files_in(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries =
        std::fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    let named = |path: PathBuf| {
        (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap())
    };
    paths.into_iter().filter(|path| path.is_file()).map(named).collect()
}
