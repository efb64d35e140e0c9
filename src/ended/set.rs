//! The set of ended sessions in memory. A look-up waits for nobody and allocates nothing.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

/// The bits of a hash that choose a shard.
const SHARD_BITS: u32 = 12;
const SHARDS: usize = 1 << SHARD_BITS;

/// The lower bits of an entry hold its last tick, the upper bits a part of the hash of a session id.
const TICK_BITS: u32 = 64 - 52;
const TICKS: u16 = 1 << TICK_BITS;
const TICK_MASK: u64 = TICKS as u64 - 1;

/// How many ticks an entry stays at most. From half of all ticks on, a last tick in the future looks like one in
/// the past.
pub(super) const MAX_STAY: u16 = TICKS / 4;

/// How many shards are swept in a tick, so that [`MAX_STAY`] ticks sweep all of them.
const SWEPT_IN_A_TICK: usize = SHARDS / MAX_STAY as usize;

/// Session ids, as 52 bits of their hash and the tick after which they may go. Each shard is copied when it
/// changes.
///
/// A live session is taken for an ended one if 64 bits of the hash are the same: 12 bits for the shard, and 52
/// bits of the entry. Among ten million entries, the chance is 5 in 10^13.
pub(super) struct Set {
    shards: Box<[ArcSwap<Shard>]>,
    len: AtomicUsize,
    sweep: Mutex<Sweep>,
}

type Shard = HashSet<Entry, BuildHasherDefault<KnownHash>>;

/// Where the sweep is. Whoever changes a shard holds the lock.
#[derive(Default)]
struct Sweep {
    shard: usize,
    tick: u64,
}

#[derive(Clone, Copy)]
struct Entry(u64);

impl Entry {
    fn new(hash: u64, last_tick: u64) -> Self {
        Self(hash << TICK_BITS | last_tick & TICK_MASK)
    }

    fn tag(self) -> u64 {
        self.0 & !TICK_MASK
    }

    /// How many ticks the entry has left, or `None` if its last tick has passed.
    fn left(self, now: u64) -> Option<u64> {
        let left = self.0.wrapping_sub(now) & TICK_MASK;
        (left < u64::from(TICKS / 2)).then_some(left)
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.tag() == other.tag()
    }
}

impl Eq for Entry {}

impl Hash for Entry {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // A hash set takes the highest and the lowest bits. Both have to differ.
        state.write_u64(self.tag() ^ self.tag() >> TICK_BITS);
    }
}

/// Passes a hash on.
#[derive(Default)]
struct KnownHash(u64);

impl Hasher for KnownHash {
    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The index of the shard of a hash: 12 bits for 4,096 shards.
#[inline]
fn shard_of(hash: u64) -> usize {
    (hash >> (u64::BITS - SHARD_BITS)) as usize
}

impl Set {
    pub(super) fn new() -> Self {
        let empty = Arc::new(Shard::default());
        Self {
            shards: (0..SHARDS)
                .map(|_| ArcSwap::new(Arc::clone(&empty)))
                .collect(),
            len: AtomicUsize::new(0),
            sweep: Mutex::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn contains(&self, hash: u64) -> bool {
        let shard = &self.shards[shard_of(hash)];
        shard.load().contains(&Entry::new(hash, 0))
    }

    /// Adds entries, each with the hash of its session and the ticks that it stays, at most [`MAX_STAY`].
    pub(super) fn insert(&self, entries: &mut [(u64, u16)], now: u64) {
        // Each shard is copied once.
        entries.sort_unstable();
        for entries in entries.chunk_by(|(one, _), (next, _)| shard_of(*one) == shard_of(*next)) {
            self.insert_into(&self.shards[shard_of(entries[0].0)], entries, now);
        }
    }

    fn insert_into(&self, shard: &ArcSwap<Shard>, entries: &[(u64, u16)], now: u64) {
        let _lock = self.sweep.lock().unwrap_or_else(PoisonError::into_inner);
        let current = shard.load();
        let is_known = |hash: u64, stay: u16| {
            let known = current.get(&Entry::new(hash, 0));
            let left = known.and_then(|known| known.left(now));
            left.is_some_and(|left| left >= u64::from(stay))
        };
        let entries = entries
            .iter()
            .map(|(hash, stay)| (*hash, (*stay).min(MAX_STAY)));
        let mut new = entries
            .filter(|(hash, stay)| !is_known(*hash, *stay))
            .peekable();
        if new.peek().is_none() {
            return;
        }
        self.change(shard, &current, |next| {
            for (hash, stay) in new {
                // Looks at all entries only where the table would grow otherwise.
                if next.len() == next.capacity() {
                    next.retain(|other| other.left(now).is_some());
                }
                next.replace(Entry::new(hash, now + u64::from(stay)));
            }
        });
    }

    fn change(&self, shard: &ArcSwap<Shard>, current: &Shard, change: impl FnOnce(&mut Shard)) {
        let mut next = current.clone();
        change(&mut next);
        let (before, after) = (current.len(), next.len());
        shard.store(Arc::new(next));
        // Only changed under the lock.
        self.len
            .store(self.len() + after - before, Ordering::Relaxed);
    }

    /// Removes entries whose last tick has passed, from a few shards for each tick since the last sweep.
    pub(super) fn sweep(&self, now: u64) {
        let mut sweep = self.sweep.lock().unwrap_or_else(PoisonError::into_inner);
        let ticks = now.saturating_sub(sweep.tick).min(u64::from(MAX_STAY));
        sweep.tick = now;
        for _ in 0..ticks * SWEPT_IN_A_TICK as u64 {
            let shard = &self.shards[sweep.shard];
            let current = shard.load();
            if current.iter().any(|entry| entry.left(now).is_none()) {
                self.change(shard, &current, |next| {
                    next.retain(|entry| entry.left(now).is_some());
                    next.shrink_to_fit();
                });
            }
            sweep.shard = (sweep.shard + 1) % SHARDS;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};

    use super::*;

    const STAY: u64 = MAX_STAY as u64;

    /// Bytes that the table of a hash set takes, as hashbrown lays it out: eight and a control byte for each bucket.
    fn bytes(set: &Set) -> usize {
        let shards = set.shards.iter().map(|shard| shard.load().capacity());
        shards
            .map(|capacity| (capacity * 8 / 7).next_power_of_two() * 9)
            .sum::<usize>()
            + SHARDS * (size_of::<ArcSwap<Shard>>() + size_of::<Shard>() + 16)
    }

    #[test]
    fn an_entry_stays_until_its_last_tick_and_is_swept_a_round_later() {
        let set = Set::new();
        let hashes: Vec<u64> = (0..10_000_u64)
            .map(|id| RandomState::new().hash_one(id))
            .collect();
        for (index, hash) in hashes.iter().enumerate() {
            // Some start just before the ticks of an entry begin again.
            let now = u64::from(TICKS) - index as u64 % 8;
            set.insert(&mut [(*hash, MAX_STAY)], now);
        }
        assert_eq!(set.len(), hashes.len());
        let begin = u64::from(TICKS);
        set.sweep(begin);
        for tick in begin..begin + STAY - 8 {
            set.sweep(tick);
        }
        assert!(hashes.iter().all(|hash| set.contains(*hash)));
        for tick in begin + STAY - 8..=begin + 2 * STAY + 1 {
            set.sweep(tick);
        }
        assert_eq!(set.len(), 0);
        assert!(!hashes.iter().any(|hash| set.contains(*hash)));
    }

    #[test]
    fn an_entry_that_comes_twice_stays_for_the_longer_time() {
        for stays in [[2, 9], [9, 2]] {
            let set = Set::new();
            for stay in stays {
                set.insert(&mut [(7, stay)], 0);
            }
            assert_eq!(set.len(), 1);
            // The first shard is swept in the first tick of a round.
            set.sweep(9);
            assert!(set.contains(7), "{stays:?}");
            set.sweep(9 + STAY);
            assert!(!set.contains(7), "{stays:?}");
        }
    }

    #[test]
    fn many_entries_at_once_are_all_found() {
        let set = Set::new();
        let mut entries: Vec<_> = (0..50_000_u64)
            .map(|id| RandomState::new().hash_one(id))
            .map(|hash| (hash, 10))
            .collect();
        let again = entries[0];
        entries.push(again);
        let hashes: Vec<_> = entries.iter().map(|(hash, _)| *hash).collect();
        set.insert(&mut entries, 0);
        assert!(hashes.iter().all(|hash| set.contains(*hash)));
        assert_eq!(set.len(), 50_000);
    }

    #[test]
    fn a_shard_forgets_what_is_over_before_it_grows() {
        let set = Set::new();
        for hash in 0..10_000 {
            set.insert(&mut [(hash, 1)], hash * 2);
        }
        assert!(set.len() <= 8, "{}", set.len());
    }

    #[test]
    fn other_hashes_of_the_same_shard_are_not_found() {
        let set = Set::new();
        set.insert(&mut [(0x1234_5678, 10)], 0);
        assert!(set.contains(0x1234_5678));
        assert!(!set.contains(0x1234_5679));
        assert!(!set.contains(0x8000_0000_1234_5678));
    }

    #[test]
    fn an_entry_takes_at_most_21_bytes_and_16_on_average() {
        let set = Set::new();
        let hasher = RandomState::new();
        let (mut sum, mut count, mut most) = (0.0, 0.0, 0.0_f64);
        for id in 0..1_600_000_u64 {
            set.insert(&mut [(hasher.hash_one(id), MAX_STAY)], 0);
            if id >= 800_000 && id % 20_000 == 0 {
                #[allow(clippy::cast_precision_loss)]
                let each = bytes(&set) as f64 / set.len() as f64;
                (sum, count, most) = (sum + each, count + 1.0, most.max(each));
            }
        }
        let average = sum / count;
        assert!(average <= 16.0, "{average}");
        assert!(most <= 21.0, "{most}");
    }
}
