//! The documents of registries that are at hand: each is asked for again only when it is old, and comes
//! again only when it has changed.
//!
//! Invariants: what is kept was a whole answer; a failure is never kept, and never answered with what was
//! kept before, unless the caller asks for that ([`Documents::at_hand`]); a document that came with another
//! credential or for other media types is another document; one that is larger than who asks wants to read is
//! none for him. A damaged file is none. Two processes at once may both ask: the last one stays, and either is
//! right.
//!
//! No credential and no query of a url stands in the files or their names. All of them together stay below
//! a bound; the ones that were asked for longest ago go first.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use serde::{Deserialize, Serialize};
use sha2::Digest;
use url::Url;

use super::failure::Trouble;
use super::{Answer, Content, Http, Request};
use crate::error::Result;
use crate::source::{Progress, memory};

/// The bytes that all files together may have.
const BOUND: u64 = 512 * 1024 * 1024;
/// A process looks at how many there are at its first write, and after it has written so much.
const LOOK_AFTER: u64 = BOUND / 16;
const EXTENSION: &str = "document";
const MAGIC: &[u8; 8] = b"srcfsdc1";
/// A time so far ahead was written under another clock.
const AHEAD: Duration = Duration::from_secs(60);

/// A document, and when it was one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// It.
    pub bytes: Vec<u8>,
    /// What its relative links are relative to: where it came from in the end, without a query, which
    /// may hold a secret.
    pub url: Url,
    /// When the server last said that it is this.
    pub asked: SystemTime,
    /// Whether the server said so just now.
    pub fresh: bool,
}

/// The documents in one directory.
pub struct Documents {
    directory: PathBuf,
    bound: u64,
    /// Written since somebody looked at how much there is; [`u64::MAX`] before the first look.
    unlooked: AtomicU64,
}

/// What is known of a document beside its bytes.
#[derive(Serialize, Deserialize)]
struct Head {
    etag: Option<String>,
    last_modified: Option<String>,
    url: String,
    length: u64,
}

impl Documents {
    /// Keeps them in `directory`, which exists. Other files there are left alone.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Documents { directory: directory.into(), bound: BOUND, unlooked: AtomicU64::new(u64::MAX) }
    }

    /// The document, asked for unless somebody has done so within `max_age`. What `request` says of an
    /// `ETag` is not looked at.
    ///
    /// Fails as [`Http::get`] does; a document that cannot be kept is logged and returned all the same.
    pub fn fetch(
        &self,
        http: &Http,
        request: Request<'_>,
        max_age: Duration,
        progress: &Progress,
    ) -> Result<Document> {
        let file = self.place(&request);
        let known = read(&file, request.limit);
        if let Some((_, document)) = &known
            && is_younger(document.asked, max_age)
        {
            return Ok(document.clone());
        }
        let (etag, last_modified) = match &known {
            Some((head, _)) => (head.etag.as_deref(), head.last_modified.as_deref()),
            None => (None, None),
        };
        let asked = SystemTime::now();
        let (head, document) = match http.get(Request { etag, last_modified, ..request }, progress)? {
            Answer::Content(Content { bytes, etag, last_modified, mut url }) => {
                url.set_query(None);
                let document = Document { bytes, url, asked, fresh: true };
                (Head::of(&document, etag, last_modified), document)
            }
            Answer::NotModified { etag: new_etag, last_modified: new_time } => {
                // Only what is known is asked for so that this can be the answer.
                let Some((head, known)) = known else {
                    return Err(Trouble::garbled("an unchanged document that was not known").error("get it"));
                };
                let document = Document { asked, fresh: true, ..known };
                let (etag, last_modified) =
                    (new_etag.or(head.etag.clone()), new_time.or(head.last_modified.clone()));
                let same = etag == head.etag && last_modified == head.last_modified;
                if same && was_asked(&file, asked).is_ok() {
                    return Ok(document);
                }
                (Head::of(&document, etag, last_modified), document)
            }
        };
        if let Err(error) = self.keep(&file, &head, &document) {
            log::warn!("a document is not kept: {error}");
        }
        Ok(document)
    }

    /// The document as it was when it was last asked for, however long ago. Nobody is asked.
    pub fn at_hand(&self, request: &Request<'_>) -> Option<Document> {
        read(&self.place(request), request.limit).map(|(_, document)| document)
    }

    /// Forgets a document: it was whole, but not what it should be.
    pub fn forget(&self, request: &Request<'_>) {
        let _ = std::fs::remove_file(self.place(request));
    }

    /// Where a document is kept: by all that the answer depends on.
    fn place(&self, request: &Request<'_>) -> PathBuf {
        let mut digest = sha2::Sha256::new();
        let credential = request.credential.map(|credential| credential.header());
        for part in [Some(request.url.as_str()), request.accept, credential] {
            // No part can be taken for another one, nor an absent one for an empty one.
            let length = part.map_or(u64::MAX, |part| part.len() as u64);
            digest.update(length.to_le_bytes());
            digest.update(part.unwrap_or_default());
        }
        let name: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        self.directory.join(name).with_extension(EXTENSION)
    }

    fn keep(&self, file: &Path, head: &Head, document: &Document) -> Result<()> {
        let content = encode(head, &document.bytes);
        let length = content.len() as u64;
        memory::store(file, content)?;
        // Until here its time is that of the writing, a little later: no harm if this is the end.
        let _ = was_asked(file, document.asked);
        let unlooked = self.unlooked.load(Ordering::Relaxed);
        self.unlooked.store(unlooked.saturating_add(length), Ordering::Relaxed);
        if unlooked.saturating_add(length) >= LOOK_AFTER.min(self.bound / 4) {
            self.unlooked.store(0, Ordering::Relaxed);
            self.shrink();
        }
        Ok(())
    }

    /// Removes the oldest until three quarters of the bound are left.
    fn shrink(&self) {
        let entries = std::fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let documents = entries.filter(|entry| entry.path().extension().is_some_and(|end| end == EXTENSION));
        let mut files: Vec<_> = documents
            .filter_map(|entry| {
                let metadata = entry.metadata().ok()?;
                Some((metadata.modified().ok()?, metadata.len(), entry.path()))
            })
            .collect();
        let mut total: u64 = files.iter().map(|(_, length, _)| length).sum();
        if total <= self.bound {
            return;
        }
        files.sort();
        for (_, length, path) in files {
            if total <= self.bound / 4 * 3 {
                break;
            }
            if std::fs::remove_file(path).is_ok() {
                total -= length;
            }
        }
    }
}

impl Head {
    fn of(document: &Document, etag: Option<String>, last_modified: Option<String>) -> Head {
        Head { etag, last_modified, url: document.url.to_string(), length: document.bytes.len() as u64 }
    }
}

/// Notes in `file` when the server said that the document is the one there.
fn was_asked(file: &Path, asked: SystemTime) -> std::io::Result<()> {
    std::fs::File::options().write(true).open(file)?.set_modified(asked)
}

fn is_younger(asked: SystemTime, max_age: Duration) -> bool {
    match asked.elapsed() {
        Ok(age) => age < max_age,
        Err(ahead) => !max_age.is_zero() && ahead.duration() < AHEAD,
    }
}

/// The head and the bytes, compressed as one: a fast level, for most of it is text that repeats itself.
fn encode(head: &Head, bytes: &[u8]) -> Vec<u8> {
    let head = serde_json::to_vec(head).unwrap_or_default();
    let mut encoder = ZlibEncoder::new(MAGIC.to_vec(), Compression::fast());
    let mut written = encoder.write_all(&(head.len() as u64).to_le_bytes());
    written = written.and_then(|()| encoder.write_all(&head)).and_then(|()| encoder.write_all(bytes));
    // Memory does not fail; and what is not whole would be no document.
    written.and_then(|()| encoder.finish()).unwrap_or_default()
}

/// What is kept in `file`, if it is a document of no more than `limit` bytes.
fn read(file: &Path, limit: u64) -> Option<(Head, Document)> {
    // Before the content: if another one comes between, this one is taken for older than it is.
    let asked = file.metadata().ok()?.modified().ok()?;
    let content = memory::load(file)?;
    let mut decoder = ZlibDecoder::new(content.strip_prefix(MAGIC)?);
    let mut length = [0; 8];
    decoder.read_exact(&mut length).ok()?;
    let mut head = Vec::new();
    decoder.by_ref().take(u64::from_le_bytes(length).min(64 * 1024)).read_to_end(&mut head).ok()?;
    let head: Head = serde_json::from_slice(&head).ok()?;
    if head.length > limit {
        return None;
    }
    let mut bytes = Vec::with_capacity(usize::try_from(head.length).ok()?);
    decoder.take(head.length + 1).read_to_end(&mut bytes).ok()?;
    if bytes.len() as u64 != head.length {
        return None;
    }
    let url = Url::parse(&head.url).ok()?;
    let document = Document { bytes, url, asked, fresh: false };
    Some((head, document))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn all_together_stay_below_the_bound_and_the_oldest_goes_first() {
        let directory = tempfile::tempdir().unwrap();
        let documents = Documents { bound: 40_000, ..Documents::new(directory.path()) };
        std::fs::write(directory.path().join("precious"), [0; 100_000]).unwrap();
        let url = Url::parse("https://registry.example/").unwrap();
        let place = |index: u64| directory.path().join(format!("{index}.{EXTENSION}"));
        for index in 0..20_u64 {
            // Bytes that do not become fewer.
            let hash = |at: u64| sha2::Sha256::digest((index * 1000 + at).to_le_bytes());
            let bytes: Vec<u8> = (0..150).flat_map(hash).collect();
            let document = Document { bytes, url: url.clone(), asked: SystemTime::now(), fresh: true };
            documents.keep(&place(index), &Head::of(&document, None, None), &document).unwrap();
            let time = UNIX_EPOCH + Duration::from_secs(1_000_000 + index);
            let file = std::fs::File::options().write(true).open(place(index)).unwrap();
            file.set_modified(time).unwrap();
        }
        let kept: Vec<bool> = (0..20).map(|index| read(&place(index), u64::MAX).is_some()).collect();
        let first = kept.iter().position(|kept| *kept).unwrap();
        assert!(first > 0 && kept[first..].iter().all(|kept| *kept), "{kept:?}");
        assert!((20 - first) * 4800 <= 50_000, "{kept:?}");
        assert!(directory.path().join("precious").exists());
    }

    #[test]
    fn a_time_of_another_clock_is_not_believed() {
        let now = SystemTime::now();
        let day = Duration::from_secs(86_400);
        assert!(is_younger(now - Duration::from_secs(60), day));
        assert!(!is_younger(now - day * 2, day));
        assert!(!is_younger(now + day, day));
        assert!(!is_younger(now, Duration::ZERO));
        assert!(is_younger(now - day * 2, Duration::MAX));
    }
}
