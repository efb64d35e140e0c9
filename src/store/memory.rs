//! Sessions in the memory of this process.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;

use super::shared::{DEFAULT_LIFETIME, MAX_ROTATED, TOKEN_TAKEN, expiry};
use super::{
    BoxError, Revocation, Rotation, Session, SessionId, SessionStore, SubjectStore, TokenStore,
};
use crate::Token;

/// How many tokens are kept unless the store is told otherwise.
const DEFAULT_CAPACITY: usize = 1_000_000;

/// A store in the memory of this process, for tests, for a single process, and for trying things
/// out: its sessions end with it.
///
/// It is bounded: once it holds as many tokens as its capacity allows, rotated ones of live
/// sessions included, opening and rotating fail until some have ended or expired. Clones share
/// their sessions.
///
/// ```
/// use tower_logout::{MemoryStore, Revocation, SessionStore, Token, TokenStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tower_logout::BoxError> {
/// let store = MemoryStore::new();
/// let token = Token::generate()?;
/// let session = store.open("alice", &token).await?;
///
/// assert_eq!(store.revoke(&token).await?, Revocation::Sessions(session.id.into()));
/// assert_eq!(store.revoke(&token).await?, Revocation::NotFound);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct MemoryStore {
    lifetime: Duration,
    capacity: usize,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    tokens: HashMap<Key, SessionId>,
    sessions: HashMap<SessionId, Family>,
    indexes: Indexes,
}

/// Ways to the sessions. What has ended leaves its entries behind, which is cheaper than to find
/// them; they are made anew when they are twice as many as the sessions.
#[derive(Debug, Default)]
struct Indexes {
    entries: usize,
    /// When to look at a session again: no later than it expires.
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

#[derive(Debug)]
struct Family {
    id: SessionId,
    subject: Arc<str>,
    expires_at: SystemTime,
    live: Key,
    /// The oldest first.
    rotated: Vec<Key>,
}

impl Family {
    fn session(&self) -> Session {
        Session::new(self.id.clone(), &*self.subject, self.expires_at)
    }

    fn is_alive(&self, now: SystemTime) -> bool {
        self.expires_at > now
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        self.rotated.iter().chain([&self.live])
    }
}

/// A token as a key. Its comparison takes the time it takes: an attacker who cannot choose the
/// hash's random key does not get as far as a comparison.
#[derive(Clone, Debug)]
struct Key(Arc<Token>);

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.0.expose() == other.0.expose()
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.expose().hash(state);
    }
}

impl std::borrow::Borrow<str> for Key {
    fn borrow(&self) -> &str {
        self.0.expose()
    }
}

impl State {
    /// The family that a token belongs to, be it the live one or rotated away.
    fn family_of(&self, token: &Token) -> Option<&Family> {
        self.sessions.get(self.tokens.get(token.expose())?)
    }

    fn end(&mut self, id: &SessionId) -> Option<Family> {
        let family = self.sessions.remove(id)?;
        for key in family.keys() {
            self.tokens.remove(key);
        }
        Some(family)
    }

    /// [`end`](Self::end) by any of the family's tokens, each of them hashed once.
    fn end_by(&mut self, token: &str) -> Option<Family> {
        let id = self.tokens.remove(token)?;
        let family = self.sessions.remove(&id)?;
        for key in family.keys().filter(|key| key.0.expose() != token) {
            self.tokens.remove(key);
        }
        Some(family)
    }

    fn insert(&mut self, family: Family) {
        if self.indexes.entries >= 2 * self.sessions.len() + 64 {
            self.indexes = Indexes::default();
            for family in self.sessions.values() {
                self.indexes.add(family);
            }
        }
        self.indexes.add(&family);
        self.tokens.insert(family.live.clone(), family.id.clone());
        self.sessions.insert(family.id.clone(), family);
    }

    fn drop_expired(&mut self, now: SystemTime, at_most: u32) -> u32 {
        let mut dropped = 0;
        while dropped < at_most
            && let Some(Reverse((at, _))) = self.indexes.due.peek()
            && *at <= now
            && let Some(Reverse((_, id))) = self.indexes.due.pop()
        {
            match self.sessions.get(&id) {
                Some(family) if family.is_alive(now) => {
                    self.indexes.due.push(due(family));
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

    fn admit(&mut self, token: &Token, capacity: usize, now: SystemTime) -> Result<Key, BoxError> {
        if self.tokens.contains_key(token.expose()) {
            return Err(TOKEN_TAKEN.into());
        }
        if self.tokens.len() >= capacity {
            self.drop_expired(now, u32::MAX);
            if self.tokens.len() >= capacity {
                return Err(format!(
                    "the memory store holds its {capacity} tokens: give it a larger capacity, \
                     a shorter lifetime, or use a store with a database"
                )
                .into());
            }
        }
        Ok(Key(Arc::new(token.clone())))
    }
}

fn due(family: &Family) -> Reverse<(SystemTime, SessionId)> {
    Reverse((family.expires_at, family.id.clone()))
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store, with a lifetime of 30 days and a capacity of 1,000,000 tokens.
    pub fn new() -> Self {
        Self {
            lifetime: DEFAULT_LIFETIME,
            capacity: DEFAULT_CAPACITY,
            state: Arc::default(),
        }
    }

    /// How long a session lives after it was opened or last rotated. 30 days by default.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_logout::MemoryStore;
    ///
    /// let store = MemoryStore::new().with_lifetime(Duration::from_secs(3600));
    /// ```
    #[must_use]
    pub fn with_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// How many tokens the store holds at most, rotated ones included. 1,000,000 by default.
    ///
    /// ```
    /// use tower_logout::MemoryStore;
    ///
    /// let store = MemoryStore::new().with_capacity(10_000);
    /// ```
    #[must_use]
    pub fn with_capacity(mut self, tokens: usize) -> Self {
        self.capacity = tokens;
        self
    }

    /// A panic under the lock can only be one of the allocator's; the maps are whole even then.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TokenStore for MemoryStore {
    async fn revoke(&self, token: &Token) -> Result<Revocation, BoxError> {
        let mut state = self.state();
        let ended = state.end_by(token.expose());
        drop(state);
        Ok(match ended {
            Some(family) if family.is_alive(SystemTime::now()) => {
                Revocation::Sessions(family.id.into())
            }
            _ => Revocation::NotFound,
        })
    }
}

#[async_trait]
impl SessionStore for MemoryStore {
    async fn open(&self, subject: &str, token: &Token) -> Result<Session, BoxError> {
        let now = SystemTime::now();
        let id = SessionId::generate()?;
        let mut state = self.state();
        let live = state.admit(token, self.capacity, now)?;
        let subject = match state.indexes.subjects.get_key_value(subject) {
            Some((known, _)) => Arc::clone(known),
            None => subject.into(),
        };
        let family = Family {
            id,
            subject,
            expires_at: expiry(now, self.lifetime),
            live,
            rotated: Vec::new(),
        };
        let session = family.session();
        state.insert(family);
        Ok(session)
    }

    async fn rotate(&self, presented: &Token, next: &Token) -> Result<Rotation, BoxError> {
        let now = SystemTime::now();
        let mut state = self.state();
        let Some(id) = state.tokens.get(presented.expose()).cloned() else {
            return Ok(Rotation::NotFound);
        };
        let family = state.sessions.get(&id);
        let is_live = match family.filter(|family| family.is_alive(now)) {
            Some(family) => family.live.0.expose() == presented.expose(),
            None => return Ok(Rotation::NotFound),
        };
        if !is_live {
            state.end(&id);
            return Ok(Rotation::Reused(id));
        }
        let next = state.admit(next, self.capacity, now)?;
        let Some(family) = state.sessions.get_mut(&id) else {
            return Ok(Rotation::NotFound);
        };
        family.expires_at = expiry(now, self.lifetime);
        let rotated = std::mem::replace(&mut family.live, next.clone());
        family.rotated.push(rotated);
        let forgotten =
            (family.rotated.len() > usize::from(MAX_ROTATED)).then(|| family.rotated.remove(0));
        let session = family.session();
        if let Some(forgotten) = forgotten {
            state.tokens.remove(&forgotten);
        }
        state.tokens.insert(next, id);
        Ok(Rotation::Rotated(session))
    }

    async fn find(&self, token: &Token) -> Result<Option<Session>, BoxError> {
        let state = self.state();
        Ok(state
            .family_of(token)
            .filter(|family| family.live.0.expose() == token.expose())
            .filter(|family| family.is_alive(SystemTime::now()))
            .map(Family::session))
    }

    async fn find_session(&self, id: &SessionId) -> Result<Option<Session>, BoxError> {
        Ok(self
            .state()
            .sessions
            .get(id)
            .filter(|family| family.is_alive(SystemTime::now()))
            .map(Family::session))
    }

    async fn drop_expired(&self, at_most: u32) -> Result<u32, BoxError> {
        Ok(self.state().drop_expired(SystemTime::now(), at_most))
    }
}

#[async_trait]
impl SubjectStore for MemoryStore {
    async fn subject(&self, token: &Token) -> Result<Option<String>, BoxError> {
        let state = self.state();
        let family = state.family_of(token);
        let family = family.filter(|family| family.is_alive(SystemTime::now()));
        Ok(family.map(|family| family.subject.to_string()))
    }

    async fn revoke_subject(&self, subject: &str, keep: &[Token]) -> Result<Revocation, BoxError> {
        let now = SystemTime::now();
        let mut state = self.state();
        let kept: Vec<_> = keep
            .iter()
            .filter_map(|token| {
                let family = state.family_of(token)?;
                (family.live.0.expose() == token.expose()).then(|| family.id.clone())
            })
            .collect();
        let Some((subject, ids)) = state.indexes.subjects.remove_entry(subject) else {
            return Ok(Revocation::NotFound);
        };
        let (kept, ids): (Vec<_>, Vec<_>) = ids.into_iter().partition(|id| kept.contains(id));
        if !kept.is_empty() {
            state.indexes.subjects.insert(subject, kept);
        }
        let ended = ids.iter().filter_map(|id| state.end(id));
        let alive = ended.filter(|family| family.is_alive(now));
        Ok(Revocation::of(alive.map(|family| family.id)))
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn now<T>(future: impl Future<Output = Result<T, BoxError>>) -> T {
        future.now_or_never().unwrap().unwrap()
    }

    #[test]
    fn of_sessions_that_come_and_go_nothing_stays() {
        let store = MemoryStore::new();
        for _ in 0..1000 {
            let token = Token::generate().unwrap();
            now(store.open("alice", &token));
            now(store.revoke(&token));
        }
        let state = store.state();
        assert!(state.tokens.is_empty() && state.sessions.is_empty());
        let indexes = &state.indexes;
        assert!(indexes.entries <= 65, "{}", indexes.entries);
        assert!(indexes.due.len() <= indexes.entries);
        assert!(indexes.subjects["alice"].len() <= indexes.entries);
    }

    #[test]
    fn a_session_that_is_rotated_is_dropped_when_it_expires_and_not_before() {
        let store = MemoryStore::new().with_lifetime(Duration::from_mins(1));
        let (first, second) = (Token::generate().unwrap(), Token::generate().unwrap());
        let opened = now(store.open("alice", &first));
        std::thread::sleep(Duration::from_millis(2));
        let Rotation::Rotated(rotated) = now(store.rotate(&first, &second)) else {
            panic!("it was alive");
        };
        assert!(rotated.expires_at > opened.expires_at);
        let mut state = store.state();
        assert_eq!(state.drop_expired(opened.expires_at, 9), 0);
        assert_eq!(state.drop_expired(rotated.expires_at, 9), 1);
        assert!(state.tokens.is_empty() && state.sessions.is_empty());
    }
}
