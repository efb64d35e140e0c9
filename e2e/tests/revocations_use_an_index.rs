//! A revocation takes as long in a full table as in an empty one: each statement of it uses an index.
//!
//! What is explained is what the store has sent, as the server has it. SQLite keeps no such record;
//! its statements are explained beside them.

use sqlx::mysql::{MySqlPool, MySqlPoolOptions};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Row};
use tower_logout::TokenStore;
use tower_logout::store::SubjectStore;
use tower_logout_sqlx::SqlStore;

use e2e::database::{Kind, Server, shared};
use support::open;

/// What a foreign key does when its session is deleted. No server shows it.
const CASCADE: &str = "DELETE FROM tower_logout_tokens WHERE session_id = ";

/// Runs the statements of a revocation and of a subject-wide one, and no others.
async fn revoke(watched: &SqlStore, unwatched: &SqlStore) {
    let one = open(unwatched, "alice").await;
    let kept = open(unwatched, "alice").await;
    open(unwatched, "alice").await;
    watched.revoke(&one).await.unwrap();
    watched
        .revoke_subject("alice", std::slice::from_ref(&kept))
        .await
        .unwrap();
}

mod postgres {
    use e2e::prepared::postgres::{plan, prepared};

    use super::*;

    const STATEMENTS: &str = "statement ~ 'tower_logout_(sessions|tokens)'";

    const FILL: &str = "
        INSERT INTO tower_logout_sessions (id, subject, generation, rotated_at, tokens, expires_at)
            SELECT md5(i::text), 'user' || i / 2, 0, 0, 1, 4102444800000
            FROM generate_series(1, 10000) AS i;
        INSERT INTO tower_logout_tokens (digest, session_id, generation, expires_at)
            SELECT sha256(i::text::bytea), md5(i::text), 0, 4102444800000
            FROM generate_series(1, 10000) AS i;
        ANALYZE;
        SET plan_cache_mode = force_generic_plan;";

    fn uses_an_index(plan: &str) -> bool {
        plan.contains("Index") && !plan.contains("Seq Scan")
    }

    #[tokio::test]
    async fn in_postgres() {
        let Some((_, url)) = shared(Kind::Postgres).await else {
            return;
        };
        let pool = PgPoolOptions::new().max_connections(1).connect(&url);
        let pool = pool.await.unwrap();
        let store = SqlStore::new(pool.clone()).await.unwrap();
        sqlx::raw_sql(FILL).execute(&pool).await.unwrap();
        revoke(&store, &SqlStore::connect(&url).await.unwrap()).await;
        let cascade = format!("PREPARE \"cascade\" AS {CASCADE}$1");
        let cascade = sqlx::raw_sql(AssertSqlSafe(cascade));
        cascade.execute(&pool).await.unwrap();

        let statements = prepared(&pool, STATEMENTS).await;
        assert_eq!(statements.len(), 5, "{statements:?}");
        for (name, statement, parameters) in &statements {
            let plan = plan(&pool, name, *parameters).await;
            assert!(uses_an_index(&plan), "{statement}\n{plan}");
        }

        // Else nothing would be proven.
        let drop = "DROP INDEX tower_logout_sessions_subject, tower_logout_tokens_session_id";
        sqlx::raw_sql(drop).execute(&pool).await.unwrap();
        let mut slow = 0;
        for (name, _, parameters) in &statements {
            let plan = plan(&pool, name, *parameters).await;
            slow += usize::from(!uses_an_index(&plan));
        }
        assert_eq!(slow, 2);
    }
}

mod mariadb {
    use e2e::prepared::mariadb::prepared;

    use super::*;

    const STATEMENTS: &str = "argument REGEXP 'tower_logout_(sessions|tokens)'";

    const FILL: &str = "
        INSERT INTO tower_logout_sessions (id, subject, generation, rotated_at, tokens, expires_at)
            SELECT MD5(seq), CONCAT('user', seq DIV 2), 0, 0, 1, 4102444800000 FROM seq_1_to_10000;
        INSERT INTO tower_logout_tokens (digest, session_id, generation, expires_at)
            SELECT UNHEX(SHA2(seq, 256)), MD5(seq), 0, 4102444800000 FROM seq_1_to_10000;
        ANALYZE TABLE tower_logout_sessions, tower_logout_tokens;
        SET GLOBAL log_output = 'TABLE';
        SET GLOBAL general_log = ON;";

    /// Whether each table is read by a key. The values are those of a row, since a plan without rows
    /// has no tables.
    async fn uses_an_index(pool: &MySqlPool, statement: &str) -> bool {
        let value = if statement.contains("digest = ?") {
            "UNHEX(SHA2(7, 256))"
        } else if statement.contains("subject = ?") {
            "'user3'"
        } else {
            "MD5(7)"
        };
        let explain = format!("EXPLAIN {}", statement.replace('?', value));
        let rows = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(pool).await;
        let rows = rows.unwrap();
        assert!(!rows.is_empty());
        rows.iter().all(|row| {
            let (kind, key): (Option<String>, Option<String>) = (row.get("type"), row.get("key"));
            kind.is_some_and(|kind| kind != "ALL" && kind != "index") && key.is_some()
        })
    }

    #[tokio::test]
    async fn in_mariadb() {
        // Of its own, since all of a server's statements are logged.
        let Some(server) = Server::start(Kind::MariaDb).await else {
            return;
        };
        let url = server.url(&server.new_database().await);
        let pool = MySqlPoolOptions::new().max_connections(1).connect(&url);
        let pool = pool.await.unwrap();
        let store = SqlStore::new(pool.clone()).await.unwrap();
        sqlx::raw_sql(FILL).execute(&pool).await.unwrap();
        revoke(&store, &SqlStore::connect(&url).await.unwrap()).await;

        let mut statements = prepared(&pool, STATEMENTS).await;
        assert_eq!(statements.len(), 5, "{statements:?}");
        statements.push(format!("{CASCADE}?"));
        for statement in &statements {
            assert!(uses_an_index(&pool, statement).await, "{statement}");
        }

        // Else nothing would be proven. That of the foreign key cannot be dropped.
        let drop = "DROP INDEX tower_logout_sessions_subject ON tower_logout_sessions";
        sqlx::raw_sql(drop).execute(&pool).await.unwrap();
        let mut slow = 0;
        for statement in &statements {
            slow += usize::from(!uses_an_index(&pool, statement).await);
        }
        assert_eq!(slow, 1);
    }
}
