//! Documents that are at hand are asked for only when they are old, and come only when they have changed.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use srcfs::error::Kind;
use srcfs::source::Progress;
use srcfs::source::http::credential::Credential;
use srcfs::source::http::documents::{Document, Documents};
use srcfs::source::http::{Http, Request};
use url::Url;

use crate::server::{Asked, Server};
use crate::{LONG, assert_kind, http};

const DAY: Duration = Duration::from_secs(86_400);

/// A registry with one document, which a test changes, and a cache of what it said.
struct Stage {
    server: Server,
    document: Arc<Mutex<String>>,
    status: Arc<AtomicU32>,
    http: Http,
    documents: Documents,
    directory: tempfile::TempDir,
}

impl Stage {
    fn new() -> Stage {
        let document = Arc::new(Mutex::new("first".to_owned()));
        let status = Arc::new(AtomicU32::new(200));
        let server = Server::start({
            let (document, status) = (Arc::clone(&document), Arc::clone(&status));
            move |asked, peer| {
                let document = document.lock().unwrap().clone();
                let etag = format!("\"{document}\"");
                match status.load(Ordering::SeqCst) {
                    200 if asked.headers.get("if-none-match") == Some(&etag) => {
                        peer.send("HTTP/1.1 304 X\r\n\r\n")
                    }
                    status => peer.answer(status as u16, &format!("ETag: {etag}\r\n"), document),
                }
            }
        });
        let directory = tempfile::tempdir().unwrap();
        let documents = Documents::new(directory.path());
        Stage { server, document, status, http: http(LONG), documents, directory }
    }

    fn url(&self) -> Url {
        self.server.url("/left-pad")
    }

    fn fetch(&self, max_age: Duration) -> Result<Document, srcfs::error::Error> {
        let url = self.url();
        self.documents.fetch(&self.http, Request::new(&url), max_age, &Progress::default())
    }

    fn asked(&self) -> Vec<Asked> {
        self.server.asked()
    }

    fn files(&self) -> Vec<PathBuf> {
        fs::read_dir(self.directory.path()).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

#[test]
fn a_young_document_is_not_asked_for() {
    let stage = Stage::new();
    let first = stage.fetch(DAY).unwrap();
    assert!(first.fresh && first.bytes == b"first" && first.url == stage.url());
    *stage.document.lock().unwrap() = "second".into();
    let again = stage.fetch(DAY).unwrap();
    assert!(!again.fresh && again.bytes == b"first");
    assert_eq!(stage.asked().len(), 1);
    // Another process finds it, too.
    let url = stage.url();
    let at_hand = Documents::new(stage.directory.path()).at_hand(&Request::new(&url)).unwrap();
    assert_eq!(at_hand, again);
}

#[test]
fn an_old_one_is_asked_for_and_comes_if_it_has_changed() {
    let stage = Stage::new();
    let first = stage.fetch(Duration::ZERO).unwrap();
    let same = stage.fetch(Duration::ZERO).unwrap();
    assert!(same.fresh && same.bytes == b"first" && same.asked > first.asked);
    assert_eq!(stage.asked()[1].headers["if-none-match"], "\"first\"");
    // Being confirmed makes it young again.
    assert!(!stage.fetch(DAY).unwrap().fresh);
    *stage.document.lock().unwrap() = "second".into();
    let second = stage.fetch(Duration::ZERO).unwrap();
    assert!(second.fresh && second.bytes == b"second");
    assert_eq!(stage.fetch(DAY).unwrap().bytes, b"second");
    assert_eq!(stage.files().len(), 1);
}

#[test]
fn what_has_not_changed_is_not_written_again_but_is_young_in_every_process() {
    let stage = Stage::new();
    stage.fetch(Duration::ZERO).unwrap();
    let file = stage.files().remove(0);
    let (inode, long_ago) = (file.metadata().unwrap().ino(), SystemTime::now() - 2 * DAY);
    fs::File::options().write(true).open(&file).unwrap().set_modified(long_ago).unwrap();
    let again = || Documents::new(stage.directory.path());
    let url = stage.url();
    let fetch = || again().fetch(&stage.http, Request::new(&url), DAY, &Progress::default()).unwrap();
    assert!(fetch().fresh && !fetch().fresh);
    assert_eq!(stage.asked().len(), 2);
    assert_eq!(file.metadata().unwrap().ino(), inode);
}

#[test]
fn a_failure_is_never_kept_and_never_answered_with_what_is_old() {
    let stage = Stage::new();
    stage.fetch(DAY).unwrap();
    let url = stage.url();
    for (status, kind) in [(500, Kind::Network), (404, Kind::NotFound), (403, Kind::NotFoundOrPrivate)] {
        stage.status.store(status, Ordering::SeqCst);
        assert_kind(stage.fetch(Duration::ZERO), kind);
        assert_eq!(stage.documents.at_hand(&Request::new(&url)).unwrap().bytes, b"first");
    }
    let elsewhere = stage.server.url("/other");
    assert_kind(
        stage.documents.fetch(&stage.http, Request::new(&elsewhere), DAY, &Progress::default()),
        Kind::NotFoundOrPrivate,
    );
    assert!(stage.documents.at_hand(&Request::new(&elsewhere)).is_none());
    assert_eq!(stage.files().len(), 1);
}

#[test]
fn a_damaged_file_is_none() {
    let stage = Stage::new();
    stage.fetch(DAY).unwrap();
    let file = stage.files().remove(0);
    let good = fs::read(&file).unwrap();
    let url = stage.url();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&file, &bad).unwrap();
        assert!(stage.documents.at_hand(&Request::new(&url)).is_none(), "byte {at}");
        fs::write(&file, &good[..at]).unwrap();
        assert!(stage.documents.at_hand(&Request::new(&url)).is_none(), "cut at {at}");
    }
    let again = stage.fetch(DAY).unwrap();
    assert!(again.fresh && again.bytes == b"first");
    assert!(!stage.asked()[1].headers.contains_key("if-none-match"));
}

#[test]
fn who_asks_with_another_credential_gets_another_document() {
    let stage = Stage::new();
    let url = stage.url();
    let (one, other) = (Credential::bearer("hunter2"), Credential::bearer("other"));
    let request = Request { credential: Some(&one), ..Request::new(&url) };
    stage.documents.fetch(&stage.http, request, DAY, &Progress::default()).unwrap();
    assert!(stage.documents.at_hand(&request).is_some());
    assert!(stage.documents.at_hand(&Request::new(&url)).is_none());
    assert!(stage.documents.at_hand(&Request { credential: Some(&other), ..request }).is_none());
    assert!(stage.documents.at_hand(&Request { accept: Some("application/json"), ..request }).is_none());
    stage.documents.forget(&request);
    assert!(stage.documents.at_hand(&request).is_none());
}

#[test]
fn only_the_owner_reads_it_and_no_secret_is_in_it() {
    let stage = Stage::new();
    let url = stage.server.url("/left-pad?token=hunter2");
    let token = Credential::bearer("hunter2");
    let request = Request { credential: Some(&token), ..Request::new(&url) };
    let document = stage.documents.fetch(&stage.http, request, DAY, &Progress::default()).unwrap();
    assert_eq!(document.url, stage.url());
    for file in stage.files() {
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let bytes = fs::read(&file).unwrap();
        assert!(!bytes.windows(7).any(|window| window == b"hunter2"));
        assert!(!file.display().to_string().contains("127.0.0.1"));
    }
}

#[test]
fn many_at_once_all_get_it_whole() {
    let stage = Stage::new();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..10 {
                    assert_eq!(stage.fetch(Duration::ZERO).unwrap().bytes, b"first");
                }
            });
        }
    });
    assert_eq!(stage.files().len(), 1);
}
