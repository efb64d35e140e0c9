//! In SQLite, the writers of a store take turns.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions};
use tokio::time::{Instant, timeout};
use tower_logout::store::{SessionStore, Transient};
use tower_logout::{BoxError, Revocation, Token, TokenStore};
use tower_logout_sqlx::{SqlPool, SqlStore};

const SOON: Duration = Duration::from_millis(500);

async fn open(store: &SqlStore) -> Token {
    let token = Token::generate().unwrap();
    store.open("alice", &token).await.unwrap();
    token
}

fn revoke(
    store: &SqlStore,
    token: &Token,
) -> tokio::task::JoinHandle<Result<Revocation, BoxError>> {
    let (store, token) = (store.clone(), token.clone());
    tokio::spawn(async move { store.revoke(&token).await })
}

async fn memory() -> SqlitePool {
    let pool = SqlitePoolOptions::new().max_connections(1);
    pool.connect("sqlite::memory:").await.unwrap()
}

async fn file(folder: &Path) -> SqlitePool {
    let options = SqliteConnectOptions::new()
        .filename(folder.join("sessions"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal);
    let pool = SqlitePoolOptions::new().max_connections(3);
    pool.connect_with(options).await.unwrap()
}

#[tokio::test]
async fn a_writer_that_waits_for_its_turn_leaves_the_connections_to_readers() {
    let folder = tempfile::tempdir().unwrap();
    let pool = file(folder.path()).await;
    let store = SqlStore::new(pool.clone()).await.unwrap();
    let tokens = [open(&store).await, open(&store).await, open(&store).await];

    let lock = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let first = revoke(&store, &tokens[0]);
    let second = revoke(&store, &tokens[1]);
    tokio::time::sleep(SOON).await;
    let found = timeout(SOON, store.find(&tokens[2])).await.unwrap();
    assert!(found.unwrap().is_some());
    lock.rollback().await.unwrap();
    for revoked in [first, second] {
        let revoked = revoked.await.unwrap().unwrap();
        assert!(matches!(revoked, Revocation::Sessions(_)), "{revoked:?}");
    }
}

#[tokio::test]
async fn a_writer_that_is_dropped_gives_its_turn_to_the_next() {
    let pool = memory().await;
    let store = SqlStore::new(pool.clone()).await.unwrap();
    let tokens = [open(&store).await, open(&store).await, open(&store).await];
    let connection = pool.acquire().await.unwrap();
    // The first one has the turn, and waits for the connection.
    let logouts = tokens.each_ref().map(|token| revoke(&store, token));
    tokio::time::sleep(SOON).await;
    let [first, second, third] = logouts;
    first.abort();
    second.abort();
    drop(connection);
    let revoked = timeout(SOON, third).await.unwrap().unwrap().unwrap();
    assert!(matches!(revoked, Revocation::Sessions(_)), "{revoked:?}");
    assert!(store.find(&tokens[0]).await.unwrap().is_some());
}

#[tokio::test]
async fn a_writer_that_is_dropped_at_work_gives_its_turn_to_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let pool = file(folder.path()).await;
    let store = SqlStore::new(pool.clone()).await.unwrap();
    let tokens = [open(&store).await, open(&store).await];
    let lock = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let [first, second] = tokens.each_ref().map(|token| revoke(&store, token));
    tokio::time::sleep(SOON).await;
    first.abort();
    lock.rollback().await.unwrap();
    let revoked = timeout(SOON * 4, second).await.unwrap().unwrap().unwrap();
    assert!(matches!(revoked, Revocation::Sessions(_)), "{revoked:?}");
}

#[tokio::test]
async fn a_turn_that_does_not_come_is_an_error_in_time() {
    let pool = memory().await;
    let limited = SqlPool::from(pool.clone()).with_statement_timeout(SOON);
    let store = SqlStore::new(limited).await.unwrap();
    let tokens = [open(&store).await, open(&store).await];
    let _connection = pool.acquire().await.unwrap();
    let start = Instant::now();
    for logout in tokens.each_ref().map(|token| revoke(&store, token)) {
        let error = logout.await.unwrap().unwrap_err();
        assert!(error.is::<Transient>(), "{error}");
    }
    let taken = start.elapsed();
    assert!(taken >= SOON && taken < SOON * 4, "{taken:?}");
}
