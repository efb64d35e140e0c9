//! The tokens of a session: the live ones, the predecessor, and the rotated ones.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::index::Place;
use crate::token::Token;

/// A token, as its session and the index of tokens share it.
#[derive(Clone, Debug)]
pub(super) struct Key(Arc<Minted>);

#[derive(Debug)]
struct Minted {
    token: Token,
    expires_at: SystemTime,
    place: Place,
}

impl Key {
    pub(super) fn new(token: &Token, expires_at: SystemTime, place: Place) -> Self {
        let token = token.clone();
        Self(Arc::new(Minted {
            token,
            expires_at,
            place,
        }))
    }

    pub(super) fn token(&self) -> &str {
        self.0.token.expose()
    }

    pub(super) fn place(&self) -> Place {
        self.0.place
    }

    pub(super) fn expires_at(&self) -> SystemTime {
        self.0.expires_at
    }

    pub(super) fn is_alive(&self, now: SystemTime) -> bool {
        self.0.expires_at > now
    }
}

#[derive(Debug)]
pub(super) struct Family {
    newest: Key,
    /// The other live token, after the predecessor was rotated once more.
    sibling: Option<Key>,
    /// The token whose rotation made the newest, and when that was. `None` once it has been rotated
    /// again.
    predecessor: Option<(Key, SystemTime)>,
    /// The token that expires first is at the front.
    rotated: VecDeque<Key>,
    ended: bool,
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
    pub(super) fn new(token: Key) -> Self {
        Self {
            newest: token,
            sibling: None,
            predecessor: None,
            rotated: VecDeque::new(),
            ended: false,
        }
    }

    pub(super) fn newest(&self) -> &Key {
        &self.newest
    }

    pub(super) fn is_alive(&self, now: SystemTime) -> bool {
        !self.ended && self.newest.is_alive(now)
    }

    pub(super) fn is_ended(&self) -> bool {
        self.ended
    }

    /// Ends the family. The live tokens are returned, the rotated ones are left to
    /// [`forget`](Self::forget).
    pub(super) fn end(&mut self) -> impl Iterator<Item = &Key> {
        self.ended = true;
        self.live()
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
        for key in self.sibling.take().into_iter().chain([newest]) {
            self.remember(key);
        }
        self.predecessor = Some((presented, now));
    }

    /// Puts a token beside the one that the predecessor was rotated to.
    pub(super) fn rotate_again(&mut self, next: Key) {
        self.sibling = Some(std::mem::replace(&mut self.newest, next));
        self.predecessor = None;
    }

    fn remember(&mut self, key: Key) {
        let expires_at = key.expires_at();
        // Stores of different lifetimes can share their sessions, and a clock can be set back.
        if self
            .rotated
            .back()
            .is_some_and(|last| last.expires_at() > expires_at)
        {
            let at = self
                .rotated
                .partition_point(|other| other.expires_at() <= expires_at);
            self.rotated.insert(at, key);
        } else {
            self.rotated.push_back(key);
        }
    }

    /// A rotated token to remember no longer: one that has expired, or any if the family has ended.
    pub(super) fn forget(&mut self, now: SystemTime) -> Option<Key> {
        let first = self.rotated.front()?;
        if first.is_alive(now) && !self.ended {
            return None;
        }
        self.rotated.pop_front()
    }

    /// When there is something to forget, or the session to end.
    pub(super) fn due_at(&self) -> Option<SystemTime> {
        let rotated = self.rotated.front().map(Key::expires_at);
        if self.ended {
            return rotated.map(|_| SystemTime::UNIX_EPOCH);
        }
        let newest = self.newest.expires_at();
        Some(rotated.map_or(newest, |rotated| newest.min(rotated)))
    }
}

fn is_within(since: SystemTime, leeway: Duration, now: SystemTime) -> bool {
    // Also by a clock that was set back, none is none.
    !leeway.is_zero() && since.checked_add(leeway).is_none_or(|until| now < until)
}
