//! The decoded blobs that somebody is in the middle of reading, for the whole process.
//!
//! The kernel reads a large file in several requests, on several threads. Without this each of them
//! would decode the blob again (measured on a Linux tree: 16 s instead of 3 s). Blobs are named by
//! their content, so one store serves all generations.
//!
//! - One thread decodes a blob, the others that want it wait for that one. A failure reaches each of
//!   them from a try of its own.
//! - What has been handed out whole is dropped: the kernel keeps it now.
//! - What nobody asked for in a few seconds may take [`IDLE_BYTES`]; what is being read may take
//!   [`BUSY_BYTES`], so that two readers of large files do not drop each other's. The newest blob stays
//!   whatever its size, else it could not be read at all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::ObjectId;
use crate::error::Result;

const IDLE_BYTES: usize = 16 << 20;
const BUSY_BYTES: usize = 48 << 20;
const BUSY: Duration = Duration::from_secs(2);

type Blob = Arc<[u8]>;

struct Kept {
    /// Locked while it is decoded. No other lock is waited for meanwhile but that of the map.
    slot: Arc<Mutex<Option<Blob>>>,
    /// 0 until it is decoded.
    bytes: usize,
    served: u64,
    used: Instant,
}

type Blobs = HashMap<ObjectId, Kept>;

fn blobs() -> MutexGuard<'static, Blobs> {
    static BLOBS: OnceLock<Mutex<Blobs>> = OnceLock::new();
    lock(BLOBS.get_or_init(Mutex::default))
}

/// The blob if it is kept or just being decoded, for a read of this part of it.
pub(super) fn get(object: &ObjectId, offset: u64, size: u32) -> Option<Blob> {
    let slot = Arc::clone(&blobs().get(object)?.slot);
    let blob = lock(&slot).clone()?;
    served(&mut blobs(), object, &blob, offset, size);
    Some(blob)
}

/// The blob, decoded by this call if need be, for a read of this part of it.
pub(super) fn get_or_decode(
    object: &ObjectId,
    offset: u64,
    size: u32,
    decode: impl FnOnce() -> Result<Blob>,
) -> Result<Blob> {
    let empty = || Kept { slot: Arc::default(), bytes: 0, served: 0, used: Instant::now() };
    let slot = Arc::clone(&blobs().entry(*object).or_insert_with(empty).slot);
    let mut content = lock(&slot);
    let blob = match &*content {
        Some(blob) => Arc::clone(blob),
        None => {
            let decoded = decode().inspect_err(|_| {
                let mut blobs = blobs();
                if blobs.get(object).is_some_and(|kept| kept.bytes == 0) {
                    blobs.remove(object);
                }
            })?;
            *content = Some(Arc::clone(&decoded));
            decoded
        }
    };
    drop(content);
    let mut blobs = blobs();
    if let Some(kept) = blobs.get_mut(object) {
        kept.bytes = blob.len();
    }
    served(&mut blobs, object, &blob, offset, size);
    evict(&mut blobs, object, Instant::now());
    Ok(blob)
}

/// Drops what nobody asked for in the last seconds.
pub(super) fn trim() {
    blobs().retain(|_, kept| kept.used.elapsed() < BUSY || kept.bytes == 0);
}

fn served(blobs: &mut Blobs, object: &ObjectId, blob: &Blob, offset: u64, size: u32) {
    let length = blob.len() as u64;
    let Some(kept) = blobs.get_mut(object) else { return };
    kept.used = Instant::now();
    kept.served += length.saturating_sub(offset).min(u64::from(size));
    if kept.served >= length {
        blobs.remove(object);
    }
}

/// Drops the least recently used ones until the bounds hold; never `newest`.
fn evict(blobs: &mut Blobs, newest: &ObjectId, now: Instant) {
    loop {
        let total: usize = blobs.values().map(|kept| kept.bytes).sum();
        let others = blobs.iter().filter(|(object, kept)| *object != newest && kept.bytes > 0);
        let oldest = others.min_by_key(|(_, kept)| kept.used).map(|(object, kept)| (*object, kept.used));
        let Some((oldest, used)) = oldest else { return };
        let is_busy = now.saturating_duration_since(used) < BUSY;
        if total <= if is_busy { BUSY_BYTES } else { IDLE_BYTES } {
            return;
        }
        blobs.remove(&oldest);
    }
}

/// What these locks protect is whole between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
