//! The result of a revocation, and the ids of sessions.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use smallvec::SmallVec;

use super::{BoxError, random_hex};

/// The result of [`TokenStore::revoke`](super::TokenStore::revoke).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Revocation {
    /// The store has no session for the token.
    NotFound,
    /// The session was ended. Return this if your store has no ids for its sessions.
    Revoked,
    /// The sessions with these ids were ended. The ids can feed a denylist of access tokens.
    Sessions(SessionIds),
}

/// Collects the ids of the ended sessions. Without an id, the result is [`Revocation::NotFound`].
///
/// ```
/// use tower_logout::Revocation;
/// use tower_logout::store::SessionId;
///
/// let ended: Vec<SessionId> = Vec::new();
/// assert_eq!(Revocation::from_iter(ended), Revocation::NotFound);
/// ```
impl FromIterator<SessionId> for Revocation {
    fn from_iter<I: IntoIterator<Item = SessionId>>(ended: I) -> Self {
        let ended: SessionIds = ended.into_iter().collect();
        if ended.is_empty() {
            Self::NotFound
        } else {
            Self::Sessions(ended)
        }
    }
}

impl Revocation {
    /// The result of a statement that ends the session of a token, from the number of its rows:
    /// [`Revoked`](Self::Revoked), or [`NotFound`](Self::NotFound) for no rows.
    ///
    /// No rows is [`NotFound`](Self::NotFound) only if the statement shows that the token is not there. A
    /// trigger or row level security can keep a row that still works. Where your table has either, look for
    /// the row before you return. If tokens rotate, the statement has to end each row of the session.
    ///
    /// ```
    /// use tower_logout::Revocation;
    ///
    /// assert_eq!(Revocation::from_rows(1), Revocation::Revoked);
    /// assert_eq!(Revocation::from_rows(0), Revocation::NotFound);
    /// ```
    pub fn from_rows(rows: u64) -> Self {
        if rows == 0 {
            Self::NotFound
        } else {
            Self::Revoked
        }
    }

    /// Combines the sessions of two revocations. Each session is named once.
    ///
    /// ```
    /// use tower_logout::Revocation;
    ///
    /// assert_eq!(Revocation::NotFound.and(Revocation::Revoked), Revocation::Revoked);
    /// ```
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::NotFound, found) | (found, Self::NotFound) => found,
            (Self::Sessions(mut some), Self::Sessions(more)) => {
                some.append(more);
                Self::Sessions(some)
            }
            (Self::Sessions(named), Self::Revoked) | (Self::Revoked, Self::Sessions(named)) => {
                Self::Sessions(named)
            }
            (Self::Revoked, Self::Revoked) => Self::Revoked,
        }
    }
}

/// The opaque id of a session.
///
/// All tokens of a rotation family share the id. The id is not a secret.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(Arc<str>);

impl SessionId {
    /// Creates an id from its text.
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }

    /// Returns the text of the id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Generates an id of 128 random bits, as 32 hexadecimal digits.
    ///
    /// The bits come from the random source of the operating system.
    ///
    /// # Errors
    ///
    /// An error if the operating system has no random source.
    pub fn generate() -> Result<Self, BoxError> {
        Ok(Self::new(random_hex::<16>()?.as_str()))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({})", self.0)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A list of distinct session ids. Dereferences to a slice.
///
/// ```
/// use tower_logout::store::SessionIds;
/// use tower_logout::store::SessionId;
///
/// let ended: SessionIds = [SessionId::new("1f0c")].into_iter().collect();
/// assert_eq!(ended[0].as_str(), "1f0c");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionIds(SmallVec<[SessionId; 1]>);

impl From<SessionId> for SessionIds {
    fn from(id: SessionId) -> Self {
        Self(SmallVec::from_buf([id]))
    }
}

impl FromIterator<SessionId> for SessionIds {
    fn from_iter<I: IntoIterator<Item = SessionId>>(ids: I) -> Self {
        let mut sessions = Self::default();
        sessions.extend(ids);
        sessions
    }
}

impl SessionIds {
    pub(crate) fn append(&mut self, other: Self) {
        // Most requests present one token, and its list needs no copy.
        if self.0.is_empty() {
            *self = other;
        } else {
            self.extend(other.0);
        }
    }

    /// Adds the ids that are not in the list.
    fn extend(&mut self, ids: impl IntoIterator<Item = SessionId>) {
        /// For more ids than this, a set is cheaper than a linear search.
        const FEW: usize = 16;
        let mut known = HashSet::new();
        for id in ids {
            if self.0.len() < FEW {
                if !self.0.contains(&id) {
                    self.0.push(id);
                }
                continue;
            }
            if known.is_empty() {
                known.extend(self.0.iter().cloned());
            }
            if known.insert(id.clone()) {
                self.0.push(id);
            }
        }
    }
}

impl<'s> IntoIterator for &'s SessionIds {
    type Item = &'s SessionId;
    type IntoIter = std::slice::Iter<'s, SessionId>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl std::ops::Deref for SessionIds {
    type Target = [SessionId];

    fn deref(&self) -> &[SessionId] {
        &self.0
    }
}
