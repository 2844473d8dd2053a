//! Encrypted connections: only to whom an authority that is trusted vouches for.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use srcfs::error::Kind;
use srcfs::source::Progress;
use srcfs::source::http::{Bounds, Request};
use url::Url;

use crate::server::{Asked, Peer, Server};
use crate::{LONG, SHORT, assert_kind, content_of, http};

/// A server that a new authority vouches for as `name`, and the file with the authority's certificate.
fn encrypted(
    name: &str,
    answering: fn(&Asked, &mut Peer) -> std::io::Result<()>,
) -> (Server, tempfile::TempDir, PathBuf) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("authority.pem");
    std::fs::write(&file, authority.pem()).unwrap();

    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let wrap = move |stream: TcpStream| -> Box<dyn crate::server::Stream> {
        let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        Box::new(StreamOwned::new(connection, stream))
    };
    (Server::over("https", wrap, answering), directory, file)
}

#[test]
fn an_authority_of_the_caller_is_trusted_and_no_other() {
    let (server, _directory, file) = encrypted("127.0.0.1", |_, peer| peer.answer(200, "", "sealed"));
    let url = server.url("/");
    let trust = [file];
    let got = content_of(Request { trust: &trust, ..Request::new(&url) }).unwrap();
    assert_eq!(got.bytes, b"sealed");

    let error = assert_kind(content_of(Request::new(&url)), Kind::Network);
    assert!(error.why().contains("no trusted connection"), "{error}");
    let (_, _other, file) = encrypted("127.0.0.1", |_, peer| peer.answer(200, "", ""));
    let trust = [file];
    assert_kind(content_of(Request { trust: &trust, ..Request::new(&url) }), Kind::Network);
}

#[test]
fn a_directory_of_certificates_is_trusted_whatever_else_lies_in_it() {
    let (server, directory, file) = encrypted("127.0.0.1", |_, peer| peer.answer(200, "", "sealed"));
    let url = server.url("/");
    std::fs::write(directory.path().join("README"), "no certificate\n").unwrap();
    let inside = directory.path().join("inside");
    std::fs::create_dir(&inside).unwrap();
    let trust = [directory.path().to_owned()];
    assert_eq!(content_of(Request { trust: &trust, ..Request::new(&url) }).unwrap().bytes, b"sealed");

    std::fs::remove_file(file).unwrap();
    let error = assert_kind(content_of(Request { trust: &trust, ..Request::new(&url) }), Kind::Config);
    assert!(error.why().contains("no file in it holds a certificate"), "{error}");
}

#[test]
fn trust_is_not_shared_between_requests() {
    let (server, _directory, file) = encrypted("127.0.0.1", |_, peer| peer.answer(200, "", "sealed"));
    let (http, url, trust) = (http(LONG), server.url("/"), [file]);
    http.get(Request { trust: &trust, ..Request::new(&url) }, &Progress::default()).unwrap();
    assert_kind(http.get(Request::new(&url), &Progress::default()), Kind::Network);
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let (server, _directory, file) = encrypted("registry.example", |_, peer| peer.answer(200, "", "sealed"));
    let (url, trust) = (server.url("/"), [file]);
    assert_kind(content_of(Request { trust: &trust, ..Request::new(&url) }), Kind::Network);
    assert!(server.asked().is_empty());
}

#[test]
fn a_file_without_certificates_is_a_matter_of_the_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let trust = [directory.path().join("empty.pem")];
    std::fs::write(&trust[0], "nothing\n").unwrap();
    let url = Url::parse("https://127.0.0.1:1/").unwrap();
    assert_kind(content_of(Request { trust: &trust, ..Request::new(&url) }), Kind::Config);
}

#[test]
fn nobody_is_led_out_of_encryption() {
    let (server, _directory, file) = encrypted("127.0.0.1", |_, peer| {
        peer.answer(302, "Location: http://127.0.0.1:1/?token=hunter2\r\n", "")
    });
    let (url, trust) = (server.url("/"), [file]);
    let error = assert_kind(content_of(Request { trust: &trust, ..Request::new(&url) }), Kind::Network);
    assert!(error.why().contains("not encrypted"), "{error}");
}

#[test]
fn a_server_that_does_not_shake_hands_is_left() {
    // The kernel connects; nobody ever takes the connection.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = Url::parse(&format!("https://{}/", silent.local_addr().unwrap())).unwrap();
    let bounds = Bounds { connect: SHORT.answer, ..SHORT };
    assert_kind(http(bounds).get(Request::new(&url), &Progress::default()), Kind::TimedOut);
}

#[test]
fn a_server_that_does_not_encrypt_is_refused() {
    let plain = Server::start(|_, peer| {
        peer.send("HTTP/1.1 400 X\r\n\r\n")?;
        Err(std::io::ErrorKind::Other.into())
    });
    let mut url = plain.url("/");
    url.set_scheme("https").unwrap();
    assert_kind(content_of(Request::new(&url)), Kind::Network);
}
