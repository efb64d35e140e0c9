//! The shards of an index.
//!
//! A hash map moves all of its entries when it grows. The map of one shard is small enough for that: it
//! has 4,000 entries where the index has a million. An ordered map never moves all of its entries.

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::record::Record;

/// One for each value of a byte.
const SHARDS: usize = 256;

/// Parts of an index, each behind a lock of its own.
pub(super) struct Shards<S>(Box<[Mutex<S>; SHARDS]>);

impl<S: Default> Default for Shards<S> {
    fn default() -> Self {
        Self(Box::new(std::array::from_fn(|_| Mutex::default())))
    }
}

impl<S> Shards<S> {
    /// Locks the shard of a number.
    pub(super) fn lock(&self, number: u64) -> MutexGuard<'_, S> {
        let [shard, ..] = number.to_le_bytes();
        let shard = &self.0[usize::from(shard)];
        // Only the allocator can panic under the lock.
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn sum(&self, part: impl Fn(&S) -> usize) -> usize {
        let shards = self.0.iter().map(|shard| part(&shard.lock().unwrap()));
        shards.sum()
    }
}

/// Where an index by name has an entry. The serial number tells entries of the same hash apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) hash: u64,
    pub(super) serial: u64,
}

/// A shard of an index whose names are unique.
pub(super) struct Unique<V> {
    first: HashMap<u64, (u64, V)>,
    /// Further entries of the same hash. With 64 bits of a keyed hash there are hardly ever any.
    further: BTreeMap<Place, V>,
}

impl<V> Default for Unique<V> {
    fn default() -> Self {
        Self {
            first: HashMap::new(),
            further: BTreeMap::new(),
        }
    }
}

impl<V> Unique<V> {
    /// The entry of a name, of which the index knows only the hash.
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(&V) -> bool) -> Option<&V> {
        let first = self.first.get(&hash).map(|(_, value)| value);
        first.filter(|value| is_it(value)).or_else(|| {
            let from = Place { hash, serial: 0 };
            let until = Place {
                hash,
                serial: u64::MAX,
            };
            let mut further = self.further.range(from..until).map(|(_, value)| value);
            further.find(|value| is_it(value))
        })
    }

    pub(super) fn insert(&mut self, place: Place, value: V) {
        match self.first.entry(place.hash) {
            Entry::Vacant(entry) => {
                entry.insert((place.serial, value));
            }
            Entry::Occupied(_) => {
                self.further.insert(place, value);
            }
        }
    }

    pub(super) fn remove(&mut self, place: Place) -> Option<V> {
        match self.first.entry(place.hash) {
            Entry::Occupied(entry) if entry.get().0 == place.serial => Some(entry.remove().1),
            _ => self.further.remove(&place),
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.first.len() + self.further.len()
    }
}

/// The sessions, by when they are due and by their serial number, of which the latter chooses the shard.
pub(super) type Due = Shards<BTreeMap<(SystemTime, u64), Arc<Record>>>;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_same_hash_are_told_apart() {
        let mut shard = Unique::default();
        let place = |serial| Place { hash: 7, serial };
        for (serial, name) in [(1, "a"), (2, "b"), (u64::MAX - 1, "c")] {
            shard.insert(place(serial), name);
        }
        let has = |shard: &Unique<&str>, name| shard.find(7, |known| *known == name).is_some();
        assert!(["a", "b", "c"].iter().all(|name| has(&shard, *name)));
        assert_eq!(shard.find(8, |_| true), None);

        assert_eq!(shard.remove(place(1)), Some("a"));
        assert_eq!(shard.remove(place(1)), None);
        assert!(!has(&shard, "a") && has(&shard, "b") && has(&shard, "c"));
        shard.insert(place(3), "d");
        assert_eq!(shard.remove(place(2)), Some("b"));
        assert!(!has(&shard, "b") && has(&shard, "c") && has(&shard, "d"));
        assert_eq!(shard.len(), 2);
    }
}
