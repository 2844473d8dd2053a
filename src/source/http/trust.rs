//! The certificates of authorities that are trusted: those of the system (or of `SSL_CERT_FILE` and
//! `SSL_CERT_DIR`), and those of files or directories that a registry's configuration names.

use std::path::{Path, PathBuf};

use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};

use crate::error::{Error, Kind, Result};

/// How connections are encrypted and whom they trust. Fails with `Config` for a file that cannot be used
/// and `Unsupported` if there is nobody to trust.
pub(super) fn load(what: &str, files: &[PathBuf]) -> Result<TlsConfig> {
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        log::debug!("certificates of the system: {error}");
    }
    let mut trusted: Vec<Certificate<'static>> =
        system.certs.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect();
    for place in files {
        trusted.extend(match place.is_dir() {
            true => all_of(what, place)?,
            false => read(what, place)?,
        });
    }
    if trusted.is_empty() {
        return Err(Error::new(Kind::Unsupported, what, "this machine trusts no certificate authority")
            .hint("install the package ca-certificates, or set SSL_CERT_FILE"));
    }
    let provider = rustls::crypto::ring::default_provider();
    Ok(TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .root_certs(RootCerts::from(trusted))
        .unversioned_rustls_crypto_provider(std::sync::Arc::new(provider))
        .build())
}

/// Fails if `file` is not a file of certificates.
pub fn check(file: &Path) -> Result<()> {
    read("trust certificates", file).map(|_| ())
}

fn unusable(what: &str, place: &Path, why: &str) -> Error {
    Error::new(Kind::Config, what, format!("{} is to be trusted, but {why}", place.display()))
        .hint("name a file of certificates in PEM form, or remove it from the registry's configuration")
}

/// The certificates of the files in a directory. What else lies there does not matter, as it does not to OpenSSL.
fn all_of(what: &str, directory: &Path) -> Result<Vec<Certificate<'static>>> {
    let found = rustls_native_certs::load_certs_from_paths(None, Some(directory));
    for error in &found.errors {
        log::debug!("certificates of {}: {error}", directory.display());
    }
    if found.certs.is_empty() {
        return Err(unusable(what, directory, "no file in it holds a certificate"));
    }
    Ok(found.certs.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect())
}

fn read(what: &str, file: &Path) -> Result<Vec<Certificate<'static>>> {
    let unusable = |why: String| unusable(what, file, &why);
    let pem = std::fs::read(file).map_err(|error| unusable(error.to_string()))?;
    let certificates: Vec<_> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(Ok(certificate)),
            Ok(_) => None,
            Err(error) => Some(Err(unusable(error.to_string()))),
        })
        .collect::<Result<_>>()?;
    if certificates.is_empty() {
        return Err(unusable("it holds no certificate".to_owned()));
    }
    Ok(certificates)
}
