//! Ordered maps in shards.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::record::Record;

/// One for each value of a byte.
const SHARDS: usize = 256;

/// Ordered maps, each behind a lock of its own. Unlike a hash map, an ordered map never moves all of
/// its entries at once when it grows.
pub(super) struct Shards<K, V>(Box<[Mutex<BTreeMap<K, V>>; SHARDS]>);

impl<K, V> Default for Shards<K, V> {
    fn default() -> Self {
        Self(Box::new(std::array::from_fn(|_| Mutex::default())))
    }
}

impl<K, V> Shards<K, V> {
    /// Locks the shard of a number.
    pub(super) fn lock(&self, number: u64) -> MutexGuard<'_, BTreeMap<K, V>> {
        let [shard, ..] = number.to_le_bytes();
        let shard = &self.0[usize::from(shard)];
        // Only the allocator can panic under the lock.
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let shards = self.0.iter().map(|shard| shard.lock().unwrap().len());
        shards.sum()
    }
}

/// Where an index by name has an entry. The serial number tells names of the same hash apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) hash: u64,
    pub(super) serial: u64,
}

/// An index by the keyed hash of a name.
pub(super) type Names<V> = Shards<Place, V>;

impl<V: Clone> Names<V> {
    /// The entry of a name, of which only the hash is known to the index.
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(&V) -> bool) -> Option<V> {
        find(&self.lock(hash), hash, is_it).cloned()
    }

    pub(super) fn insert(&self, place: Place, value: V) {
        self.lock(place.hash).insert(place, value);
    }

    pub(super) fn remove(&self, place: Place) {
        // A value is dropped after the lock.
        let _removed = self.lock(place.hash).remove(&place);
    }
}

/// [`Names::find`] in a shard that is locked.
pub(super) fn find<V>(
    shard: &BTreeMap<Place, V>,
    hash: u64,
    is_it: impl Fn(&V) -> bool,
) -> Option<&V> {
    let first = Place { hash, serial: 0 };
    let same_hash = shard
        .range(first..)
        .take_while(|(place, _)| place.hash == hash);
    same_hash.map(|(_, value)| value).find(|value| is_it(value))
}

/// The sessions, by when they are due and by their serial number, of which the latter chooses the shard.
pub(super) type Due = Shards<(SystemTime, u64), Arc<Record>>;

impl Due {
    /// Moves a session from where it was to where it is.
    pub(super) fn reorder(
        &self,
        record: &Arc<Record>,
        was: Option<SystemTime>,
        is: Option<SystemTime>,
    ) {
        if was == is {
            return;
        }
        let mut shard = self.lock(record.serial);
        if let Some(was) = was {
            shard.remove(&(was, record.serial));
        }
        if let Some(is) = is {
            shard.insert((is, record.serial), Arc::clone(record));
        }
    }

    fn first(&self, shard: u64) -> Option<(SystemTime, Arc<Record>)> {
        let shard = self.lock(shard);
        let ((at, _), record) = shard.first_key_value()?;
        Some((*at, Arc::clone(record)))
    }

    /// The sessions that are due, the oldest first. A session that is not dealt with comes again.
    pub(super) fn until(&self, now: SystemTime) -> Overdue<'_> {
        let shards = 0..SHARDS as u64;
        let heads = shards.filter_map(|shard| Some(Reverse((self.first(shard)?.0, shard))));
        let heads = heads.filter(|Reverse((at, _))| *at <= now).collect();
        Overdue {
            due: self,
            now,
            heads,
        }
    }
}

/// What [`Due::until`] returns.
pub(super) struct Overdue<'d> {
    due: &'d Due,
    now: SystemTime,
    /// When the first session of a shard was due when that was last looked at.
    heads: BinaryHeap<Reverse<(SystemTime, u64)>>,
}

impl Iterator for Overdue<'_> {
    type Item = Arc<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Reverse((expected, shard)) = self.heads.pop()?;
            let Some((at, record)) = self.due.first(shard) else {
                continue;
            };
            if at > self.now {
                continue;
            }
            self.heads.push(Reverse((at, shard)));
            if at <= expected {
                return Some(record);
            }
        }
    }
}
