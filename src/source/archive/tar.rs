//! The entries of a tar, read strictly from front to back.
//!
//! The `tar` crate reads the fields of headers. Its iterator is not used: it keeps extension headers of
//! any size in memory, lets PAX and header disagree, and takes the size of a directory for bytes that
//! follow, which node and Python do not. Where these read an archive in different ways, so that one of
//! them would show what another hides, it is refused:
//!
//! - a size in PAX that is not that of the header; a name or target in PAX and in GNU's way; two
//!   extensions of one sort before one entry, or one key twice in one of them; extensions for all
//!   entries (`g`) that would change names or sizes;
//! - a link or a directory with content, a file with a target, a sort of entry that POSIX does not know;
//! - a wrong checksum; one block of zeros that is not the end.
//!
//! A tar may end without its two blocks of zeros, as all clients allow, but only between entries; what
//! follows those is read and ignored.

use std::io::{self, Read};

use tar::Header;

use self::extension::Extensions;
use super::allowance::Measured;
use super::entry::{Entry, EntryKind};
use super::failure;
use crate::error::Result;

mod extension;
mod number;

const BLOCK: usize = 512;

/// Calls `visit` for each entry.
pub(super) fn read(
    stream: &mut Measured<'_, '_, impl Read>,
    directory_sizes_count: bool,
    visit: &mut dyn FnMut(&Entry, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    let mut extensions = Extensions::default();
    let mut is_first = true;
    while let Some(block) = next_header(stream)? {
        let header = Header::from_byte_slice(&block);
        check_sum(header, &block, is_first)?;
        is_first = false;
        let name = header.path_bytes().into_owned();
        let size = number::unsigned(&header.as_old().size)
            .ok_or_else(|| failure::refused(&name, "its size is no number"))?;
        let sort = header.as_old().linkflag[0];
        // What it says it has, before any of it is read; it is counted again as it comes.
        stream.allowance.check(size).map_err(|error| failure::within(&name, error))?;
        let mut content = Content { stream, left: size };
        if extensions.take(sort, size, &mut content)? {
            content.finish(size)?;
            continue;
        }
        let mut entry = entry(header, name, size, std::mem::take(&mut extensions))?;
        match entry.kind {
            EntryKind::Directory if directory_sizes_count && size != 0 => {
                return Err(failure::refused(&entry.name, "it is a directory with content"));
            }
            EntryKind::Directory => (entry.size, content.left) = (0, 0),
            EntryKind::Symlink { .. } | EntryKind::HardLink { .. } if size != 0 => {
                return Err(failure::refused(&entry.name, "it is a link with content"));
            }
            _ => {}
        }
        let in_stream = content.left;
        visit(&entry, &mut content).map_err(|error| failure::within(&entry.name, error))?;
        content.finish(in_stream).map_err(|error| failure::within(&entry.name, error))?;
    }
    if !extensions.is_empty() {
        return Err(failure::corrupt_archive("it ends between an extension header and its entry"));
    }
    // To the end: a checksum may be there, and no more than is allowed.
    io::copy(stream, &mut io::sink()).map_err(|error| failure::of_stream(&error))?;
    Ok(())
}

/// The next header that is not the end.
fn next_header(stream: &mut dyn Read) -> Result<Option<[u8; BLOCK]>> {
    let Some(block) = next_block(stream)? else { return Ok(None) };
    if block.iter().any(|&byte| byte != 0) {
        return Ok(Some(block));
    }
    // Node goes on after one block of zeros, Python ends there.
    match next_block(stream)? {
        Some(second) if second.iter().any(|&byte| byte != 0) => {
            Err(failure::refused_archive("entries follow a single block of zeros, which is the end for some"))
        }
        _ => Ok(None),
    }
}

fn next_block(stream: &mut dyn Read) -> Result<Option<[u8; BLOCK]>> {
    let mut block = [0; BLOCK];
    let mut filled = 0;
    while filled < BLOCK {
        match stream.read(&mut block[filled..]).map_err(|error| failure::of_stream(&error))? {
            0 if filled == 0 => return Ok(None),
            0 => return Err(failure::corrupt_archive("it is cut short in a header")),
            length => filled += length,
        }
    }
    Ok(Some(block))
}

fn check_sum(header: &Header, block: &[u8; BLOCK], is_first: bool) -> Result<()> {
    const FIELD: std::ops::Range<usize> = 148..156;
    let byte = |(at, &byte): (usize, &u8)| u32::from(if FIELD.contains(&at) { b' ' } else { byte });
    let sum: u32 = block.iter().enumerate().map(byte).sum();
    match number::unsigned(&header.as_old().cksum) {
        Some(said) if said == u64::from(sum) => Ok(()),
        _ if is_first => Err(failure::corrupt_archive("it is no tar")),
        _ => Err(failure::corrupt(&header.path_bytes(), "the checksum of its header is wrong")),
    }
}

fn entry(header: &Header, mut name: Vec<u8>, size: u64, extensions: Extensions) -> Result<Entry> {
    let refused = |name: &[u8], why: String| Err(failure::refused(name, why));
    let old = header.as_old();
    if header.as_ustar().is_none() && header.as_gnu().is_none() && header.as_bytes()[345] != 0 {
        // Some read a first part of the name there whatever the header says it is.
        return refused(&name, "its header has more than its format allows".to_owned());
    }
    let mut target = header.link_name_bytes().map_or_else(Vec::new, |target| target.into_owned());
    if let Some(long) = extensions.name {
        name = long;
    }
    if let Some(long) = extensions.target {
        target = long;
    }
    if extensions.is_sparse {
        return refused(&name, "it is a sparse file".to_owned());
    }
    if extensions.size.is_some_and(|said| said != size) {
        return refused(&name, "its header says another size than its PAX header".to_owned());
    }
    // A mode that is no number is none; clients differ, and nothing depends on it but one bit.
    let mode = number::unsigned(&old.mode).unwrap_or(0);
    let file = EntryKind::File { executable: mode & 0o111 != 0 };
    let kind = match old.linkflag[0] {
        b'0' | b'\0' | b'7' if name.ends_with(b"/") && size == 0 => EntryKind::Directory,
        b'0' | b'\0' | b'7' if name.ends_with(b"/") => {
            return refused(&name, "it has the name of a directory and the content of a file".to_owned());
        }
        b'0' | b'\0' | b'7' => file,
        b'1' => EntryKind::HardLink { target: target.clone() },
        b'2' => EntryKind::Symlink { target: target.clone() },
        b'3' => EntryKind::Special("a character device"),
        b'4' => EntryKind::Special("a block device"),
        b'5' => EntryKind::Directory,
        b'6' => EntryKind::Special("a FIFO"),
        b'S' => EntryKind::Special("a sparse file"),
        sort => {
            let sort = char::from(sort).escape_default();
            return refused(&name, format!("it is of the sort '{sort}', which programs read differently"));
        }
    };
    let is_link = matches!(kind, EntryKind::HardLink { .. } | EntryKind::Symlink { .. });
    if !is_link && !target.is_empty() {
        // Node leaves such an entry out, all others show it.
        return refused(&name, "it is no link and has the target of one".to_owned());
    }
    let modified = extensions.modified.or_else(|| number::signed(&old.mtime));
    Ok(Entry { name, kind, size, modified })
}

/// The content of an entry.
struct Content<'a> {
    stream: &'a mut dyn Read,
    left: u64,
}

impl Content<'_> {
    /// Reads over what is left of `size` bytes and over what fills the last block.
    fn finish(&mut self, size: u64) -> Result<()> {
        io::copy(self, &mut io::sink()).map_err(|error| failure::of_stream(&error))?;
        self.left = size.next_multiple_of(BLOCK as u64) - size;
        io::copy(self, &mut io::sink()).map_err(|error| failure::of_stream(&error))?;
        Ok(())
    }
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let length = self.stream.read(&mut buffer[..most])?;
        if length == 0 {
            return Err(io::Error::other(failure::corrupt_archive("it is cut short")));
        }
        self.left -= length as u64;
        Ok(length)
    }
}
