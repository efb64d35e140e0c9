//! What is behind the lock: families, and the ways to them.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::SystemTime;

use super::family::{Family, Key};
use crate::store::{BoxError, SessionId, TokenTaken};
use crate::token::Token;

#[derive(Debug, Default)]
pub(super) struct State {
    tokens: HashMap<Key, SessionId>,
    sessions: HashMap<SessionId, Family>,
    indexes: Indexes,
}

/// Ways to the sessions. What has ended leaves its entries behind, which is cheaper than to find
/// them; they are made anew when they are twice as many as the sessions.
#[derive(Debug, Default)]
struct Indexes {
    entries: usize,
    /// When to look at a session again: no later than the first of its tokens expires.
    due: BinaryHeap<Reverse<(SystemTime, SessionId)>>,
    subjects: HashMap<Arc<str>, Vec<SessionId>>,
}

impl Indexes {
    fn add(&mut self, family: &Family) {
        self.entries += 1;
        self.due.push(due(family));
        let subject = Arc::clone(&family.subject);
        let ids = self.subjects.entry(subject).or_default();
        ids.push(family.id.clone());
    }
}

fn due(family: &Family) -> Reverse<(SystemTime, SessionId)> {
    Reverse((family.due_at(), family.id.clone()))
}

impl State {
    /// The family that a token belongs to, be it a live one or rotated away. None once the token has
    /// expired by itself.
    pub(super) fn family_of(&self, token: &Token, now: SystemTime) -> Option<(&Key, &Family)> {
        let (key, id) = self.tokens.get_key_value(token.expose())?;
        let family = self.sessions.get(id)?;
        (key.is_alive(now) && family.is_alive(now)).then_some((key, family))
    }

    pub(super) fn session(&self, id: &SessionId) -> Option<&Family> {
        self.sessions.get(id)
    }

    pub(super) fn session_mut(&mut self, id: &SessionId) -> Option<&mut Family> {
        self.sessions.get_mut(id)
    }

    /// The subject's name, shared with its other sessions.
    pub(super) fn subject(&self, name: &str) -> Arc<str> {
        match self.indexes.subjects.get_key_value(name) {
            Some((known, _)) => Arc::clone(known),
            None => name.into(),
        }
    }

    /// Ends the sessions of a subject, except for some.
    pub(super) fn end_subject(&mut self, subject: &str, keep: &[SessionId]) -> Vec<Family> {
        let Some((subject, ids)) = self.indexes.subjects.remove_entry(subject) else {
            return Vec::new();
        };
        let (kept, ids): (Vec<_>, Vec<_>) = ids.into_iter().partition(|id| keep.contains(id));
        if !kept.is_empty() {
            self.indexes.subjects.insert(subject, kept);
        }
        ids.iter().filter_map(|id| self.end(id)).collect()
    }

    pub(super) fn end(&mut self, id: &SessionId) -> Option<Family> {
        let family = self.sessions.remove(id)?;
        for key in family.keys() {
            self.tokens.remove(key);
        }
        Some(family)
    }

    /// [`end`](Self::end) by any of the family's tokens, each of them hashed once. One that has expired
    /// by itself belongs to no family.
    pub(super) fn end_by(&mut self, token: &str, now: SystemTime) -> Option<Family> {
        let (key, id) = self.tokens.remove_entry(token)?;
        if !key.is_alive(now) {
            // As it was, for the family counts it.
            self.tokens.insert(key, id);
            return None;
        }
        let family = self.sessions.remove(&id)?;
        for other in family.keys().filter(|other| !other.is(&key)) {
            self.tokens.remove(other);
        }
        Some(family)
    }

    pub(super) fn open(&mut self, family: Family, token: Key) {
        if self.indexes.entries >= 2 * self.sessions.len() + 64 {
            self.indexes = Indexes::default();
            for family in self.sessions.values() {
                self.indexes.add(family);
            }
        }
        self.indexes.add(&family);
        self.enter(token, family.id.clone());
        self.sessions.insert(family.id.clone(), family);
    }

    /// Enters a token of a session that there is.
    pub(super) fn enter(&mut self, token: Key, id: SessionId) {
        self.tokens.insert(token, id);
    }

    /// Forgets the rotated tokens of a session that have expired.
    pub(super) fn forget(&mut self, id: &SessionId, now: SystemTime) {
        if let Some(family) = self.sessions.get_mut(id) {
            while let Some(key) = family.forget(now) {
                self.tokens.remove(&key);
            }
        }
    }

    /// Drops so many sessions that have expired, and what has expired of those that live on.
    pub(super) fn delete_expired(&mut self, now: SystemTime, at_most: u32) -> u32 {
        let mut dropped = 0;
        while dropped < at_most
            && let Some(Reverse((at, _))) = self.indexes.due.peek()
            && *at <= now
            && let Some(Reverse((_, id))) = self.indexes.due.pop()
        {
            match self.sessions.get(&id) {
                Some(family) if family.is_alive(now) => {
                    self.forget(&id, now);
                    self.indexes.due.extend(self.sessions.get(&id).map(due));
                }
                Some(_) => {
                    self.end(&id);
                    dropped += 1;
                }
                None => {}
            }
        }
        dropped
    }

    /// Whether a token is new, and there is room for it.
    pub(super) fn admit(
        &mut self,
        token: &Token,
        capacity: usize,
        now: SystemTime,
    ) -> Result<(), BoxError> {
        if self.tokens.contains_key(token.expose()) {
            return Err(TokenTaken.into());
        }
        if self.tokens.len() >= capacity {
            self.delete_expired(now, u32::MAX);
            if self.tokens.len() >= capacity {
                return Err(format!(
                    "the memory store holds its {capacity} tokens: give it a larger capacity, \
                     a shorter lifetime, or use a store with a database"
                )
                .into());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn later(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn open(state: &mut State, name: &str, expires: u64) -> SessionId {
        let id = SessionId::new(name);
        let key = Key::new(&Token::new(name), later(expires));
        let family = Family::new(id.clone(), state.subject("alice"), key.clone());
        state.open(family, key);
        id
    }

    fn rotate(state: &mut State, id: &SessionId, from: &str, to: &str, expires: u64) {
        let (presented, _) = state.tokens.get_key_value(from).unwrap();
        let presented = presented.clone();
        let next = Key::new(&Token::new(to), later(expires));
        let family = state.session_mut(id).unwrap();
        family.rotate(presented, next.clone(), later(0));
        state.enter(next, id.clone());
    }

    #[test]
    fn of_sessions_that_come_and_go_nothing_stays() {
        let mut state = State::default();
        for number in 0..1000 {
            let name = number.to_string();
            open(&mut state, &name, 10);
            state.end_by(&name, later(0)).unwrap();
        }
        assert!(state.tokens.is_empty() && state.sessions.is_empty());
        let indexes = &state.indexes;
        assert!(indexes.entries <= 65, "{}", indexes.entries);
        assert!(indexes.due.len() <= indexes.entries);
        assert!(indexes.subjects["alice"].len() <= indexes.entries);
    }

    #[test]
    fn a_session_that_is_rotated_is_dropped_when_it_expires_and_not_before() {
        let mut state = State::default();
        let id = open(&mut state, "first", 10);
        rotate(&mut state, &id, "first", "second", 20);
        assert_eq!(state.delete_expired(later(10), 9), 0);
        assert_eq!(state.tokens.len(), 1, "the first has expired by itself");
        assert_eq!(state.delete_expired(later(19), 9), 0);
        assert_eq!(state.delete_expired(later(20), 9), 1);
        assert!(state.tokens.is_empty() && state.sessions.is_empty());
    }

    #[test]
    fn what_expires_first_is_forgotten_first_also_if_it_was_rotated_later() {
        let mut state = State::default();
        let id = open(&mut state, "long", 100);
        rotate(&mut state, &id, "long", "short", 10);
        rotate(&mut state, &id, "short", "live", 50);
        state.forget(&id, later(10));
        assert!(!state.tokens.contains_key("short"));
        assert!(state.family_of(&Token::new("long"), later(10)).is_some());
        let after_the_session = state.family_of(&Token::new("long"), later(50));
        assert!(after_the_session.is_none());
    }
}
