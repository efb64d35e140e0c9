//! The statements over an existing table that has a column for the subject.

use tower_logout::BoxError;
use tower_logout::store::SessionId;

use super::column::Column;
use super::group::{Group, Seen};
use super::held::HeldValue;
use super::shape::Shape;
use super::statement::{Given, Statement};
use crate::pool::{Fetch, SqlPool, Transaction, Value};

/// How many sessions, or tokens without a session, end in one statement.
const BATCH: usize = 16;

/// The statements that end the sessions of a subject.
#[derive(Debug)]
pub(super) struct SubjectQueries {
    by_token: Statement,
    is_of_subject: Statement,
    of_session: Option<Statement>,
    rows: Statement,
    /// Of a subject, the rows of some tokens that have no session.
    tokens: Group,
    /// Of a subject, the rows of some sessions.
    sessions: Option<Group>,
}

/// Some columns of which one has to be equal.
fn any_of(count: usize, is: impl Fn(usize) -> String) -> String {
    let each: Vec<_> = (0..count).map(is).collect();
    format!("({})", each.join(" OR "))
}

impl SubjectQueries {
    pub(super) fn new(shape: &Shape, subject: &Column) -> Self {
        let is_token = shape.is_token();
        let is_subject = subject.is_id("?subject");
        let tokens = any_of(BATCH, |index| {
            shape.token.is_token(shape.holds, &format!("?token{index}"))
        });
        let session = shape.session.as_ref();
        Self {
            by_token: shape
                .statement(&shape.select(&format!(", {}", subject.as_text()), &is_token)),
            is_of_subject: shape.statement(&format!(
                "SELECT '1' FROM {} WHERE {is_token} AND {is_subject}",
                shape.name
            )),
            of_session: session
                .map(|session| shape.statement(&shape.select("", &session.is_id("?id0")))),
            rows: shape
                .statement(&shape.select("", &format!("{is_subject} AND {}", shape.is_open()))),
            tokens: shape.group(&format!(
                "{is_subject} AND {tokens}{}",
                shape.without_session()
            )),
            sessions: session.map(|session| {
                let ids = any_of(BATCH, |index| session.is_id(&format!("?id{index}")));
                shape.group(&format!("{is_subject} AND {ids}"))
            }),
        }
    }

    /// The rows of a token, ended rows too, and the subject of each.
    pub(super) async fn rows_of_token(
        &self,
        on: impl Fetch,
        token: Value<'_>,
    ) -> Result<Vec<(Seen, Option<String>)>, BoxError> {
        let given = Given {
            tokens: &[token],
            ..Given::default()
        };
        let rows = self.by_token.fetch(on, &given, |row| {
            Ok((Seen::read(row)?, row.text_or_null(4)?))
        });
        rows.await
    }

    /// Whether the subject has the token.
    pub(super) async fn has_token(
        &self,
        transaction: &mut Transaction,
        subject: &str,
        token: Value<'_>,
    ) -> Result<bool, BoxError> {
        let given = Given {
            tokens: &[token],
            subject,
            ..Given::default()
        };
        let found = self.is_of_subject.fetch(transaction, &given, |_| Ok(()));
        Ok(!found.await?.is_empty())
    }

    /// Whether a row of a session is live.
    pub(super) async fn is_live(&self, pool: &SqlPool, session: &str) -> Result<bool, BoxError> {
        let Some(of_session) = &self.of_session else {
            return Ok(false);
        };
        let given = Given {
            ids: &[Value::Text(session)],
            ..Given::default()
        };
        let rows = of_session.fetch(pool, &given, Seen::read).await?;
        Ok(rows.iter().any(|row| row.live))
    }

    /// The rows of a subject that are not ended.
    pub(super) async fn rows(
        &self,
        transaction: &mut Transaction,
        subject: &str,
    ) -> Result<Vec<Seen>, BoxError> {
        let given = Given {
            subject,
            ..Given::default()
        };
        self.rows.fetch(transaction, &given, Seen::read).await
    }

    /// Ends sessions of a subject, and returns those that were live.
    pub(super) async fn end_sessions(
        &self,
        transaction: &mut Transaction,
        subject: &str,
        ids: impl Iterator<Item = &str> + Send,
    ) -> Result<Vec<SessionId>, BoxError> {
        let mut live = Vec::new();
        let ids: Vec<_> = ids.map(Value::Text).collect();
        let Some(sessions) = &self.sessions else {
            return Ok(live);
        };
        for ids in ids.chunks(BATCH) {
            let given = Given {
                ids,
                subject,
                ..Given::default()
            };
            let ended = sessions.end(transaction, &given, true).await?;
            let ended = ended.rows.into_iter().filter(|row| row.live);
            live.extend(ended.filter_map(|row| row.session.map(SessionId::new)));
        }
        Ok(live)
    }

    /// Ends tokens of a subject that have no session, and returns whether one was live.
    pub(super) async fn end_tokens(
        &self,
        transaction: &mut Transaction,
        subject: &str,
        tokens: impl Iterator<Item = HeldValue<'_>> + Send,
    ) -> Result<bool, BoxError> {
        let tokens: Vec<_> = tokens.collect();
        let tokens: Vec<_> = tokens.iter().map(HeldValue::value).collect();
        let mut any_live = false;
        for tokens in tokens.chunks(BATCH) {
            let given = Given {
                tokens,
                subject,
                ..Given::default()
            };
            let ended = self.tokens.end(transaction, &given, true).await?;
            any_live |= ended.rows.iter().any(|row| row.live);
        }
        Ok(any_live)
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use std::sync::Arc;

    use crate::query_plan::uses_an_index;
    use crate::sql_text::sql_text;
    use crate::{TableStore, TokenDigest};

    #[tokio::test]
    async fn each_statement_uses_an_index_whatever_the_types_are() {
        for (token, id) in [
            ("TEXT", "TEXT"),
            ("TEXT COLLATE NOCASE", "TEXT COLLATE NOCASE"),
            ("BLOB", "BLOB"),
            ("", ""),
            ("VARCHAR(64)", "INTEGER"),
            ("CHAR(64)", "NUMERIC"),
        ] {
            let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1);
            let pool = pool.connect("sqlite::memory:").await.unwrap();
            let create: Arc<str> = format!(
                "CREATE TABLE tokens (id INTEGER PRIMARY KEY, token {token}, family {id}, \
                 owner {id}, parent_id INT REFERENCES tokens (id)); \
                 CREATE INDEX parents ON tokens (parent_id);"
            )
            .into();
            let create = sqlx::raw_sql(sql_text(&create));
            create.execute(&pool).await.unwrap();
            let digest = TokenDigest::sha256();
            let digest = if token.contains('T') || token.contains('C') {
                digest.hex()
            } else {
                digest
            };
            let store = TableStore::builder("tokens", "token", digest)
                .session_column("family")
                .subject_column("owner");
            let store = store.connect(pool.clone()).await.unwrap();
            let (by_token, session, token_alone) = store.queries.parts();
            let of_subject = &store.subjects.queries;
            let single = [
                by_token,
                &of_subject.by_token,
                &of_subject.is_of_subject,
                &of_subject.rows,
                of_subject.of_session.as_ref().unwrap(),
                store.session.as_ref().unwrap(),
            ];
            let groups = [
                token_alone,
                session.unwrap(),
                &of_subject.tokens,
                of_subject.sessions.as_ref().unwrap(),
            ];
            let groups = groups.iter().flat_map(|group| {
                let always = [&group.look, &group.end].into_iter();
                always.chain(&group.lock).chain(&group.unlink)
            });
            let statements: Vec<_> = single.into_iter().chain(groups).collect();
            for statement in &statements {
                // Otherwise the assertion below proves nothing.
                let sql = &*statement.sql;
                assert!(!uses_an_index(&pool, sql).await, "{sql}");
            }
            let index = "CREATE INDEX tokens_by ON tokens (token); \
                         CREATE INDEX families ON tokens (family); \
                         CREATE INDEX owners ON tokens (owner);";
            sqlx::raw_sql(index).execute(&pool).await.unwrap();
            for statement in statements {
                let sql = &*statement.sql;
                assert!(uses_an_index(&pool, sql).await, "{token} and {id}: {sql}");
            }
        }
    }
}
