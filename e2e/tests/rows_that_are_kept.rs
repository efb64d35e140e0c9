//! Where the database keeps the rows of a session that is to end, nobody is told that it has ended.

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqlitePool};
use tower_logout::store::{SessionPolicy, SessionStore, SubjectStore};
use tower_logout::{Token, TokenStore};
use tower_logout_sqlx::SqlStore;
use tower_logout_sqlx::TableError;

use e2e::database::{Kind, shared};
use support::*;

/// A session of alice's with a token that was rotated away, in a store without a leeway.
async fn rotated(store: &SqlStore) -> [Token; 2] {
    let first = open(store, "alice").await;
    let second = Token::generate().unwrap();
    store.rotate(&first, &second).await.unwrap();
    [first, second]
}

/// After its rows have come to be kept.
async fn says_that_nothing_has_ended(store: &SqlStore, [first, second]: [Token; 2]) {
    for token in [&first, &second] {
        let revoked = store.revoke(token).await;
        assert!(revoked.is_err(), "{revoked:?}");
    }
    let revoked = store.revoke_subject("alice", &[]).await;
    assert!(revoked.is_err(), "{revoked:?}");
    let reused = store.rotate(&first, &Token::generate().unwrap()).await;
    assert!(reused.is_err(), "{reused:?}");
    assert!(is_live(store, &second).await);
    through_default(store.clone(), logout_with(&second))
        .await
        .assert_is_failed_and_keeps_cookies();
}

#[tokio::test]
async fn by_a_trigger_in_sqlite() {
    let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1);
    let pool: SqlitePool = pool.connect("sqlite::memory:").await.unwrap();
    let store = SqlStore::new(pool.clone()).await.unwrap();
    let store =
        store.with_policy(SessionPolicy::new().with_reuse_leeway(std::time::Duration::ZERO));
    let tokens = rotated(&store).await;
    pool.execute(
        "CREATE TRIGGER keep BEFORE DELETE ON tower_logout_sessions \
         BEGIN SELECT RAISE(IGNORE); END",
    )
    .await
    .unwrap();
    says_that_nothing_has_ended(&store, tokens).await;
}

#[tokio::test]
async fn by_a_trigger_in_postgres() {
    let Some((_, url)) = shared(Kind::Postgres).await else {
        return;
    };
    let store = SqlStore::connect(&url).await.unwrap();
    let store =
        store.with_policy(SessionPolicy::new().with_reuse_leeway(std::time::Duration::ZERO));
    let tokens = rotated(&store).await;
    let mut admin = PgConnection::connect(&url).await.unwrap();
    let keep = "CREATE FUNCTION keep() RETURNS trigger AS 'BEGIN RETURN NULL; END' LANGUAGE plpgsql; \
                CREATE TRIGGER keep BEFORE DELETE ON tower_logout_sessions \
                FOR EACH ROW EXECUTE FUNCTION keep()";
    admin.execute(sqlx::raw_sql(keep)).await.unwrap();
    says_that_nothing_has_ended(&store, tokens).await;
}

#[tokio::test]
async fn by_row_level_security_in_postgres() {
    let Some((_, url)) = shared(Kind::Postgres).await else {
        return;
    };
    SqlStore::builder()
        .migrate(sqlx::PgPool::connect(&url).await.unwrap())
        .await
        .unwrap();
    let role = format!(
        "under_policies_{}",
        &Token::generate().unwrap().expose()[..16]
    );
    let policies: Vec<_> = ["sessions", "tokens"]
        .iter()
        .map(|table| {
            format!(
                "ALTER TABLE tower_logout_{table} ENABLE ROW LEVEL SECURITY; \
                 CREATE POLICY see ON tower_logout_{table} FOR SELECT USING (true); \
                 CREATE POLICY add ON tower_logout_{table} FOR INSERT WITH CHECK (true); \
                 CREATE POLICY change ON tower_logout_{table} FOR UPDATE USING (true);"
            )
        })
        .collect();
    let sql = format!(
        "CREATE ROLE {role} LOGIN; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}; {}",
        policies.concat()
    );
    let mut admin = PgConnection::connect(&url).await.unwrap();
    admin
        .execute(sqlx::raw_sql(AssertSqlSafe(sql)))
        .await
        .unwrap();

    let as_role = url.replace("postgres@", &format!("{role}@"));
    let refused = SqlStore::connect(&as_role).await.unwrap_err();
    assert!(matches!(
        refused.downcast_ref(),
        Some(TableError::RowSecurity { table, .. }) if table == "tower_logout_sessions"
    ));
    let trusting = SqlStore::builder().policies_allow_all();
    let store = trusting.connect(&as_role).await.unwrap();
    let store =
        store.with_policy(SessionPolicy::new().with_reuse_leeway(std::time::Duration::ZERO));
    let tokens = rotated(&store).await;
    says_that_nothing_has_ended(&store, tokens).await;
}
