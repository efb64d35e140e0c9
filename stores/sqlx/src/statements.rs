//! The statements over our own tables, in the language of a database.

use std::sync::Arc;

use super::dialect::Dialect;
use super::names::Names;

/// How many sessions one statement ends.
pub(super) const BATCH: usize = 50;

#[derive(Debug)]
pub(super) struct Statements {
    /// Token, time → id, expiry of the session that was ended, where `DELETE` returns what it deleted.
    pub(super) end_by_token: Option<Arc<str>>,
    /// Token, time → id, expiry, and the session is locked.
    pub(super) lock_by_token: Arc<str>,
    /// Id.
    pub(super) end: Arc<str>,
    /// As many ids as [`BATCH`] says.
    pub(super) end_batch: Arc<str>,
    /// Id, subject, expiry.
    pub(super) open: Arc<str>,
    /// Token, id, generation, expiry.
    pub(super) add_token: Arc<str>,
    /// Token, token, token, time, time → id, subject, generation of the session, that of the token,
    /// when it was rotated if it may be once more, how many tokens are remembered, when the first of
    /// them expires; and the session is locked.
    pub(super) lock_for_rotation: Arc<str>,
    /// Id, time.
    pub(super) forget: Arc<str>,
    /// Generation, predecessor, when it was rotated, number of tokens, expiry, id.
    pub(super) renew: Arc<str>,
    /// Token, time, time → id, subject, expiry.
    pub(super) find: Arc<str>,
    /// Id, time → id, subject, expiry.
    pub(super) find_session: Arc<str>,
    /// Token, time → id of the session of which it is a live one.
    pub(super) live: Arc<str>,
    /// Token, time → id of the session of which it is a member.
    pub(super) member: Arc<str>,
    /// Token, time, time → subject.
    pub(super) subject: Arc<str>,
    /// Subject → id, expiry, and the sessions are locked.
    pub(super) lock_by_subject: Arc<str>,
    /// Time, number.
    pub(super) delete_expired: Arc<str>,
}

impl Statements {
    pub(super) fn new(dialect: Dialect, names: &Names) -> Self {
        let statement = |sql: &str| Arc::from(names.apply(dialect, &dialect.numbered(sql)));
        let lock = dialect.lock();
        Self {
            // A rotation in flight either is undone by the cascade, or finds no session.
            end_by_token: dialect.returns_deleted().then(|| {
                statement(
                    "DELETE FROM tower_logout_sessions WHERE id = \
                     (SELECT session_id FROM tower_logout_tokens \
                      WHERE digest = ? AND expires_at > ?) \
                     RETURNING id, expires_at",
                )
            }),
            lock_by_token: statement(&format!(
                "SELECT id, expires_at FROM tower_logout_sessions WHERE id = \
                 (SELECT session_id FROM tower_logout_tokens \
                  WHERE digest = ? AND expires_at > ?){lock}"
            )),
            end: statement("DELETE FROM tower_logout_sessions WHERE id = ?"),
            end_batch: statement(&format!(
                "DELETE FROM tower_logout_sessions WHERE id IN (?{})",
                ", ?".repeat(BATCH - 1)
            )),
            open: statement(
                "INSERT INTO tower_logout_sessions \
                 (id, subject, generation, rotated_at, tokens, expires_at) VALUES (?, ?, 0, 0, 1, ?)",
            ),
            add_token: statement(
                "INSERT INTO tower_logout_tokens (digest, session_id, generation, expires_at) \
                 VALUES (?, ?, ?, ?)",
            ),
            // A token's row never changes, so that what is read beside the lock is true under it.
            lock_for_rotation: statement(&format!(
                "SELECT id, subject, generation, \
                 (SELECT generation FROM tower_logout_tokens WHERE digest = ?), \
                 CASE WHEN predecessor = ? THEN rotated_at ELSE 0 END, tokens, \
                 (SELECT MIN(t.expires_at) FROM tower_logout_tokens AS t \
                  WHERE t.session_id = tower_logout_sessions.id) \
                 FROM tower_logout_sessions WHERE id = \
                 (SELECT session_id FROM tower_logout_tokens \
                  WHERE digest = ? AND expires_at > ?) \
                 AND expires_at > ?{lock}"
            )),
            forget: statement(
                "DELETE FROM tower_logout_tokens WHERE session_id = ? AND expires_at <= ?",
            ),
            renew: statement(
                "UPDATE tower_logout_sessions SET generation = ?, predecessor = ?, rotated_at = ?, \
                 tokens = ?, expires_at = ? WHERE id = ?",
            ),
            find: statement(
                "SELECT s.id, s.subject, s.expires_at FROM tower_logout_tokens AS t \
                 JOIN tower_logout_sessions AS s ON s.id = t.session_id \
                 WHERE t.digest = ? AND t.generation = s.generation \
                 AND t.expires_at > ? AND s.expires_at > ?",
            ),
            find_session: statement(
                "SELECT id, subject, expires_at FROM tower_logout_sessions \
                 WHERE id = ? AND expires_at > ?",
            ),
            live: statement(
                "SELECT s.id FROM tower_logout_tokens AS t \
                 JOIN tower_logout_sessions AS s ON s.id = t.session_id \
                 WHERE t.digest = ? AND t.generation = s.generation AND t.expires_at > ?",
            ),
            member: statement(
                "SELECT s.id FROM tower_logout_tokens AS t \
                 JOIN tower_logout_sessions AS s ON s.id = t.session_id \
                 WHERE t.digest = ? AND t.expires_at > ?",
            ),
            subject: statement(
                "SELECT s.subject FROM tower_logout_tokens AS t \
                 JOIN tower_logout_sessions AS s ON s.id = t.session_id \
                 WHERE t.digest = ? AND t.expires_at > ? AND s.expires_at > ?",
            ),
            // In one order, lest two of them wait for each other.
            lock_by_subject: statement(&format!(
                "SELECT id, expires_at FROM tower_logout_sessions WHERE subject = ? \
                 ORDER BY id{lock}"
            )),
            delete_expired: statement(dialect.delete_expired()),
        }
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use sqlx::{AssertSqlSafe, Row, SqlitePool};

    use super::*;
    use crate::SqlStore;

    const FILL: &str = "
        INSERT INTO tower_logout_sessions
            (id, subject, generation, rotated_at, tokens, expires_at)
            WITH RECURSIVE number(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM number LIMIT 10000)
            SELECT hex(randomblob(16)), 'user' || (i / 2), 0, 0, 1, 4102444800000 FROM number;
        INSERT INTO tower_logout_tokens (digest, session_id, generation, expires_at)
            SELECT randomblob(32), id, 0, expires_at FROM tower_logout_sessions;
        ANALYZE;";

    /// Whether no table is read from its beginning to its end.
    async fn uses_an_index(pool: &SqlitePool, statement: &str) -> bool {
        let explain = sqlx::raw_sql(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}")));
        let rows = explain.fetch_all(pool).await.unwrap();
        let steps: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
        steps.iter().any(|step| step.starts_with("SEARCH "))
            && !steps.iter().any(|step| step.starts_with("SCAN "))
    }

    #[tokio::test]
    async fn each_statement_of_a_revocation_uses_an_index() {
        let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1);
        let pool = pool.connect("sqlite::memory:").await.unwrap();
        SqlStore::new(pool.clone()).await.unwrap();
        sqlx::raw_sql(FILL).execute(&pool).await.unwrap();
        let statements = Statements::new(Dialect::Sqlite, &Names::default());
        // With what their foreign key does.
        let of_a_revocation = [
            &*statements.end_by_token.unwrap(),
            &*statements.lock_by_subject,
            &*statements.live,
            &*statements.end_batch,
        ];
        for statement in of_a_revocation {
            assert!(uses_an_index(&pool, statement).await, "{statement}");
        }

        // Else nothing would be proven.
        let drop = "DROP INDEX tower_logout_sessions_subject; \
                    DROP INDEX tower_logout_tokens_session_id";
        sqlx::raw_sql(drop).execute(&pool).await.unwrap();
        let mut slow = Vec::new();
        for statement in of_a_revocation {
            slow.push(!uses_an_index(&pool, statement).await);
        }
        assert_eq!(slow, [true, true, false, true]);
    }
}
