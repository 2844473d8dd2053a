//! The contents that deltas were applied to lately, for the whole process.
//!
//! Files of one directory are often deltas of one another, so without this a walk would decode the
//! same base again and again. Bounded by bytes, the least recently used goes first.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use super::Buffer;
use super::entry::Sort;

/// All bases together. On the Linux tree half of it costs a tenth more time, twice as much gains nothing.
const BYTES: usize = 8 << 20;

/// A larger one is not kept: it would push out everything else.
const LARGEST: usize = 1 << 20;

/// Pack and entry.
type Key = (u64, u32);

struct Cached {
    sort: Sort,
    content: Arc<Buffer>,
    used: u64,
}

#[derive(Default)]
struct Bases {
    contents: HashMap<Key, Cached>,
    /// By when each was used last.
    order: BTreeMap<u64, Key>,
    clock: u64,
    bytes: usize,
}

static BASES: Mutex<Option<Bases>> = Mutex::new(None);

pub(super) fn get(pack: u64, entry: u32) -> Option<(Sort, Arc<Buffer>)> {
    let mut bases = BASES.lock().unwrap_or_else(PoisonError::into_inner);
    bases.get_or_insert_default().get((pack, entry))
}

pub(super) fn put(pack: u64, entry: u32, sort: Sort, content: &Arc<Buffer>) {
    if content.len() <= LARGEST {
        let mut bases = BASES.lock().unwrap_or_else(PoisonError::into_inner);
        bases.get_or_insert_default().put((pack, entry), sort, content, BYTES);
    }
}

impl Bases {
    fn get(&mut self, key: Key) -> Option<(Sort, Arc<Buffer>)> {
        let cached = self.contents.get_mut(&key)?;
        self.clock += 1;
        self.order.remove(&cached.used);
        cached.used = self.clock;
        self.order.insert(self.clock, key);
        Some((cached.sort, Arc::clone(&cached.content)))
    }

    fn put(&mut self, key: Key, sort: Sort, content: &Arc<Buffer>, bound: usize) {
        if self.contents.contains_key(&key) {
            return;
        }
        self.clock += 1;
        self.bytes += content.len();
        self.order.insert(self.clock, key);
        self.contents.insert(key, Cached { sort, content: Arc::clone(content), used: self.clock });
        while self.bytes > bound
            && let Some((_, oldest)) = self.order.pop_first()
        {
            if let Some(cached) = self.contents.remove(&oldest) {
                self.bytes -= cached.content.len();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Arc, Bases, Buffer, Sort};

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut bases = Bases::default();
        let content = Arc::new(Buffer::zeroed(10).unwrap());
        for entry in 0..3 {
            bases.put((0, entry), Sort::Blob, &content, 30);
        }
        assert!(bases.get((0, 0)).is_some());
        bases.put((0, 3), Sort::Blob, &content, 30);
        let kept: Vec<bool> = (0..4).map(|entry| bases.get((0, entry)).is_some()).collect();
        assert_eq!(kept, [true, false, true, true]);
        assert_eq!((bases.bytes, bases.order.len()), (30, 3));
        bases.put((0, 3), Sort::Blob, &content, 30);
        assert_eq!(bases.bytes, 30);
    }
}
