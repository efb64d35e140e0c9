//! A session's tokens: the live ones, the predecessor, and those that were rotated away.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::store::{Session, SessionId};
use crate::token::Token;

/// A token as a key. Its comparison takes the time it takes: an attacker who cannot choose the
/// hash's random key does not get as far as a comparison.
#[derive(Clone, Debug)]
pub(super) struct Key(Arc<Minted>);

#[derive(Debug)]
struct Minted {
    token: Token,
    expires_at: SystemTime,
}

impl Key {
    pub(super) fn new(token: &Token, expires_at: SystemTime) -> Self {
        let token = token.clone();
        Self(Arc::new(Minted { token, expires_at }))
    }

    pub(super) fn token(&self) -> &str {
        self.0.token.expose()
    }

    /// Whether both are the same, of which a store has one.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(super) fn expires_at(&self) -> SystemTime {
        self.0.expires_at
    }

    pub(super) fn is_alive(&self, now: SystemTime) -> bool {
        self.0.expires_at > now
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.token() == other.token()
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.token().hash(state);
    }
}

impl std::borrow::Borrow<str> for Key {
    fn borrow(&self) -> &str {
        self.token()
    }
}

/// A token in a heap of which the top is the one that expires first.
#[derive(Debug)]
struct Aging(Key);

impl Ord for Aging {
    fn cmp(&self, other: &Self) -> Ordering {
        other.0.expires_at().cmp(&self.0.expires_at())
    }
}

impl PartialOrd for Aging {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Aging {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Aging {}

#[derive(Debug)]
pub(super) struct Family {
    pub(super) id: SessionId,
    pub(super) subject: Arc<str>,
    newest: Key,
    /// The other live token, after the predecessor was rotated once more.
    sibling: Option<Key>,
    /// The token whose rotation made the newest, and when that was. `None` once it has been rotated
    /// again.
    predecessor: Option<(Key, SystemTime)>,
    rotated: BinaryHeap<Aging>,
}

/// What a token is to its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Live,
    /// It may be rotated once more.
    Predecessor,
    Rotated,
}

impl Family {
    pub(super) fn new(id: SessionId, subject: Arc<str>, token: Key) -> Self {
        Self {
            id,
            subject,
            newest: token,
            sibling: None,
            predecessor: None,
            rotated: BinaryHeap::new(),
        }
    }

    pub(super) fn session(&self) -> Session {
        Session::new(self.id.clone(), &*self.subject, self.newest.expires_at())
    }

    pub(super) fn is_alive(&self, now: SystemTime) -> bool {
        self.newest.is_alive(now)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.live().chain(self.rotated.iter().map(|aging| &aging.0))
    }

    fn live(&self) -> impl Iterator<Item = &Key> {
        self.sibling.iter().chain(std::iter::once(&self.newest))
    }

    pub(super) fn is_live(&self, token: &str) -> bool {
        self.live().any(|key| key.token() == token)
    }

    pub(super) fn standing(&self, token: &str, now: SystemTime, leeway: Duration) -> Standing {
        if self.is_live(token) {
            return Standing::Live;
        }
        match &self.predecessor {
            Some((key, rotated_at))
                if key.token() == token && is_within(*rotated_at, leeway, now) =>
            {
                Standing::Predecessor
            }
            _ => Standing::Rotated,
        }
    }

    /// How many rotated tokens there are once a live one is rotated.
    pub(super) fn rotated_next(&self) -> usize {
        self.rotated.len() + self.live().count()
    }

    /// Puts a token in the place of a live one. No other stays live beside it.
    pub(super) fn rotate(&mut self, presented: Key, next: Key, now: SystemTime) {
        let newest = std::mem::replace(&mut self.newest, next);
        let live = self.sibling.take().into_iter().chain([newest]);
        self.rotated.extend(live.map(Aging));
        self.predecessor = Some((presented, now));
    }

    /// Puts a token beside the one that the predecessor was rotated to.
    pub(super) fn rotate_again(&mut self, next: Key) {
        self.sibling = Some(std::mem::replace(&mut self.newest, next));
        self.predecessor = None;
    }

    /// A rotated token that has expired, which is remembered no longer.
    pub(super) fn forget(&mut self, now: SystemTime) -> Option<Key> {
        let first = self.rotated.peek()?;
        if first.0.is_alive(now) {
            return None;
        }
        self.rotated.pop().map(|aging| aging.0)
    }

    /// When the first of its tokens expires.
    pub(super) fn due_at(&self) -> SystemTime {
        let newest = self.newest.expires_at();
        let rotated = self.rotated.peek().map(|aging| aging.0.expires_at());
        rotated.map_or(newest, |rotated| newest.min(rotated))
    }
}

fn is_within(since: SystemTime, leeway: Duration, now: SystemTime) -> bool {
    // Also by a clock that was set back, none is none.
    !leeway.is_zero() && since.checked_add(leeway).is_none_or(|until| now < until)
}
