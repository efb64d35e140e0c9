//! The wrapper of a session store.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::try_join;
use time::OffsetDateTime;
use tower_logout::store::Transient;
use tower_logout::{BoxError, Revocation, Token, TokenStore};

use super::tower_sessions_core::session::{Id, Record};
use super::tower_sessions_core::session_store::{Error, ExpiredDeletion, Result, SessionStore};

mod tombstone;

use self::tombstone::{Tombstone, is_tombstone, login_of, set_login};

const THIRTY_DAYS: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How far the clocks of two servers may differ.
const CLOCK_SKEW: Duration = Duration::from_secs(60 * 60);

/// A [`SessionStore`] that never brings an ended session back, and the [`TokenStore`] that ends it.
///
/// Give one clone to the `SessionManagerLayer` and the other to the
/// [`LogoutLayer`](tower_logout::LogoutLayer), as the [example](crate#example) does. The crate
/// documentation has the [guarantees](crate#guarantees).
#[derive(Clone)]
pub struct RevocableStore<S> {
    store: S,
    longest_expiry: Duration,
}

impl<S> RevocableStore<S> {
    /// Wraps a session store. A `CachingSessionStore` goes inside.
    pub fn new(store: S) -> Self {
        Self {
            store,
            longest_expiry: THIRTY_DAYS,
        }
    }

    /// Sets the longest time for which a session may be saved. 30 days by default.
    ///
    /// The store remembers the end of a session for this time, so that the end outlives each record of the
    /// session. A session with a later expiry is not saved: the error names this setter. Every wrapper of
    /// the same store needs the same value.
    ///
    /// ```
    /// # use tower_logout_tower_sessions::v0_15::RevocableStore;
    /// # use tower_sessions_0_15::MemoryStore;
    /// use std::time::Duration;
    ///
    /// let store = RevocableStore::new(MemoryStore::default())
    ///     .with_longest_expiry(Duration::from_secs(90 * 24 * 60 * 60));
    /// ```
    #[must_use]
    pub fn with_longest_expiry(mut self, longest: Duration) -> Self {
        self.longest_expiry = longest;
        self
    }
}

/// Does not show the inner store, which may show its sessions.
impl<S> fmt::Debug for RevocableStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocableStore")
            .field("longest_expiry", &self.longest_expiry)
            .finish_non_exhaustive()
    }
}

impl<S: SessionStore> RevocableStore<S> {
    /// A client can compute the id of a tombstone and send it as a cookie.
    async fn session(&self, id: &Id) -> Result<Option<Record>> {
        let record = self.store.load(id).await?;
        Ok(record.filter(|record| !is_tombstone(record)))
    }

    async fn tombstone(&self, tombstone: Tombstone) -> Result<Option<Record>> {
        let record = self.store.load(&tombstone.id()).await?;
        Ok(record.filter(is_tombstone))
    }

    async fn has_ended(&self, login: Id) -> Result<bool> {
        Ok(self.tombstone(Tombstone::Ended(login)).await?.is_some())
    }

    async fn is_over(&self, id: Id, login: Id) -> Result<bool> {
        let deleted = self.tombstone(Tombstone::Deleted(id));
        let (ended, deleted) = try_join(self.has_ended(login), deleted).await?;
        Ok(ended || deleted.is_some())
    }

    /// Writes a tombstone that outlives this record. Returns `false` if the tombstone was there before.
    async fn bury(&self, tombstone: Tombstone, login: Id, record: &Record) -> Result<bool> {
        let expiry = self.latest_expiry().max(record.expiry_date);
        let mut written = tombstone.record(login, expiry.saturating_add(seconds(CLOCK_SKEW)));
        if let Err(error) = self.store.create(&mut written).await {
            // tower-sessions-redis-store answers a taken id with an error.
            return match self.tombstone(tombstone).await? {
                Some(_) => Ok(false),
                None => Err(error),
            };
        }
        if written.id != tombstone.id() {
            // The id was taken, so the store has given the record another one.
            self.store.delete(&written.id).await?;
            if self.tombstone(tombstone).await?.is_some() {
                return Ok(false);
            }
            // A tombstone that has expired takes the id until the store deletes the record.
            written.id = tombstone.id();
            self.store.save(&written).await?;
        }
        match self.tombstone(tombstone).await? {
            Some(_) => Ok(true),
            None => Err(Error::Backend(
                "the session store has not kept the end of a session".into(),
            )),
        }
    }

    async fn end(&self, id: Id) -> Result<Revocation> {
        // In this order, because `delete` writes its tombstone before the record goes.
        let session = self.session(&id).await?;
        let known = match &session {
            Some(session) => Some(session.clone()),
            None => self.tombstone(Tombstone::Deleted(id)).await?,
        };
        let Some(known) = known else {
            return Ok(Revocation::NotFound);
        };
        let login = login_of(&known).unwrap_or(id);
        let is_first = self.bury(Tombstone::Ended(login), login, &known).await?;
        if session.is_some() {
            self.store.delete(&id).await?;
        }
        Ok(if is_first {
            Revocation::Revoked
        } else {
            Revocation::NotFound
        })
    }

    /// A record with a later expiry would outlive the tombstone of its session.
    fn check_expiry(&self, record: &Record) -> Result<()> {
        if record.expiry_date <= self.latest_expiry() {
            return Ok(());
        }
        Err(Error::Backend(
            "the session expires later than RevocableStore::with_longest_expiry allows".into(),
        ))
    }

    fn latest_expiry(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc().saturating_add(seconds(self.longest_expiry))
    }
}

fn seconds(duration: Duration) -> time::Duration {
    duration.try_into().unwrap_or(time::Duration::MAX)
}

fn session_has_ended() -> Error {
    Error::Backend("the session has ended".into())
}

#[async_trait]
impl<S: SessionStore> SessionStore for RevocableStore<S> {
    async fn create(&self, record: &mut Record) -> Result<()> {
        self.check_expiry(record)?;
        let Some(login) = login_of(record) else {
            // `Session::flush` removes the data and the session, and keeps the id of the record. A cookie with this
            // id must not open the next session.
            record.id = Id::default();
            self.store.create(record).await?;
            let login = record.id;
            set_login(record, login);
            return Ok(());
        };
        // The session had another id before.
        if self.has_ended(login).await? {
            return Err(session_has_ended());
        }
        self.store.create(record).await?;
        if self.has_ended(login).await? {
            self.store.delete(&record.id).await?;
            return Err(session_has_ended());
        }
        Ok(())
    }

    async fn save(&self, record: &Record) -> Result<()> {
        self.check_expiry(record)?;
        let Some(stored) = self.session(&record.id).await? else {
            return Err(session_has_ended());
        };
        let login = login_of(&stored).unwrap_or(record.id);
        if self.is_over(record.id, login).await? {
            return Err(session_has_ended());
        }
        if login_of(record) == Some(login) {
            self.store.save(record).await?;
        } else {
            // `Session::clear` removes all data.
            let mut record = record.clone();
            set_login(&mut record, login);
            self.store.save(&record).await?;
        }
        if self.is_over(record.id, login).await? {
            self.store.delete(&record.id).await?;
            return Err(session_has_ended());
        }
        Ok(())
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        let Some(mut record) = self.session(id).await? else {
            return Ok(None);
        };
        let login = login_of(&record).unwrap_or(*id);
        if self.is_over(*id, login).await? {
            return Ok(None);
        }
        set_login(&mut record, login);
        Ok(Some(record))
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        // Without a session nothing is deleted: at this id, another request may write a tombstone.
        let Some(record) = self.session(id).await? else {
            return Ok(());
        };
        let login = login_of(&record).unwrap_or(*id);
        self.bury(Tombstone::Deleted(*id), login, &record).await?;
        self.store.delete(id).await
    }
}

#[async_trait]
impl<S: ExpiredDeletion> ExpiredDeletion for RevocableStore<S> {
    async fn delete_expired(&self) -> Result<()> {
        self.store.delete_expired().await
    }
}

#[async_trait]
impl<S: SessionStore> TokenStore for RevocableStore<S> {
    async fn revoke(&self, token: &Token) -> std::result::Result<Revocation, BoxError> {
        let Ok(id) = token.expose().parse() else {
            return Ok(Revocation::NotFound);
        };
        self.end(id).await.map_err(|error| match error {
            Error::Backend(_) => Transient::new(error).into(),
            Error::Encode(_) | Error::Decode(_) => error.into(),
        })
    }
}
