//! Sessions in the memory of this process.

mod family;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;

use self::family::{Family, Key, Standing};
use self::state::State;
use super::{
    BoxError, Revocation, Rotation, Session, SessionId, SessionPolicy, SessionStore, SubjectStore,
    TokenStore,
};
use crate::token::Token;

/// How many tokens are kept unless the store is told otherwise.
const DEFAULT_CAPACITY: usize = 1_000_000;

/// A store in the memory of this process, for tests, for a single process, and for trying things
/// out: its sessions end with it.
///
/// It is bounded: once it holds as many tokens as its capacity allows, opening and rotating fail until
/// some have ended or expired. A rotated token counts until it would have expired by itself, and takes
/// about 180 bytes. Clones share their sessions.
///
/// ```
/// use tower_logout::{MemoryStore, Revocation, Token, TokenStore};
/// use tower_logout::store::SessionStore;
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
    policy: SessionPolicy,
    capacity: usize,
    state: Arc<Mutex<State>>,
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
            policy: SessionPolicy::new(),
            capacity: DEFAULT_CAPACITY,
            state: Arc::default(),
        }
    }

    /// How long sessions live, and how their tokens rotate. [`SessionPolicy::default`] by default.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_logout::MemoryStore;
    /// use tower_logout::store::SessionPolicy;
    ///
    /// let policy = SessionPolicy::new().with_lifetime(Duration::from_secs(3600));
    /// let store = MemoryStore::new().with_policy(policy);
    /// ```
    #[must_use]
    pub fn with_policy(mut self, policy: SessionPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// How many tokens the store holds at most, rotated ones included. 1,000,000 by default.
    ///
    /// ```
    /// use tower_logout::MemoryStore;
    ///
    /// let store = MemoryStore::new().with_max_tokens(10_000);
    /// ```
    #[must_use]
    pub fn with_max_tokens(mut self, tokens: usize) -> Self {
        self.capacity = tokens;
        self
    }

    fn max_rotations(&self) -> usize {
        usize::try_from(self.policy.max_rotations()).unwrap_or(usize::MAX)
    }

    /// A panic under the lock can only be one of the allocator's; the maps are whole even then.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TokenStore for MemoryStore {
    async fn revoke(&self, token: &Token) -> Result<Revocation, BoxError> {
        let now = SystemTime::now();
        let ended = self.state().end_by(token.expose(), now);
        Ok(match ended {
            Some(family) if family.is_alive(now) => Revocation::Sessions(family.id.into()),
            _ => Revocation::NotFound,
        })
    }
}

#[async_trait]
impl SessionStore for MemoryStore {
    async fn open(&self, subject: &str, token: &Token) -> Result<Session, BoxError> {
        let now = SystemTime::now();
        let id = SessionId::generate()?;
        let key = Key::new(token, self.policy.expires_at(now));
        let mut state = self.state();
        state.admit(token, self.capacity, now)?;
        let family = Family::new(id, state.subject(subject), key.clone());
        let session = family.session();
        state.open(family, key);
        Ok(session)
    }

    async fn rotate(&self, presented: &Token, next: &Token) -> Result<Rotation, BoxError> {
        let now = SystemTime::now();
        let mut state = self.state();
        let Some((presented, family)) = state.family_of(presented, now) else {
            return Ok(Rotation::NotFound);
        };
        let (presented, id) = (presented.clone(), family.id.clone());
        let standing = family.standing(presented.token(), now, self.policy.reuse_leeway());
        if standing == Standing::Rotated {
            state.end(&id);
            return Ok(Rotation::Reused(id));
        }
        state.forget(&id, now);
        let rotated = state.session(&id).map_or(0, Family::rotated_next);
        if standing == Standing::Live && rotated > self.max_rotations() {
            state.end(&id);
            return Ok(Rotation::Exhausted(id));
        }
        state.admit(next, self.capacity, now)?;
        let next = Key::new(next, self.policy.expires_at(now));
        let Some(family) = state.session_mut(&id) else {
            return Ok(Rotation::NotFound);
        };
        if standing == Standing::Live {
            family.rotate(presented, next.clone(), now);
        } else {
            family.rotate_again(next.clone());
        }
        let session = family.session();
        state.enter(next, id);
        Ok(Rotation::Rotated(session))
    }

    fn reuse_leeway(&self) -> Duration {
        self.policy.reuse_leeway()
    }

    async fn find(&self, token: &Token) -> Result<Option<Session>, BoxError> {
        let state = self.state();
        let found = state.family_of(token, SystemTime::now());
        let live = found.filter(|(key, family)| family.is_live(key.token()));
        Ok(live.map(|(_, family)| family.session()))
    }

    async fn find_session(&self, id: &SessionId) -> Result<Option<Session>, BoxError> {
        Ok(self
            .state()
            .session(id)
            .filter(|family| family.is_alive(SystemTime::now()))
            .map(Family::session))
    }

    async fn delete_expired(&self, at_most: u32) -> Result<u32, BoxError> {
        Ok(self.state().delete_expired(SystemTime::now(), at_most))
    }
}

#[async_trait]
impl SubjectStore for MemoryStore {
    async fn subject(&self, token: &Token) -> Result<Option<String>, BoxError> {
        let state = self.state();
        let found = state.family_of(token, SystemTime::now());
        Ok(found.map(|(_, family)| family.subject.to_string()))
    }

    async fn revoke_subject(&self, subject: &str, keep: &[Token]) -> Result<Revocation, BoxError> {
        let now = SystemTime::now();
        let mut state = self.state();
        let kept: Vec<_> = keep
            .iter()
            .filter_map(|token| state.family_of(token, now))
            .filter(|(key, family)| family.is_live(key.token()))
            .map(|(_, family)| family.id.clone())
            .collect();
        let ended = state.end_subject(subject, &kept).into_iter();
        let alive = ended.filter(|family| family.is_alive(now));
        Ok(alive.map(|family| family.id).collect())
    }
}
