//! Builds archives and says their hashes. Times are fixed, so that the same files are the same bytes.

use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::Digest;

/// The time of all files: 2023-11-14T22:13:20Z.
pub const EPOCH: u64 = 1_700_000_000;

/// The time that registries say of a publication if a test names no other.
pub const PUBLISHED: &str = "2023-11-14T22:13:20.000Z";

/// A file of an archive: its name and its content.
pub type File = (String, Vec<u8>);

/// A `.tar.gz` of these files, by their full names. A name that ends in `!` is an executable file's
/// (without the `!`).
pub fn tgz(files: &[File]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mtime(EPOCH);
        header.set_mode(if name.ends_with('!') { 0o755 } else { 0o644 });
        builder.append_data(&mut header, name.trim_end_matches('!'), content.as_slice()).unwrap();
    }
    gzip(&builder.into_inner().unwrap())
}

/// A `.zip` of these files, by their full names.
pub fn zip(files: &[File]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        let mode = if name.ends_with('!') { 0o755 } else { 0o644 };
        let options = zip::write::SimpleFileOptions::default().unix_permissions(mode);
        writer.start_file(name.trim_end_matches('!'), options).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// Compressed, as archives and answers are.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The files of a test below a top directory, and this one if it is not among them.
pub(super) fn below<C: AsRef<[u8]>>(top: &str, files: &[(&str, C)], manifest: (&str, String)) -> Vec<File> {
    let mut all = Vec::new();
    if !files.iter().any(|(name, _)| *name == manifest.0) {
        all.push((format!("{top}{}", manifest.0), manifest.1.into_bytes()));
    }
    all.extend(files.iter().map(|(name, content)| (format!("{top}{name}"), content.as_ref().to_vec())));
    all
}

/// Its SHA-256, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&sha2::Sha256::digest(bytes))
}

/// Its SHA-1, in hexadecimal.
pub fn sha1(bytes: &[u8]) -> String {
    hexadecimal(&sha1::Sha1::digest(bytes))
}

/// Its SHA-512, as npm writes it.
pub fn integrity(bytes: &[u8]) -> String {
    format!("sha512-{}", base64(&sha2::Sha512::digest(bytes)))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// In base64, with padding.
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let number =
            three.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for digit in 0..4 {
            match digit <= three.len() {
                true => text.push(DIGITS[(number >> (18 - 6 * digit)) as usize & 63] as char),
                false => text.push('='),
            }
        }
    }
    text
}
