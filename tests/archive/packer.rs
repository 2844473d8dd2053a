//! Writes archives: proper ones, and ones that no tool would write, header by header.

use std::io::Write;

use tar::Header;

/// The bytes of one entry of a tar, with header and padding.
pub fn item(name: &str, sort: u8, content: &[u8]) -> Vec<u8> {
    edited(name, sort, content, |_| {})
}

/// The same, with its header changed before it gets its checksum.
pub fn edited(name: &str, sort: u8, content: &[u8], edit: impl FnOnce(&mut Header)) -> Vec<u8> {
    let mut header = Header::new_ustar();
    let old = header.as_old_mut();
    old.name[..name.len()].copy_from_slice(name.as_bytes());
    old.linkflag = [sort];
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(1_000_000_000);
    edit(&mut header);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

pub fn file(name: &str, content: &str) -> Vec<u8> {
    item(name, b'0', content.as_bytes())
}

pub fn directory(name: &str) -> Vec<u8> {
    item(name, b'5', b"")
}

pub fn link(name: &str, sort: u8, target: &str) -> Vec<u8> {
    edited(name, sort, b"", |header| {
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
    })
}

/// A PAX header (`x` or `g`) of these records.
pub fn pax(sort: u8, records: &[(&str, &str)]) -> Vec<u8> {
    let record = |(key, value): &(&str, &str)| {
        let rest = format!(" {key}={value}\n");
        let digits = (1..).find(|digits| (digits + rest.len()).to_string().len() == *digits).unwrap();
        format!("{}{rest}", digits + rest.len())
    };
    item("pax", sort, records.iter().map(record).collect::<String>().as_bytes())
}

/// A whole tar of these items.
pub fn tar(items: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = items.concat();
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn tgz(items: &[Vec<u8>]) -> Vec<u8> {
    gzip(&tar(items))
}

/// One entry of a zip as it is to be written: what its two headers say can be changed by itself.
#[derive(Clone)]
pub struct Zipped {
    pub name: Vec<u8>,
    pub local_name: Vec<u8>,
    pub content: Vec<u8>,
    pub flags: u16,
    pub local_flags: u16,
    pub method: u16,
    pub checksum: u32,
    pub size: u32,
    pub local_size: u32,
    pub mode: u32,
    pub local_extra: Vec<u8>,
    pub extra: Vec<u8>,
    /// What stands before its local header.
    pub gap: Vec<u8>,
    /// What stands after its data.
    pub after: Vec<u8>,
}

/// A stored entry that is in order.
pub fn zipped(name: &str, content: &str) -> Zipped {
    let size = content.len() as u32;
    Zipped {
        name: name.into(),
        local_name: name.into(),
        content: content.into(),
        flags: 1 << 11,
        local_flags: 1 << 11,
        method: 0,
        checksum: crc32fast::hash(content.as_bytes()),
        size,
        local_size: size,
        mode: 0o100644,
        local_extra: Vec::new(),
        extra: Vec::new(),
        gap: Vec::new(),
        after: Vec::new(),
    }
}

/// A zip in its parts, before its end.
pub struct Zip {
    pub entries: Vec<u8>,
    pub directory: Vec<u8>,
    pub number: u16,
}

pub fn zip_parts(entries: &[Zipped]) -> Zip {
    let mut zip = Zip { entries: Vec::new(), directory: Vec::new(), number: entries.len() as u16 };
    for entry in entries {
        zip.entries.extend_from_slice(&entry.gap);
        let offset = zip.entries.len() as u32;
        let packed = entry.content.len() as u32;
        let common = |flags: u16, size: u32| {
            let mut bytes = Vec::new();
            bytes.extend_from_slice(&20u16.to_le_bytes());
            bytes.extend_from_slice(&flags.to_le_bytes());
            bytes.extend_from_slice(&entry.method.to_le_bytes());
            bytes.extend_from_slice(&[0, 0, 0x21, 0]);
            bytes.extend_from_slice(&entry.checksum.to_le_bytes());
            bytes.extend_from_slice(&packed.to_le_bytes());
            bytes.extend_from_slice(&size.to_le_bytes());
            bytes
        };
        zip.entries.extend_from_slice(b"PK\x03\x04");
        zip.entries.extend_from_slice(&common(entry.local_flags, entry.local_size));
        zip.entries.extend_from_slice(&(entry.local_name.len() as u16).to_le_bytes());
        zip.entries.extend_from_slice(&(entry.local_extra.len() as u16).to_le_bytes());
        zip.entries.extend_from_slice(&entry.local_name);
        zip.entries.extend_from_slice(&entry.local_extra);
        zip.entries.extend_from_slice(&entry.content);
        zip.entries.extend_from_slice(&entry.after);

        zip.directory.extend_from_slice(b"PK\x01\x02\x14\x03");
        zip.directory.extend_from_slice(&common(entry.flags, entry.size));
        zip.directory.extend_from_slice(&(entry.name.len() as u16).to_le_bytes());
        zip.directory.extend_from_slice(&(entry.extra.len() as u16).to_le_bytes());
        zip.directory.extend_from_slice(&[0; 6]);
        zip.directory.extend_from_slice(&(entry.mode << 16).to_le_bytes());
        zip.directory.extend_from_slice(&offset.to_le_bytes());
        zip.directory.extend_from_slice(&entry.name);
        zip.directory.extend_from_slice(&entry.extra);
    }
    zip
}

impl Zip {
    pub fn end(&self, comment: &[u8]) -> Vec<u8> {
        let mut bytes = b"PK\x05\x06\0\0\0\0".to_vec();
        bytes.extend_from_slice(&self.number.to_le_bytes());
        bytes.extend_from_slice(&self.number.to_le_bytes());
        bytes.extend_from_slice(&(self.directory.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&(self.entries.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&(comment.len() as u16).to_le_bytes());
        bytes.extend_from_slice(comment);
        bytes
    }

    pub fn whole(&self) -> Vec<u8> {
        [&self.entries[..], &self.directory, &self.end(b"")].concat()
    }
}

pub fn zip(entries: &[Zipped]) -> Vec<u8> {
    zip_parts(entries).whole()
}
