//! The conformance suite and an existing table, through sqlx 0.8 on each database.

#![allow(unreachable_pub, clippy::unwrap_used, clippy::panic)]

#[allow(dead_code)]
#[path = "../../../e2e/src/database.rs"]
mod database;
#[path = "../../../e2e/src/program.rs"]
mod program;
#[allow(dead_code)]
#[path = "../../../e2e/src/proxy.rs"]
mod proxy;

use std::time::Duration;

use database::{Kind, PATIENCE, shared};
use sqlx::AnyPool;
use sqlx::any::{AnyPoolOptions, install_default_drivers};
use tower_logout::store::{RetryStore, SessionId, SessionPolicy, SubjectStore};
use tower_logout::testing::Conformance;
use tower_logout::{Revocation, Token, TokenStore};
use tower_logout_sqlx::{SqlStore, TableStore, TokenDigest};

async fn a_store_keeps_its_promises(url: &str) {
    let builder = SqlStore::builder().statement_timeout(PATIENCE);
    let store = builder.connect(url).await.unwrap();
    // Finds the tables.
    SqlStore::connect(url).await.unwrap();
    let store = |seconds| {
        let policy = SessionPolicy::new().with_reuse_leeway(Duration::from_millis(800));
        let policy = policy.with_lifetime(Duration::from_secs(seconds));
        RetryStore::new(store.clone().with_policy(policy))
    };
    let suite = Conformance::new(store(3600)).with_subjects();
    let suite = suite.with_expiring(store(0)).with_short_lived(store(2));
    suite.run().await.unwrap();
}

async fn count(app: &AnyPool, family: &str) -> i64 {
    let select = format!("SELECT count(*) FROM refresh_tokens WHERE family = '{family}'");
    sqlx::query_scalar(&select).fetch_one(app).await.unwrap()
}

/// The store has a pool of its own.
async fn a_table_loses_the_session_of_the_token(url: &str) {
    install_default_drivers();
    let mode = if url.starts_with("sqlite") {
        "?mode=rwc"
    } else {
        ""
    };
    let app = AnyPoolOptions::new().max_connections(2);
    let app = app.connect(&format!("{url}{mode}")).await.unwrap();
    for sql in [
        "CREATE TABLE refresh_tokens (token VARCHAR(64) NOT NULL PRIMARY KEY, \
         family VARCHAR(32) NOT NULL, owner BIGINT NOT NULL)",
        "INSERT INTO refresh_tokens VALUES ('one', 'a', 7), ('two', 'a', 7), ('three', 'b', 7), ('four', 'c', 8)",
    ] {
        sqlx::query(sql).execute(&app).await.unwrap();
    }
    let table = TableStore::builder("refresh_tokens", "token", TokenDigest::clear());
    let table = table.session_column("family").subject_column("owner");
    let store = table.connect_url(url).await.unwrap();

    let mut refresh = app.begin().await.unwrap();
    for sql in [
        "DELETE FROM refresh_tokens WHERE token = 'two'",
        "INSERT INTO refresh_tokens VALUES ('next', 'a', 7)",
    ] {
        sqlx::query(sql).execute(&mut *refresh).await.unwrap();
    }
    let logout = tokio::spawn({
        let store = store.clone();
        async move { store.revoke(&Token::new("one")).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    refresh.commit().await.unwrap();
    let revoked = logout.await.unwrap().unwrap();
    assert_eq!(revoked, Revocation::from_iter([SessionId::new("a")]));
    assert_eq!((count(&app, "a").await, count(&app, "b").await), (0, 1));
    store.revoke_subject("7", &[]).await.unwrap();
    assert_eq!((count(&app, "b").await, count(&app, "c").await), (0, 1));
    let revoked = store.revoke(&Token::new("one")).await.unwrap();
    assert_eq!(revoked, Revocation::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let url = |name| format!("sqlite:{}", folder.path().join(name).display());
    a_store_keeps_its_promises(&url("sessions")).await;
    a_store_keeps_its_promises("sqlite::memory:").await;
    a_table_loses_the_session_of_the_token(&url("app")).await;
}

async fn on_a_server(kind: Kind) {
    if let Some((_, url)) = shared(kind).await {
        a_store_keeps_its_promises(&url).await;
        a_table_loses_the_session_of_the_token(&url).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres() {
    on_a_server(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_mariadb() {
    on_a_server(Kind::MariaDb).await;
}
