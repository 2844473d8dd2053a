//! What is used of a dashmap, over one lock of shuttle: a lock of dashmap's own that is held while
//! shuttle switches threads would stop them all.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::ops::Deref;
use std::sync::PoisonError;

use shuttle::sync::{Mutex, MutexGuard};

/// A map that threads share.
pub(crate) struct DashMap<K, V>(Mutex<HashMap<K, V>>);

/// The place of a key; nobody else reaches the map while it lives.
pub(crate) enum Entry<'a, K, V> {
    /// There is a value.
    Occupied(Held<'a, K, V>),
    /// There is none yet.
    Vacant(Vacant<'a, K, V>),
}

/// A value in the map.
pub(crate) struct Held<'a, K, V> {
    map: MutexGuard<'a, HashMap<K, V>>,
    key: K,
}

/// Room for a value.
pub(crate) struct Vacant<'a, K, V> {
    map: MutexGuard<'a, HashMap<K, V>>,
    key: K,
}

impl<K: Eq + Hash, V> Default for DashMap<K, V> {
    fn default() -> Self {
        DashMap::new()
    }
}

impl<K: Eq + Hash, V> DashMap<K, V> {
    pub(crate) fn new() -> Self {
        DashMap(Mutex::new(HashMap::new()))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn entry(&self, key: K) -> Entry<'_, K, V> {
        let map = self.lock();
        match map.contains_key(&key) {
            true => Entry::Occupied(Held { map, key }),
            false => Entry::Vacant(Vacant { map, key }),
        }
    }

    pub(crate) fn remove_if<Q>(&self, key: &Q, wanted: impl FnOnce(&K, &V) -> bool) -> Option<(K, V)>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let mut map = self.lock();
        let (key_in_map, value) = map.get_key_value(key)?;
        if wanted(key_in_map, value) { map.remove_entry(key) } else { None }
    }

    #[cfg(test)]
    pub(crate) fn get<Q>(&self, key: &Q) -> Option<Held<'_, K, V>>
    where
        K: for<'a> From<&'a Q>,
        Q: ?Sized,
    {
        match self.entry(K::from(key)) {
            Entry::Occupied(held) => Some(held),
            Entry::Vacant(_) => None,
        }
    }

    #[cfg(test)]
    pub(crate) fn values(&self) -> Vec<V>
    where
        V: Clone,
    {
        self.lock().values().cloned().collect()
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }
}

impl<'a, K: Eq + Hash + Clone, V: Default> Entry<'a, K, V> {
    pub(crate) fn or_default(self) -> Held<'a, K, V> {
        match self {
            Entry::Occupied(held) => held,
            Entry::Vacant(Vacant { mut map, key }) => {
                map.insert(key.clone(), V::default());
                Held { map, key }
            }
        }
    }
}

impl<K: Eq + Hash, V> Held<'_, K, V> {
    pub(crate) fn get(&self) -> &V {
        &self.map[&self.key]
    }
}

impl<K: Eq + Hash, V> Deref for Held<'_, K, V> {
    type Target = V;
    fn deref(&self) -> &V {
        self.get()
    }
}

impl<K: Eq + Hash, V> Vacant<'_, K, V> {
    pub(crate) fn insert(mut self, value: V) {
        self.map.insert(self.key, value);
    }
}
