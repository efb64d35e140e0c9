//! The store over an application's table that says whose its sessions are.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use async_trait::async_trait;

use super::super::KEPT;
use super::super::columns::Column;
use super::super::dialect::Dialect;
use super::super::driver::{Transaction, Value};
use super::super::statement::Given;
use super::group::Seen;
use super::held::{Held, HeldValue};
use super::statements::{BATCH, SubjectStatements, Table};
use super::store::{TableStore, finish};
use tower_logout::Token;
use tower_logout::store::{SessionId, SubjectStore};
use tower_logout::{BoxError, Revocation, TokenStore};

/// A [`SubjectStore`] over a table that an application has already. Made by
/// [`ExistingTable::connect_with_subject`](crate::ExistingTable::connect_with_subject). Clones share
/// their pool.
#[derive(Clone, Debug)]
pub struct SubjectTableStore {
    table: TableStore,
    statements: Arc<SubjectStatements>,
}

/// What a logout leaves as it is.
#[derive(Default)]
struct Kept {
    sessions: HashSet<String>,
    /// Tokens without a session.
    tokens: HashSet<Held>,
}

/// How often a subject's rows are looked for. What comes later is a login at the same time.
const ROUNDS: usize = 3;

const UNEQUAL: &str = "the subject of the token's row is not equal to itself as text";

impl Kept {
    fn holds(&self, row: &Seen) -> bool {
        match (&row.session, &row.token) {
            (Some(session), _) => self.sessions.contains(session),
            (None, Some(token)) => self.tokens.contains(token),
            (None, None) => true,
        }
    }
}

impl SubjectTableStore {
    pub(super) fn new(table: TableStore, looked_at: &Table, subject: &Column) -> Self {
        Self {
            table,
            statements: Arc::new(looked_at.of_subject(subject)),
        }
    }

    fn given<'v>(&'v self, subject: &'v str) -> Given<'v> {
        Given {
            subject,
            constants: &self.table.constants,
            ..Given::default()
        }
    }

    /// What the live ones of these tokens keep. Each that is the subject's has to be found by it.
    async fn kept(
        &self,
        transaction: &mut Transaction,
        subject: &str,
        keep: &[Token],
    ) -> Result<Kept, BoxError> {
        let mut kept = Kept::default();
        for token in keep {
            let Some(stored) = self.table.format.apply(token, self.table.pool.dialect()) else {
                continue;
            };
            let given = Given {
                tokens: &[stored.value()],
                ..self.given(subject)
            };
            let (by_token, is_of_subject) =
                (&self.statements.by_token, &self.statements.is_of_subject);
            let rows = transaction
                .fetch(&by_token.sql, &by_token.values(&given))
                .await?;
            let mut found = None;
            for row in &rows {
                if row.text_or_null(4)?.as_deref() == Some(subject) && found.is_none() {
                    let values = is_of_subject.values(&given);
                    let same = transaction.fetch(&is_of_subject.sql, &values).await?;
                    let again = transaction
                        .fetch(&by_token.sql, &by_token.values(&given))
                        .await?;
                    if same.is_empty() && !again.is_empty() {
                        return Err(UNEQUAL.into());
                    }
                    found = Some(());
                }
                let row = Seen::read(row)?;
                match (row.live, row.session, row.token) {
                    (true, Some(session), _) => _ = kept.sessions.insert(session),
                    (true, None, Some(token)) => _ = kept.tokens.insert(token),
                    _ => {}
                }
            }
        }
        Ok(kept)
    }

    async fn end(
        &self,
        transaction: &mut Transaction,
        subject: &str,
        keep: &[Token],
    ) -> Result<Revocation, BoxError> {
        let kept = self.kept(transaction, subject, keep).await?;
        let mut revocation = Revocation::NotFound;
        let mut before = HashSet::new();
        for round in 0..=ROUNDS {
            let look = &self.statements.rows;
            let values = look.values(&self.given(subject));
            let mut rows = Seen::all(&transaction.fetch(&look.sql, &values).await?)?;
            rows.retain(|row| !kept.holds(row));
            if rows.iter().any(|row| before.contains(&row.token)) {
                return Err(KEPT.into());
            }
            // What came after the last round is a login that was made meanwhile.
            if rows.is_empty() || round == ROUNDS {
                break;
            }
            let ended = self.end_rows(transaction, subject, &rows).await?;
            revocation = revocation.and(ended);
            before.extend(rows.into_iter().map(|row| row.token));
        }
        Ok(revocation)
    }

    async fn end_rows(
        &self,
        transaction: &mut Transaction,
        subject: &str,
        rows: &[Seen],
    ) -> Result<Revocation, BoxError> {
        let mut revocation = Revocation::NotFound;
        // Each in one order: two of them do not wait for each other.
        let ids: BTreeSet<_> = rows
            .iter()
            .filter_map(|row| row.session.as_deref())
            .collect();
        let ids: Vec<_> = ids.into_iter().map(Value::Text).collect();
        if let Some(sessions) = &self.statements.sessions {
            for ids in ids.chunks(BATCH) {
                let given = Given {
                    ids,
                    ..self.given(subject)
                };
                let ended = sessions.end(transaction, &given, true).await?;
                let live = ended.rows.into_iter().filter(|row| row.live);
                let named = live.filter_map(|row| row.session.map(SessionId::new));
                revocation = revocation.and(Revocation::from_iter(named));
            }
        }
        let holds = self.table.format.holds();
        let alone = rows.iter().filter(|row| row.session.is_none());
        let alone: BTreeSet<_> = alone.filter_map(|row| row.token.as_ref()).collect();
        let alone: Vec<_> = alone.into_iter().map(|held| held.value(holds)).collect();
        let alone: Vec<_> = alone.iter().map(HeldValue::value).collect();
        for tokens in alone.chunks(BATCH) {
            let given = Given {
                tokens,
                ..self.given(subject)
            };
            let ended = self
                .statements
                .tokens
                .end(transaction, &given, true)
                .await?;
            if ended.rows.iter().any(|row| row.live) {
                revocation = revocation.and(Revocation::Revoked);
            }
        }
        Ok(revocation)
    }
}

#[async_trait]
impl TokenStore for SubjectTableStore {
    async fn revoke(&self, token: &Token) -> Result<Revocation, BoxError> {
        self.table.revoke(token).await
    }
}

#[async_trait]
impl SubjectStore for SubjectTableStore {
    async fn subject(&self, token: &Token) -> Result<Option<String>, BoxError> {
        let pool = &self.table.pool;
        let Some(stored) = self.table.format.apply(token, pool.dialect()) else {
            return Ok(None);
        };
        let tokens = [stored.value()];
        let given = Given {
            tokens: &tokens,
            ..self.given("")
        };
        let look = &self.statements.by_token;
        for row in pool.fetch(&look.sql, &look.values(&given)).await? {
            let Some(subject) = row.text_or_null(4)? else {
                continue;
            };
            let seen = Seen::read(&row)?;
            let mut live = seen.live;
            if let (false, Some(id), Some(of_session)) =
                (live, &seen.session, &self.statements.of_session)
            {
                let given = Given {
                    ids: &[Value::Text(id)],
                    ..given
                };
                let rows = pool
                    .fetch(&of_session.sql, &of_session.values(&given))
                    .await?;
                live = Seen::all(&rows)?.iter().any(|row| row.live);
            }
            if live {
                return Ok(Some(subject));
            }
        }
        Ok(None)
    }

    async fn revoke_subject(&self, subject: &str, keep: &[Token]) -> Result<Revocation, BoxError> {
        let pool = &self.table.pool;
        if pool.dialect() == Dialect::Postgres && subject.contains('\0') {
            // It has no text with a zero in it.
            return Ok(Revocation::NotFound);
        }
        let mut transaction = pool.begin().await?;
        let ended = self.end(&mut transaction, subject, keep).await;
        finish(transaction, ended).await
    }
}
