//! The sessions of a subject in an existing table.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use tower_logout::store::SubjectStore;
use tower_logout::{BoxError, Revocation, Token};

use super::column::Holds;
use super::group::Seen;
use super::held::Held;
use super::store::TableStore;
use super::subject_queries::SubjectQueries;
use crate::dialect::Dialect;
use crate::pool::Transaction;
use crate::pool::failure::rows_are_kept;

/// Says that a [`TableStore`] knows the subjects of its sessions, and is a [`SubjectStore`].
///
/// ```
/// use tower_logout_sqlx::{TableStore, WithSubjects};
///
/// struct App {
///     tokens: TableStore<WithSubjects>,
/// }
/// ```
#[derive(Clone, Debug)]
pub struct WithSubjects {
    pub(super) queries: Arc<SubjectQueries>,
}

/// The sessions that a logout keeps.
#[derive(Default)]
struct Kept {
    sessions: HashSet<String>,
    /// Tokens without a session.
    tokens: HashSet<Held>,
}

/// How often the rows of a subject are read. A row that comes later is a login at the same time.
const ROUNDS: usize = 3;

impl Kept {
    fn holds(&self, row: &Seen) -> bool {
        match (&row.session, &row.token) {
            (Some(session), _) => self.sessions.contains(session),
            (None, Some(token)) => self.tokens.contains(token),
            (None, None) => true,
        }
    }

    fn add(&mut self, row: Seen) {
        match (row.live, row.session, row.token) {
            (true, Some(session), _) => _ = self.sessions.insert(session),
            (true, None, Some(token)) => _ = self.tokens.insert(token),
            _ => {}
        }
    }
}

impl TableStore<WithSubjects> {
    /// The sessions that the live ones of these tokens keep. A token of the subject has to be found by the
    /// subject.
    async fn kept(
        &self,
        transaction: &mut Transaction,
        subject: &str,
        keep: &[Token],
    ) -> Result<Kept, BoxError> {
        let queries = &self.subjects.queries;
        let mut kept = Kept::default();
        for token in keep {
            let Some(stored) = self.digest.apply(token, self.pool.dialect()) else {
                continue;
            };
            let token = stored.value();
            let rows = queries.rows_of_token(&mut *transaction, token).await?;
            let is_of_subject = rows.iter().any(|(_, of)| of.as_deref() == Some(subject));
            if is_of_subject
                && !queries.has_token(transaction, subject, token).await?
                && !self
                    .queries
                    .rows(&mut *transaction, token)
                    .await?
                    .is_empty()
            {
                return Err("the subject of the token's row does not equal itself as text".into());
            }
            for (row, _) in rows {
                kept.add(row);
            }
        }
        Ok(kept)
    }

    async fn end_subject(
        &self,
        transaction: &mut Transaction,
        subject: &str,
        keep: &[Token],
    ) -> Result<Revocation, BoxError> {
        let kept = self.kept(transaction, subject, keep).await?;
        let mut revocation = Revocation::NotFound;
        let mut before = HashSet::new();
        for _ in 0..ROUNDS {
            let rows = self.open_rows(transaction, subject, &kept, &before).await?;
            if rows.is_empty() {
                return Ok(revocation);
            }
            let ended = self.end_rows(transaction, subject, &rows).await?;
            revocation = revocation.and(ended);
            before.extend(rows.into_iter().map(|row| row.token));
        }
        self.open_rows(transaction, subject, &kept, &before).await?;
        Ok(revocation)
    }

    /// The rows of a subject that have to end. A row that was ended before is an error.
    async fn open_rows(
        &self,
        transaction: &mut Transaction,
        subject: &str,
        kept: &Kept,
        before: &HashSet<Option<Held>>,
    ) -> Result<Vec<Seen>, BoxError> {
        let mut rows = self.subjects.queries.rows(transaction, subject).await?;
        rows.retain(|row| !kept.holds(row));
        if rows.iter().any(|row| before.contains(&row.token)) {
            return Err(rows_are_kept());
        }
        Ok(rows)
    }

    async fn end_rows(
        &self,
        transaction: &mut Transaction,
        subject: &str,
        rows: &[Seen],
    ) -> Result<Revocation, BoxError> {
        let queries = &self.subjects.queries;
        // In one order, so that two logouts do not wait for each other.
        let ids: BTreeSet<_> = rows
            .iter()
            .filter_map(|row| row.session.as_deref())
            .collect();
        let sessions = queries.end_sessions(transaction, subject, ids.into_iter());
        let ended = Revocation::from_iter(sessions.await?);
        let alone = rows.iter().filter(|row| row.session.is_none());
        let alone: BTreeSet<_> = alone.filter_map(|row| row.token.as_ref()).collect();
        let holds = Holds::of_digest(&self.digest);
        let alone = alone.into_iter().map(|held| held.value(holds));
        if queries.end_tokens(transaction, subject, alone).await? {
            return Ok(ended.and(Revocation::Revoked));
        }
        Ok(ended)
    }
}

#[async_trait]
impl SubjectStore for TableStore<WithSubjects> {
    async fn subject(&self, token: &Token) -> Result<Option<String>, BoxError> {
        let Some(stored) = self.digest.apply(token, self.pool.dialect()) else {
            return Ok(None);
        };
        let queries = &self.subjects.queries;
        for (row, subject) in queries.rows_of_token(&self.pool, stored.value()).await? {
            let Some(subject) = subject else {
                continue;
            };
            let is_live = match &row.session {
                Some(session) if !row.live => queries.is_live(&self.pool, session).await?,
                _ => row.live,
            };
            if is_live {
                return Ok(Some(subject));
            }
        }
        Ok(None)
    }

    async fn revoke_subject(&self, subject: &str, keep: &[Token]) -> Result<Revocation, BoxError> {
        if self.pool.dialect() == Dialect::Postgres && subject.contains('\0') {
            // Text in Postgres has no zero byte.
            return Ok(Revocation::NotFound);
        }
        let mut transaction = self.pool.begin().await?;
        let ended = self.end_subject(&mut transaction, subject, keep).await;
        self.finish(transaction, ended).await
    }
}
