//! The log of the sessions of an existing table.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tower_logout::store::{SessionId, SessionPolicy};
use tower_logout::{BoxError, Revocation};

use super::store::TableStore;
use crate::ended::{Bell, SqlEndedLog, retention};
use crate::migrations::{Tables, migrate};
use crate::names::Names;
use crate::pool::{SqlPool, Transaction, in_background};
use crate::queries::Queries;
use crate::row_security::check_row_security;

/// How often the entries that no longer matter are deleted, and how many at a time.
const EVERY: Duration = Duration::from_secs(30);
const BATCH: u32 = 1000;

/// Writes the log.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) queries: Queries,
    bell: Arc<Bell>,
    retention: Duration,
    shortened: Mutex<Option<Instant>>,
}

impl Log {
    pub(super) async fn open(
        pool: &SqlPool,
        access_lifetime: Duration,
        policies_allow_all: bool,
    ) -> Result<Self, BoxError> {
        let policy = SessionPolicy::new().with_access_lifetime(access_lifetime);
        let retention = retention(&policy)?;
        let names = Names::default();
        migrate(pool, &names, Tables::Log).await?;
        if !policies_allow_all {
            check_row_security(pool, "", "tower_logout_ended").await?;
        }
        Ok(Self {
            bell: Arc::new(Bell::new(&names)),
            queries: Queries::new(pool.dialect(), names),
            retention,
            shortened: Mutex::default(),
        })
    }

    /// Commits a revocation with the entries of its sessions.
    async fn commit(
        self: &Arc<Self>,
        pool: &SqlPool,
        mut transaction: Transaction,
        revoked: &Revocation,
    ) -> Result<(), BoxError> {
        let Revocation::Sessions(ids) = revoked else {
            return transaction.commit().await;
        };
        let ids: Vec<_> = ids.iter().map(SessionId::as_str).collect();
        let commit = self.queries.log_by_hand(&mut transaction, &ids).await?;
        transaction.commit_by(&commit).await?;
        self.bell.ring(pool);
        self.shorten(pool);
        Ok(())
    }

    /// Deletes the entries that no longer matter, now and then and in the background.
    fn shorten(self: &Arc<Self>, pool: &SqlPool) {
        let now = Instant::now();
        let mut shortened = self
            .shortened
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if shortened.is_some_and(|last| now.duration_since(last) < EVERY) {
            return;
        }
        *shortened = Some(now);
        let (log, pool) = (Arc::clone(self), pool.clone());
        in_background(async move {
            loop {
                let deleted = log.queries.shorten_log(&pool, log.retention, BATCH).await;
                // After an error, the next time.
                if !deleted.is_ok_and(|deleted| deleted >= BATCH.into()) {
                    break;
                }
            }
        });
    }
}

impl<S> TableStore<S> {
    /// Commits a revocation.
    pub(super) async fn finish(
        &self,
        transaction: Transaction,
        revoked: Result<Revocation, BoxError>,
    ) -> Result<Revocation, BoxError> {
        let revoked = revoked?;
        match &self.log {
            Some(log) => log.commit(&self.pool, transaction, &revoked).await?,
            None => transaction.commit().await?,
        }
        Ok(revoked)
    }

    /// Opens the log of the sessions that this store has ended, if it
    /// [writes one](super::TableStoreBuilder::ended_log).
    ///
    /// # Errors
    ///
    /// If the store writes no log, the database cannot be reached, or the table of the log cannot be read.
    ///
    /// ```
    /// # async fn log(store: tower_logout_sqlx::TableStore) -> Result<(), tower_logout::BoxError> {
    /// use tower_logout::ended::EndedLog;
    ///
    /// let log = store.ended_log().await?;
    /// let page = log.read(None).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn ended_log(&self) -> Result<SqlEndedLog, BoxError> {
        let Some(log) = &self.log else {
            return Err("the store writes no log: call TableStoreBuilder::ended_log".into());
        };
        SqlEndedLog::open(&self.pool, &log.queries.names, &log.bell, log.retention).await
    }
}
