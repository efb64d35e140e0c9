//! The statements over the store's own tables: each with its text, its values and its answer.

mod ended;
mod revocation;
mod session;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use tower_logout::BoxError;

pub(crate) use self::session::NewToken;

use crate::dialect::Dialect;
use crate::millis::Millis;
use crate::names::Names;
use crate::pool::Row;

/// How many sessions one statement ends at most.
pub(crate) const BATCH: usize = 50;

/// Stands before a `SELECT` that only a server which takes writes may answer.
const ON_PRIMARY: &str = "ON PRIMARY ";

/// The statements, with the names of the tables and in the SQL of the database. `?…` in a text stands for as
/// many parameters as [`BATCH`] says, and `?#` for as many rows of a number and a session id. A text that begins with
/// [`ON_PRIMARY`] is changed by [`Dialect::on_primary`].
#[derive(Debug)]
pub(crate) struct Queries {
    dialect: Dialect,
    pub(crate) names: Names,
    /// The text as it is written here → the text that the database reads.
    texts: RwLock<HashMap<&'static str, Arc<str>>>,
}

/// A session that was ended, or is about to end.
pub(crate) struct Ended {
    pub(crate) id: String,
    pub(crate) expires_at: Millis,
}

impl Ended {
    fn read(row: &dyn Row) -> Result<Self, BoxError> {
        let (id, expires_at) = (row.text(0)?, Millis(row.int(1)?));
        Ok(Self { id, expires_at })
    }
}

fn first<T>(rows: Vec<T>) -> Option<T> {
    rows.into_iter().next()
}

impl Queries {
    pub(crate) fn new(dialect: Dialect, names: Names) -> Self {
        Self {
            dialect,
            names,
            texts: RwLock::default(),
        }
    }

    fn sql(&self, text: &'static str) -> Arc<str> {
        let known = self.texts.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(sql) = known.get(text) {
            return Arc::clone(sql);
        }
        drop(known);
        let rows = (1..=BATCH).map(|number| format!("SELECT {number} AS number, ? AS session_id"));
        let mut sql = match text.strip_prefix(ON_PRIMARY) {
            Some(select) => self.dialect.on_primary(select),
            None => text.to_owned(),
        };
        sql = sql
            .replace("?…", &["?"; BATCH].join(", "))
            .replace("?#", &rows.collect::<Vec<_>>().join(" UNION ALL "));
        if self.dialect == Dialect::Sqlite {
            // The transaction has locked the whole database.
            sql = sql
                .replace(" FOR UPDATE SKIP LOCKED", "")
                .replace(" FOR UPDATE", "");
        }
        let sql = self.names.apply(self.dialect, &self.dialect.numbered(&sql));
        let mut texts = self.texts.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(texts.entry(text).or_insert(sql.into()))
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use sqlx::SqlitePool;
    use tower_logout::store::{SessionStore, SubjectStore};
    use tower_logout::{Token, TokenStore};

    use crate::SqlStore;
    use crate::query_plan::uses_an_index;

    const FILL: &str = "
        INSERT INTO tower_logout_sessions
            (id, subject, generation, rotated_at, tokens, expires_at)
            WITH RECURSIVE number(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM number LIMIT 10000)
            SELECT hex(randomblob(16)), 'user' || (i / 2), 0, 0, 1, 4102444800000 FROM number;
        INSERT INTO tower_logout_tokens (digest, session_id, generation, expires_at)
            SELECT randomblob(32), id, 0, expires_at FROM tower_logout_sessions;
        ANALYZE;";

    /// Of the statements that a store has run, those that read a table from its beginning to its end.
    async fn slow(pool: &SqlitePool, store: &SqlStore) -> Vec<String> {
        let texts = store.queries.texts.read().unwrap().clone();
        let mut slow = Vec::new();
        for sql in texts.values() {
            if !sql.starts_with("INSERT") && !uses_an_index(pool, sql).await {
                slow.push(sql.to_string());
            }
        }
        slow.sort();
        slow
    }

    #[tokio::test]
    async fn each_statement_of_a_revocation_uses_an_index() {
        let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1);
        let pool = pool.connect("sqlite::memory:").await.unwrap();
        let store = SqlStore::new(pool.clone()).await.unwrap();
        sqlx::raw_sql(FILL).execute(&pool).await.unwrap();
        let [one, other] = [(); 2].map(|()| Token::generate().unwrap());
        store.open("alice", &one).await.unwrap();
        store.open("alice", &other).await.unwrap();
        store.revoke(&one).await.unwrap();
        store.revoke(&one).await.unwrap();
        store.revoke_subject("alice", &[one]).await.unwrap();
        assert_eq!(slow(&pool, &store).await, [""; 0]);

        // Without the indexes, they read whole tables: also to delete the tokens of a session.
        let drop = "DROP INDEX tower_logout_sessions_subject; \
                    DROP INDEX tower_logout_tokens_session_id";
        sqlx::raw_sql(drop).execute(&pool).await.unwrap();
        let slow = slow(&pool, &store).await;
        let seen = ["WHERE id = (SELECT", "WHERE id IN (", "WHERE subject ="];
        assert_eq!(slow.len(), seen.len(), "{slow:?}");
        for part in seen {
            assert!(slow.iter().any(|sql| sql.contains(part)), "{part}");
        }
    }
}
