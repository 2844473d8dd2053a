//! The certificates of authorities that are trusted: those of the system (or of `SSL_CERT_FILE` and
//! `SSL_CERT_DIR`), and those of files that a registry's configuration names.

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
    for file in files {
        trusted.extend(read(what, file)?);
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

fn read(what: &str, file: &Path) -> Result<Vec<Certificate<'static>>> {
    let unusable = |why: String| {
        Error::new(Kind::Config, what, format!("{} is to be trusted, but {why}", file.display()))
            .hint("name a file of certificates in PEM form, or remove it from the registry's configuration")
    };
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
