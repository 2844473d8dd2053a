//! Compares an archive with its published hash while it comes.
//!
//! It goes to a file without a name: nobody can look at it before it is compared, and it is gone with this
//! process.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::Path;

use sha2::digest::DynDigest;

use super::hash::to_hex;
use super::offer::{Algorithm, Hash};
use crate::error::{Error, Kind, Result};

/// An archive that is coming.
pub(super) struct Verifier {
    file: File,
    digest: Box<dyn DynDigest + Send>,
    place: std::path::PathBuf,
}

impl Verifier {
    /// Keeps it on the disk of `directory`.
    pub(super) fn new(directory: &Path, algorithm: Algorithm) -> Result<Self> {
        let file = tempfile::tempfile_in(directory);
        let file = file.map_err(|error| Error::io("make a file in", directory, &error))?;
        let digest: Box<dyn DynDigest + Send> = match algorithm {
            Algorithm::Sha1 => Box::<sha1::Sha1>::default(),
            Algorithm::Sha256 => Box::<sha2::Sha256>::default(),
            Algorithm::Sha384 => Box::<sha2::Sha384>::default(),
            Algorithm::Sha512 => Box::<sha2::Sha512>::default(),
        };
        Ok(Verifier { file, digest, place: directory.to_owned() })
    }

    /// The archive, if it is the one that was published; `or` are those that it may have instead.
    /// Also which hash it has.
    pub(super) fn finish(mut self, what: &str, published: &Hash, or: &[Hash]) -> Result<(File, Hash)> {
        let came = to_hex(&self.digest.finalize());
        let Some(own) = std::iter::once(published).chain(or).find(|hash| hash.hex == came) else {
            let algorithm = published.algorithm.as_str();
            let why = format!(
                "its {algorithm} is {came}, and the registry publishes {}; nothing of it is shown",
                published.hex
            );
            return Err(Error::new(Kind::Corrupt, what, why).hint(
                "try again; if it stays so, the archive was replaced or a proxy changes it: tell who runs the registry",
            ));
        };
        self.file.rewind().map_err(|error| Error::io("read a file of", &self.place, &error))?;
        Ok((self.file, own.clone()))
    }
}

impl Write for Verifier {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let written = self.file.write(piece)?;
        self.digest.update(&piece[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn only_what_was_published_is_had() {
        let directory = tempfile::tempdir().unwrap();
        let abc = [
            (Algorithm::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (Algorithm::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                Algorithm::Sha384,
                "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
            ),
            (
                Algorithm::Sha512,
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                 2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            ),
        ];
        for (algorithm, hex) in abc {
            let published = Hash { algorithm, hex: hex.to_owned() };
            let verified = |content: &[u8]| {
                let mut verifier = Verifier::new(directory.path(), algorithm).unwrap();
                content.chunks(2).for_each(|piece| verifier.write_all(piece).unwrap());
                verifier.finish("fetch x", &published, &[])
            };
            let mut read = String::new();
            verified(b"abc").unwrap().0.read_to_string(&mut read).unwrap();
            assert_eq!(read, "abc");
            let error = verified(b"abd").unwrap_err();
            assert!(error.kind() == Kind::Corrupt && error.why().contains(hex), "{error}");
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
