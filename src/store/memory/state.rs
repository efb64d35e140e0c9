//! The sessions, and the indexes that find them.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use super::family::{Family, Key};
use super::index::{Due, Place, Shards, Unique};
#[cfg(feature = "ended")]
use super::log::Log;
use super::record::Record;
use crate::store::{BoxError, SessionId, TokenTaken};
use crate::token::Token;

/// How many sessions one step of a longer task deals with.
pub(super) const STEP: usize = 16;

/// How many rotated tokens of a session are forgotten at once. A rotation adds two at most, so a
/// session never ends as exhausted because of tokens that have expired.
const FORGOTTEN_AT_ONCE: usize = 256;

#[derive(Default)]
pub(super) struct State {
    hasher: RandomState,
    next_serial: AtomicU64,
    /// How many entries the index of tokens has, or is about to have.
    count: AtomicUsize,
    tokens: Shards<Unique<(Key, Arc<Record>)>>,
    ids: Shards<Unique<Arc<Record>>>,
    subjects: Shards<BTreeMap<Place, Arc<Record>>>,
    due: Due,
    #[cfg(feature = "ended")]
    log: Log,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("tokens", &self.count)
            .finish_non_exhaustive()
    }
}

impl State {
    pub(super) fn key(&self, token: &Token, expires_at: SystemTime) -> Key {
        let place = Place {
            hash: self.hash(token.expose()),
            serial: self.next_serial.fetch_add(1, Ordering::Relaxed),
        };
        Key::new(token, expires_at, place)
    }

    #[cfg(feature = "ended")]
    pub(super) fn log(&self) -> &Log {
        &self.log
    }

    /// Sessions that are opened from here on have this serial number, or a higher one.
    pub(super) fn next_serial(&self) -> u64 {
        self.next_serial.load(Ordering::Relaxed)
    }

    /// A hash that nobody can foresee: an attacker who guesses at tokens does not learn from the time
    /// of a search how much of a token was right.
    fn hash(&self, name: &str) -> u64 {
        self.hasher.hash_one(name)
    }

    /// The token, if it is known, and its session, which may have ended since.
    pub(super) fn by_token(&self, token: &Token) -> Option<(Key, Arc<Record>)> {
        let token = token.expose();
        let hash = self.hash(token);
        let shard = self.tokens.lock(hash);
        shard.find(hash, |(key, _)| key.token() == token).cloned()
    }

    pub(super) fn by_id(&self, id: &SessionId) -> Option<Arc<Record>> {
        let hash = self.hash(id.as_str());
        let shard = self.ids.lock(hash);
        shard.find(hash, |record| record.id == *id).cloned()
    }

    /// A few sessions of a subject: those with the lowest serial numbers in a range.
    pub(super) fn by_subject(&self, subject: &str, from: u64, until: u64) -> Vec<Arc<Record>> {
        let hash = self.hash(subject);
        let [from, until] = [from, until].map(|serial| Place { hash, serial });
        let shard = self.subjects.lock(hash);
        let records = shard.range(from..until).map(|(_, record)| record);
        let records = records.filter(|record| *record.subject == *subject);
        records.take(STEP).cloned().collect()
    }

    /// A session with its first token, which no index has yet.
    pub(super) fn new_record(&self, id: SessionId, subject: &str, token: Key) -> Arc<Record> {
        Arc::new(Record {
            serial: token.place().serial,
            id_hash: self.hash(id.as_str()),
            subject_hash: self.hash(subject),
            id,
            subject: subject.into(),
            family: Mutex::new(Family::new(token)),
        })
    }

    /// Opens a session. `false` if there is no room for its token.
    pub(super) fn open(&self, record: &Arc<Record>, max_tokens: usize) -> Result<bool, BoxError> {
        // Whoever finds the session by its token waits until all indexes have it.
        let family = record.lock();
        if !self.enter(family.newest().clone(), record, max_tokens)? {
            return Ok(false);
        }
        let (id, subject) = (record.id_place(), record.subject_place());
        self.ids.lock(id.hash).insert(id, Arc::clone(record));
        let mut shard = self.subjects.lock(subject.hash);
        shard.insert(subject, Arc::clone(record));
        drop(shard);
        self.due.reorder(record, None, family.due_at());
        Ok(true)
    }

    /// Enters a token of a session whose lock is held. `false` if there is no room for it.
    pub(super) fn enter(
        &self,
        token: Key,
        record: &Arc<Record>,
        max_tokens: usize,
    ) -> Result<bool, BoxError> {
        let place = token.place();
        let mut shard = self.tokens.lock(place.hash);
        let known = shard.find(place.hash, |(key, _)| key.token() == token.token());
        if known.is_some() {
            return Err(TokenTaken.into());
        }
        let one_more = |count| (count < max_tokens).then_some(count + 1);
        let counted = self
            .count
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        if counted.is_err() {
            return Ok(false);
        }
        shard.insert(place, (token, Arc::clone(record)));
        Ok(true)
    }

    fn remove_token(&self, key: &Key) {
        let place = key.place();
        self.tokens.lock(place.hash).remove(place);
        self.count.fetch_sub(1, Ordering::Relaxed);
    }

    /// Changes the tokens of a session whose lock is held.
    pub(super) fn change(
        &self,
        record: &Arc<Record>,
        family: &mut Family,
        change: impl FnOnce(&mut Family),
    ) {
        let was = family.due_at();
        change(family);
        self.due.reorder(record, was, family.due_at());
    }

    /// Forgets rotated tokens that have expired, of a session whose lock is held. Some may be left.
    pub(super) fn forget(&self, record: &Arc<Record>, family: &mut Family, now: SystemTime) {
        self.change(record, family, |family| self.forget_some(family, now));
    }

    fn forget_some(&self, family: &mut Family, now: SystemTime) {
        for _ in 0..FORGOTTEN_AT_ONCE {
            let Some(key) = family.forget(now) else { break };
            self.remove_token(&key);
        }
    }

    /// Ends a session whose lock is held, and that has not ended. Rotated tokens may be left in the
    /// index of tokens, where they name a session that has ended, and count until they are forgotten.
    pub(super) fn end(&self, record: &Arc<Record>, family: &mut Family, now: SystemTime) {
        self.change(record, family, |family| {
            for key in family.end() {
                self.remove_token(key);
            }
            self.forget_some(family, now);
        });
        let (id, subject) = (record.id_place(), record.subject_place());
        self.ids.lock(id.hash).remove(id);
        self.subjects.lock(subject.hash).remove(&subject);
    }

    /// Drops sessions that have expired, and what has expired of those that live on, the oldest first.
    /// For each session that is looked at, the iterator says whether it was dropped.
    pub(super) fn delete_expired(&self, now: SystemTime) -> impl Iterator<Item = bool> + Send {
        self.due.until(now).map(move |record| {
            let mut family = record.lock();
            if family.is_alive(now) || family.is_ended() {
                self.forget(&record, &mut family, now);
                return false;
            }
            self.end(&record, &mut family, now);
            true
        })
    }

    /// Makes room for a token at least, unless nothing has expired.
    pub(super) fn make_room(&self, now: SystemTime) -> bool {
        self.delete_expired(now).take(STEP).count() > 0
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    fn later(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn open(state: &State, name: &str, expires: u64) -> Arc<Record> {
        let key = state.key(&Token::new(name), later(expires));
        let record = state.new_record(SessionId::new(name), "alice", key);
        assert!(state.open(&record, usize::MAX).unwrap());
        record
    }

    fn rotate(state: &State, record: &Arc<Record>, from: &str, to: &str, expires: u64) {
        let (presented, _) = state.by_token(&Token::new(from)).unwrap();
        let next = state.key(&Token::new(to), later(expires));
        let mut family = record.lock();
        assert!(state.enter(next.clone(), record, usize::MAX).unwrap());
        state.change(record, &mut family, |family| {
            family.rotate(presented, next, later(0));
        });
    }

    fn end(state: &State, record: &Arc<Record>) {
        state.end(record, &mut record.lock(), later(0));
    }

    fn dropped(state: &State, now: u64, at_most: usize) -> usize {
        let dropped = state.delete_expired(later(now)).filter(|dropped| *dropped);
        dropped.take(at_most).count()
    }

    fn tokens(state: &State) -> usize {
        let tokens = state.tokens.sum(Unique::len);
        assert_eq!(state.count.load(Ordering::Relaxed), tokens);
        tokens
    }

    fn is_empty(state: &State) -> bool {
        let named = state.ids.sum(Unique::len) + state.subjects.sum(BTreeMap::len);
        tokens(state) + named + state.due.sum(BTreeMap::len) == 0
    }

    #[test]
    fn a_session_that_ended_leaves_nothing_behind() {
        let state = State::default();
        for number in 0..1000 {
            let record = open(&state, &number.to_string(), 10);
            assert!(!is_empty(&state));
            end(&state, &record);
            assert!(is_empty(&state));
        }
    }

    #[test]
    fn a_session_that_is_rotated_is_dropped_when_it_expires_and_not_before() {
        let state = State::default();
        let record = open(&state, "first", 10);
        rotate(&state, &record, "first", "second", 20);
        assert_eq!(dropped(&state, 10, 9), 0);
        assert_eq!(tokens(&state), 1, "the first has expired by itself");
        assert_eq!(dropped(&state, 19, 9), 0);
        assert_eq!(dropped(&state, 20, 9), 1);
        assert!(is_empty(&state));
    }

    #[test]
    fn a_session_is_also_dropped_if_a_rotation_made_its_life_shorter() {
        let state = State::default();
        let record = open(&state, "long", 100);
        rotate(&state, &record, "long", "short", 10);
        assert_eq!(dropped(&state, 10, 9), 1);
        assert!(is_empty(&state));
    }

    #[test]
    fn the_token_that_expires_first_is_forgotten_first_also_if_it_was_rotated_later() {
        let state = State::default();
        let record = open(&state, "long", 100);
        rotate(&state, &record, "long", "short", 10);
        rotate(&state, &record, "short", "live", 50);
        state.forget(&record, &mut record.lock(), later(10));
        assert!(state.by_token(&Token::new("short")).is_none());
        assert!(state.by_token(&Token::new("long")).is_some());
        assert!(!record.lock().is_alive(later(50)));
    }

    #[test]
    fn the_oldest_sessions_are_dropped_first() {
        let state = State::default();
        for number in 0..1000 {
            // In no order, and some of them at the same time.
            let expires = number * 7 % 500;
            open(&state, &format!("{number} {expires}"), expires);
        }
        assert_eq!(dropped(&state, 1000, 500), 500);
        for number in 0..1000 {
            let expires = number * 7 % 500;
            let name = Token::new(format!("{number} {expires}"));
            assert_eq!(state.by_token(&name).is_some(), expires >= 250, "{number}");
        }
        assert_eq!(dropped(&state, 1000, 501), 500);
        assert!(is_empty(&state));
    }

    #[test]
    fn a_session_of_many_tokens_is_ended_at_once_and_its_tokens_are_removed_bit_by_bit() {
        let state = State::default();
        let record = open(&state, "0", 10);
        for number in 0..1000 {
            rotate(
                &state,
                &record,
                &number.to_string(),
                &(number + 1).to_string(),
                10,
            );
        }
        end(&state, &record);
        assert!(!record.lock().is_alive(later(0)));
        assert!(state.by_id(&record.id).is_none());
        let left = tokens(&state);
        assert_eq!(left, 1000 - FORGOTTEN_AT_ONCE);
        // What is left makes room long before it expires.
        assert!(state.make_room(later(0)));
        assert!(tokens(&state) < left);
        assert_eq!(dropped(&state, 0, 9), 0);
        assert!(is_empty(&state));
        assert!(!state.make_room(later(0)));
    }

    #[test]
    fn threads_that_meet_leave_nothing_behind_and_never_exceed_the_bound() {
        const MAX: usize = 10;
        let state = State::default();
        let work = |thread: u64| {
            for number in 0..2000_u64 {
                // Two threads at a time use the same names.
                let name = format!("{} {}", thread / 2, number % 20);
                let token = state.key(&Token::new(&*name), later(number % 7));
                let record = state.new_record(SessionId::new(&*name), "alice", token);
                match state.open(&record, MAX) {
                    Ok(true) => {}
                    Ok(false) => {
                        state.make_room(later(9));
                    }
                    Err(_) => {
                        let Some((_, other)) = state.by_token(&Token::new(&*name)) else {
                            continue;
                        };
                        let mut family = other.lock();
                        if !family.is_ended() {
                            state.end(&other, &mut family, later(0));
                        }
                    }
                }
                assert!(state.count.load(Ordering::Relaxed) <= MAX);
            }
        };
        thread::scope(|scope| {
            for number in 0..4 {
                let work = &work;
                scope.spawn(move || work(number));
            }
        });
        dropped(&state, 9, usize::MAX);
        assert!(is_empty(&state));
    }
}
