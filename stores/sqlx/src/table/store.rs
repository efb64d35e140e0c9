//! The store over an application's table.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;

use super::super::driver::{Pool, Transaction, Value};
use super::super::statement::Given;
use super::super::token_format::TokenFormat;
use super::group::Seen;
use super::sample::Sample;
use super::statements::{Statements, Table};
use tower_logout::Token;
use tower_logout::store::SessionId;
use tower_logout::{BoxError, Revocation, TokenStore};

/// A [`TokenStore`] over a table that an application has already. Made by
/// [`ExistingTable::connect`](crate::ExistingTable::connect). Clones share their pool.
#[derive(Clone, Debug)]
pub struct TableStore {
    pub(super) pool: Pool,
    pub(super) format: TokenFormat,
    statements: Arc<Statements>,
    pub(super) constants: Arc<[String]>,
    sample: Option<Arc<Sample>>,
}

impl TableStore {
    pub(super) fn new(
        pool: Pool,
        format: TokenFormat,
        table: &Table,
        sample: Option<Sample>,
    ) -> Self {
        Self {
            pool,
            format,
            statements: Arc::new(table.statements()),
            constants: table.constants().into(),
            sample: sample.map(Arc::new),
        }
    }

    /// Ends the sessions of the rows that a token has, and the rows without a session themselves.
    async fn end(
        &self,
        transaction: &mut Transaction,
        rows: &[Seen],
        token: Value<'_>,
    ) -> Result<Revocation, BoxError> {
        let by_token = Given {
            tokens: &[token],
            constants: &self.constants,
            ..Given::default()
        };
        let mut revocation = Revocation::NotFound;
        let ids: BTreeSet<_> = rows
            .iter()
            .filter_map(|row| row.session.as_deref())
            .collect();
        let has_sessions = !ids.is_empty();
        for id in ids {
            let Some(group) = &self.statements.session else {
                continue;
            };
            let given = Given {
                ids: &[Value::Text(id)],
                ..by_token
            };
            let ended = group.end(transaction, &given, false).await?;
            let of_session = |row: &&Seen| row.session.as_deref() == Some(id);
            if ended.any_live(rows.iter().filter(of_session)) {
                revocation = revocation.and(Revocation::from_iter([SessionId::new(id)]));
            }
        }
        let alone = |row: &&Seen| row.session.is_none() && row.open;
        if rows.iter().any(|row| alone(&row)) {
            let ended = self
                .statements
                .token
                .end(transaction, &by_token, false)
                .await?;
            if ended.any_live(rows.iter().filter(alone)) {
                revocation = revocation.and(Revocation::Revoked);
            }
        }
        if !has_sessions {
            return Ok(revocation);
        }
        // Its row may have been told by its session alone.
        let look = &self.statements.by_token;
        let left = transaction
            .fetch(&look.sql, &look.values(&by_token))
            .await?;
        if Seen::all(&left)?.iter().any(|row| row.open) {
            return Err(
                "the row of the token is still there: its session is not equal to itself as text"
                    .into(),
            );
        }
        Ok(revocation)
    }
}

#[async_trait]
impl TokenStore for TableStore {
    async fn revoke(&self, token: &Token) -> Result<Revocation, BoxError> {
        let Some(stored) = self.format.apply(token, self.pool.dialect()) else {
            return Ok(Revocation::NotFound);
        };
        let by_token = Given {
            tokens: &[stored.value()],
            constants: &self.constants,
            ..Given::default()
        };
        // Without a lock: a refresh may take the row away, and the session goes on.
        let look = &self.statements.by_token;
        let values = look.values(&by_token);
        let rows = Seen::all(&self.pool.fetch(&look.sql, &values).await?)?;
        let mut transaction = self.pool.begin().await?;
        let ended = if rows.is_empty() {
            // A replica that lags may know nothing of the row, and begins no transaction that writes.
            let rows = transaction.fetch(&look.sql, &values).await;
            match rows.and_then(|rows| Seen::all(&rows)) {
                Ok(rows) => self.end(&mut transaction, &rows, stored.value()).await,
                Err(error) => Err(error),
            }
        } else {
            self.end(&mut transaction, &rows, stored.value()).await
        };
        let revoked = finish(transaction, ended).await?;
        if let (Revocation::NotFound, Some(sample)) = (&revoked, &self.sample) {
            sample.check(&self.pool).await?;
        }
        Ok(revoked)
    }
}

/// Commits what was done, or rolls back what failed.
pub(super) async fn finish<T>(
    transaction: Transaction,
    done: Result<T, BoxError>,
) -> Result<T, BoxError> {
    if done.is_ok() {
        transaction.commit().await?;
    } else {
        drop(transaction);
    }
    done
}
