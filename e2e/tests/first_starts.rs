//! Many servers of one deployment start for the first time at once, on a database without tables.

use futures::future::join_all;
use sqlx::MySqlPool;
use tower_logout::TokenStore;
use tower_logout::store::SessionStore;
use tower_logout_sqlx::SqlStore;

use e2e::database::{Kind, shared};
use e2e::process::ExampleServer;
use support::*;

const SERVERS: usize = 8;
/// A race is not lost every time.
const ROUNDS: usize = 3;

async fn all_start(url: &str) {
    // Each is a process of its own, which says that it listens or else panics here.
    let servers = join_all((0..SERVERS).map(|_| ExampleServer::start_with(url))).await;
    let store = SqlStore::connect(url).await.unwrap();
    let token = open(&store, "alice").await;
    assert!(store.find(&token).await.unwrap().is_some());
    drop(servers);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_start_on_sqlite() {
    for _ in 0..ROUNDS {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sessions").display().to_string();
        all_start(&format!("sqlite:{file}")).await;
    }
}

async fn all_start_on(kind: Kind) {
    for _ in 0..ROUNDS {
        let Some((_, url)) = shared(kind).await else {
            return;
        };
        all_start(&url).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_start_on_postgres() {
    all_start_on(Kind::Postgres).await;
}

/// MariaDB commits after each statement that changes a schema, so a crash leaves the tables half made.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_that_crashed_on_mariadb_is_completed_by_the_next() {
    for statements in 0..7 {
        let Some((_, url)) = shared(Kind::MariaDb).await else {
            return;
        };
        // A complete start, and then what the crash would not have made.
        SqlStore::connect(&url).await.unwrap();
        let pool = MySqlPool::connect(&url).await.unwrap();
        for undo in [
            "UPDATE tower_logout_migrations SET success = FALSE",
            "DROP TABLE tower_logout_ended_counter",
            "DROP TABLE tower_logout_ended",
            "DROP TABLE tower_logout_tokens",
            "DROP TABLE tower_logout_sessions",
            "DELETE FROM tower_logout_migrations",
            "DROP TABLE tower_logout_migrations",
        ]
        .into_iter()
        .take(statements + 1)
        {
            sqlx::raw_sql(undo).execute(&pool).await.unwrap();
        }
        let store = SqlStore::connect(&url).await.unwrap();
        let token = open(&store, "alice").await;
        assert!(is_live(&store, &token).await, "{statements}");
        store.revoke(&token).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_start_on_mariadb() {
    all_start_on(Kind::MariaDb).await;
}
