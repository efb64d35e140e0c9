//! A store over an existing table writes the sessions that it ends to a log, if it is told to.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Executor};
use tower_logout::store::SubjectStore;
use tower_logout::{Revocation, Token, TokenStore};
use tower_logout_sqlx::{Mark, SqlStore, TableError, TableStore, TableStoreBuilder, TokenDigest};

use e2e::ended_log::Reader;
use e2e::on_each_database;
use e2e::own_table::Database;

on_each_database! {
    each_end_is_logged,
    an_end_that_is_marked_is_logged,
    the_returned_statements_write_an_entry,
    a_log_is_shared_with_a_store_of_sessions,
    without_sessions_there_is_no_log,
}

const ACCESS: Duration = Duration::from_secs(300);

async fn prepare(database: &Database) -> TableStoreBuilder {
    database
        .run(
            "CREATE TABLE logins (token_hash VARCHAR(64) NOT NULL, family_id VARCHAR(64), \
             user_id VARCHAR(64), revoked BOOLEAN NOT NULL DEFAULT FALSE)",
        )
        .await;
    database
        .run(
            "INSERT INTO logins (token_hash, family_id, user_id) VALUES ('a1', 'a', 'alice'), \
             ('a2', 'a', 'alice'), ('b', 'it''s b', 'alice'), ('c', 'c', 'alice'), ('d', 'd', 'bob'), \
             ('alone', NULL, 'bob')",
        )
        .await;
    TableStore::builder("logins", "token_hash", TokenDigest::clear()).session_column("family_id")
}

async fn each_end_is_logged(database: Database) {
    let store = prepare(&database).await.ended_log(ACCESS);
    let store = store.subject_column("user_id");
    let store = store.connect(database.sql.clone()).await.unwrap();
    let mut reader = Reader::new(store.ended_log().await.unwrap());
    assert_eq!(reader.read().await, [""; 0]);
    store.revoke(&Token::new("a1")).await.unwrap();
    assert_eq!(reader.read().await, ["a"]);
    let again = store.revoke(&Token::new("a2")).await.unwrap();
    assert_eq!(again, Revocation::NotFound);
    // Of a row without a session, no access token has the session.
    store.revoke(&Token::new("alone")).await.unwrap();
    assert_eq!(reader.read().await, [""; 0]);
    let kept = Token::new("c");
    store.revoke_subject("alice", &[kept]).await.unwrap();
    assert_eq!(reader.read().await, ["it's b"]);
    store.revoke_subject("alice", &[]).await.unwrap();
    assert_eq!(reader.read().await, ["c"]);
    let mut late = Reader::new(store.ended_log().await.unwrap());
    late.read().await;
    assert_eq!(late.seen, reader.seen);
}

async fn an_end_that_is_marked_is_logged(database: Database) {
    let store = prepare(&database).await.ended_log(ACCESS);
    let store = store.mark_ended("revoked", Mark::True);
    let store = store.connect(database.sql.clone()).await.unwrap();
    let mut reader = Reader::new(store.ended_log().await.unwrap());
    store.revoke(&Token::new("d")).await.unwrap();
    assert_eq!(reader.read().await, ["d"]);
    store.revoke(&Token::new("d")).await.unwrap();
    assert_eq!(reader.read().await, [""; 0]);
}

/// For the sessions that the application ends by itself.
async fn the_returned_statements_write_an_entry(database: Database) {
    let store = prepare(&database).await.ended_log(ACCESS);
    let store = store.connect(database.sql.clone()).await.unwrap();
    let mut reader = Reader::new(store.ended_log().await.unwrap());
    let statements = store.statements();
    let is_of_log = |sql: &str| sql.contains("tower_logout_ended");
    let of_log = statements
        .iter()
        .filter(|statement| is_of_log(&statement.sql));
    let of_log: Vec<_> = of_log.collect();
    assert_eq!(of_log.len(), if database.kind == "mariadb" { 2 } else { 1 });
    for commits in [false, true] {
        let mut transaction = database.pool.begin().await.unwrap();
        for statement in &of_log {
            let mut query = sqlx::query(AssertSqlSafe(statement.sql.clone()));
            for parameter in &statement.parameters {
                assert_eq!(parameter, "session");
                query = query.bind("by hand");
            }
            (&mut *transaction).execute(query).await.unwrap();
        }
        if commits {
            transaction.commit().await.unwrap();
            assert_eq!(reader.read().await, ["by hand"]);
        } else {
            transaction.rollback().await.unwrap();
            assert_eq!(reader.read().await, [""; 0]);
        }
    }
}

async fn a_log_is_shared_with_a_store_of_sessions(database: Database) {
    let table = prepare(&database).await.ended_log(ACCESS);
    let table = table.connect(database.sql.clone()).await.unwrap();
    let sessions = SqlStore::new(database.sql.clone()).await.unwrap();
    let (token, session) = e2e::ended_log::open(&sessions, "alice").await;
    let mut reader = Reader::new(sessions.ended_log().await.unwrap());
    table.revoke(&Token::new("d")).await.unwrap();
    sessions.revoke(&token).await.unwrap();
    assert_eq!(reader.read().await, ["d", session.id.as_str()]);
}

async fn without_sessions_there_is_no_log(database: Database) {
    let store = prepare(&database).await;
    let store = store.connect(database.sql.clone()).await.unwrap();
    store.ended_log().await.unwrap_err();
    store.revoke(&Token::new("d")).await.unwrap();
    let store = TableStore::builder("logins", "token_hash", TokenDigest::clear());
    let error = store.ended_log(ACCESS).connect(database.sql.clone()).await;
    let error = error.unwrap_err();
    let error = error.downcast_ref::<TableError>();
    assert!(
        matches!(error, Some(TableError::NoSessionColumn { .. })),
        "{error:?}"
    );
}
