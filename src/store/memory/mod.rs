//! Sessions in the memory of this process.
//!
//! A session is a [`Record`], which holds its tokens behind a lock of its own. The lock decides: a
//! session is alive, and a token is live, if the [`Family`](family::Family) behind it says so. Four
//! indexes find the records: by token, by session id, by subject, and by when they are due. Each index
//! is split into shards by a hash or a serial number, and each shard has its own lock.
//!
//! A thread locks at most one record at a time, and at most one shard. It can lock a shard while it
//! holds a record, but never a record while it holds a shard. So two threads never wait for each other.
//!
//! To find a token, a thread looks in the index, unlocks the shard, and locks the record. In between,
//! another thread can end the session, and then the record says so. A thread that opens, rotates or
//! ends a session keeps the record locked until all indexes agree with it. So when
//! [`revoke`](TokenStore::revoke) has returned, every rotation finds that the session has ended. Of
//! many calls that end one session, only the call that found it alive reports it.
//!
//! The work of a call is bounded. An index grows shard by shard. A call that ends or drops many
//! sessions yields to other tasks after a few of them. When a session with very many rotated tokens
//! ends, some of the tokens stay in the index for a while: the sweep removes them, or the first call
//! that finds no room.

mod family;
mod index;
#[cfg(feature = "ended")]
mod log;
mod record;
mod rotate;
mod state;
#[cfg(test)]
mod tests;
mod yielding;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;

use self::family::Family;
use self::record::Record;
use self::state::{STEP, State};
use self::yielding::yield_now;
use super::{
    BoxError, Revocation, Rotation, Session, SessionId, SessionPolicy, SessionStore, SubjectStore,
    TokenStore,
};
#[cfg(feature = "ended")]
use crate::ended::EndedLog;
use crate::token::Token;

/// How many tokens a store holds by default.
const DEFAULT_MAX_TOKENS: usize = 1_000_000;

/// A store in the memory of this process, for tests, for a single process, and for trying things
/// out: its sessions end with it.
///
/// The store is bounded: with [`with_max_tokens`](Self::with_max_tokens) tokens, opening and rotating fail
/// until sessions have ended or tokens have expired. A rotated token counts until it would have expired by
/// itself, and takes about 200 bytes. Clones share their sessions.
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
    max_tokens: usize,
    state: Arc<State>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store, with a lifetime of 30 days and room for 1,000,000 tokens.
    pub fn new() -> Self {
        Self {
            policy: SessionPolicy::new(),
            max_tokens: DEFAULT_MAX_TOKENS,
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
        self.max_tokens = tokens;
        self
    }

    /// The log of the sessions that this store ends, for
    /// [`EndedSessions`](crate::ended::EndedSessions).
    ///
    /// The log keeps a session for [`SessionPolicy::ended_retention`], and takes about 100 bytes for each.
    ///
    /// ```
    /// use tower_logout::MemoryStore;
    /// use tower_logout::ended::EndedSessions;
    ///
    /// let store = MemoryStore::new();
    /// let (ended, following) = EndedSessions::builder().follow(store.ended_log());
    /// ```
    #[cfg(feature = "ended")]
    pub fn ended_log(&self) -> impl EndedLog + use<> {
        log::Reader::new(Arc::clone(&self.state), self.policy.ended_retention())
    }

    /// Ends a session whose lock is held. A session that is alive comes into the log.
    fn end(&self, record: &Arc<Record>, family: &mut Family, now: SystemTime) {
        #[cfg(feature = "ended")]
        if family.is_alive(now) {
            let retention = self.policy.ended_retention();
            self.state.log().push(record.id.clone(), retention);
        }
        self.state.end(record, family, now);
    }

    /// Drops a few sessions that have expired. An error if there are none.
    fn make_room(&self, now: SystemTime) -> Result<(), BoxError> {
        if self.state.make_room(now) {
            return Ok(());
        }
        let max = self.max_tokens;
        Err(format!(
            "the memory store holds its {max} tokens: raise with_max_tokens, shorten the lifetime of \
             a session, or use a store with a database"
        )
        .into())
    }

    /// The session whose live token this is.
    fn by_live_token(&self, token: &Token, now: SystemTime) -> Option<(Arc<Record>, Session)> {
        let (token, record) = self.state.by_token(token)?;
        let family = record.lock();
        if !(token.is_alive(now) && family.is_alive(now) && family.is_live(token.token())) {
            return None;
        }
        let session = record.session(family.newest());
        drop(family);
        Some((record, session))
    }
}

#[async_trait]
impl TokenStore for MemoryStore {
    async fn revoke(&self, token: &Token) -> Result<Revocation, BoxError> {
        let now = SystemTime::now();
        let Some((token, record)) = self.state.by_token(token) else {
            return Ok(Revocation::NotFound);
        };
        let mut family = record.lock();
        if !(token.is_alive(now) && family.is_alive(now)) {
            return Ok(Revocation::NotFound);
        }
        self.end(&record, &mut family, now);
        Ok(Revocation::Sessions(record.id.clone().into()))
    }
}

#[async_trait]
impl SessionStore for MemoryStore {
    async fn open(&self, subject: &str, token: &Token) -> Result<Session, BoxError> {
        let now = SystemTime::now();
        let id = SessionId::generate()?;
        let token = self.state.key(token, self.policy.expires_at(now));
        let record = self.state.new_record(id, subject, token.clone());
        while !self.state.open(&record, self.max_tokens)? {
            self.make_room(now)?;
        }
        Ok(record.session(&token))
    }

    async fn rotate(&self, presented: &Token, next: &Token) -> Result<Rotation, BoxError> {
        let now = SystemTime::now();
        loop {
            if let Some(rotation) = self.rotate_at(now, presented, next)? {
                return Ok(rotation);
            }
            // The record is not locked here, since other records have to be.
            self.make_room(now)?;
        }
    }

    fn reuse_leeway(&self) -> Duration {
        self.policy.reuse_leeway()
    }

    async fn find(&self, token: &Token) -> Result<Option<Session>, BoxError> {
        let found = self.by_live_token(token, SystemTime::now());
        Ok(found.map(|(_, session)| session))
    }

    async fn find_session(&self, id: &SessionId) -> Result<Option<Session>, BoxError> {
        let found = self.state.by_id(id);
        Ok(found.and_then(|record| {
            let family = record.lock();
            let alive = family.is_alive(SystemTime::now());
            alive.then(|| record.session(family.newest()))
        }))
    }

    async fn delete_expired(&self, at_most: u32) -> Result<u32, BoxError> {
        let mut dropped = 0;
        let mut looked_at = 0;
        let mut due = self.state.delete_expired(SystemTime::now());
        while dropped < at_most {
            let Some(was_dropped) = due.next() else { break };
            dropped += u32::from(was_dropped);
            looked_at += 1;
            if looked_at % STEP == 0 {
                yield_now().await;
            }
        }
        Ok(dropped)
    }
}

#[async_trait]
impl SubjectStore for MemoryStore {
    async fn subject(&self, token: &Token) -> Result<Option<String>, BoxError> {
        let now = SystemTime::now();
        let found = self.state.by_token(token);
        let found = found.filter(|(key, record)| key.is_alive(now) && record.lock().is_alive(now));
        Ok(found.map(|(_, record)| record.subject.to_string()))
    }

    async fn revoke_subject(&self, subject: &str, keep: &[Token]) -> Result<Revocation, BoxError> {
        let now = SystemTime::now();
        let kept = keep
            .iter()
            .filter_map(|token| self.by_live_token(token, now));
        let kept: Vec<_> = kept.map(|(record, _)| record.serial).collect();
        let mut ended = Vec::new();
        // Sessions that are opened from here on are not ended, however many they are.
        let (mut from, until) = (0, self.state.next_serial());
        loop {
            let records = self.state.by_subject(subject, from, until);
            let Some(last) = records.last() else { break };
            from = last.serial + 1;
            for record in records
                .iter()
                .filter(|record| !kept.contains(&record.serial))
            {
                let mut family = record.lock();
                if family.is_alive(now) {
                    ended.push(record.id.clone());
                }
                if !family.is_ended() {
                    self.end(record, &mut family, now);
                }
            }
            if records.len() == STEP {
                yield_now().await;
            }
        }
        Ok(Revocation::from_iter(ended))
    }
}
