//! A table whose dead entries go when it has doubled since they last went: adding one is cheap however
//! many there are, and there are never many more than twice the living ones.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// A smaller table is not worth a look.
const LEAST: usize = 1024;

/// A map. See the module.
pub(super) struct Swept<K, V> {
    entries: HashMap<K, V>,
    sweep_at: usize,
}

impl<K, V> Default for Swept<K, V> {
    fn default() -> Self {
        Swept { entries: HashMap::new(), sweep_at: LEAST }
    }
}

impl<K: Hash + Eq, V> Swept<K, V> {
    pub fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.entries.get(key)
    }

    /// All of them, also the dead.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.entries.values()
    }

    /// Adds or replaces an entry; `lives` says of the others whether anybody needs them.
    pub fn insert(&mut self, key: K, value: V, lives: impl Fn(&V) -> bool) {
        if self.entries.len() >= self.sweep_at {
            self.entries.retain(|_, value| lives(value));
            self.sweep_at = LEAST.max(self.entries.len() * 2);
        }
        self.entries.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn the_dead_go_and_adding_looks_at_few_entries() {
        let (mut table, looked) = (Swept::default(), Cell::new(0));
        for number in 0..100 * LEAST {
            table.insert(number, number < 20 * LEAST, |lives| {
                looked.set(looked.get() + 1);
                *lives
            });
            assert!(table.entries.len() <= 40 * LEAST + 1);
        }
        assert!(looked.get() <= 400 * LEAST, "{}", looked.get());
        assert_eq!((table.get(&0), table.get(&(25 * LEAST)).is_some()), (Some(&true), false));
    }
}
