//! The conformance suite, on each store and each database.

use std::sync::Arc;
use std::time::Duration;

use tower_logout::testing::Conformance;
use tower_logout::{
    MemoryStore, MigrationStore, RedisStore, RetryStore, SessionStore, SqlStore, SubjectStore,
};

use crate::support::database::{Kind, Server, redis_cluster, shared};

/// All of the suite, on a store and one of its kind whose sessions live for no time.
fn suite<S: SessionStore + SubjectStore>(store: S, expiring: S) -> Conformance<S> {
    Conformance::of(store)
        .with_subjects()
        .with_expiring(expiring)
}

/// The suite, with what the store has written.
async fn prove<S>(store: S, expiring: S, files: impl Fn() -> Vec<u8> + Send + 'static)
where
    S: SessionStore + SubjectStore,
{
    suite(store, expiring)
        .with_at_rest(move || {
            let content = files();
            async move { Ok(content) }
        })
        .run()
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn in_memory() {
    let expiring = MemoryStore::new().with_lifetime(Duration::ZERO);
    suite(MemoryStore::new(), expiring).run().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_sqlite_file() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("sessions").display());
    let store = SqlStore::connect(&url).await.unwrap();
    let path = folder.path().to_owned();
    let files = move || {
        let files = std::fs::read_dir(&path).unwrap();
        let content = files.map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
        content.collect::<Vec<_>>().concat()
    };
    prove(store.clone(), store.with_lifetime(Duration::ZERO), files).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_sqlite_in_memory() {
    let store = SqlStore::connect("sqlite::memory:").await.unwrap();
    suite(store.clone(), store.with_lifetime(Duration::ZERO))
        .run()
        .await
        .unwrap();
}

async fn on_a_sql_server(kind: Kind) {
    let Some((server, url)) = shared(kind).await else {
        return;
    };
    let store = SqlStore::connect(&url).await.unwrap();
    let expiring = store.clone().with_lifetime(Duration::ZERO);
    prove(store, expiring, || server.files()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_postgres() {
    on_a_sql_server(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_mariadb() {
    on_a_sql_server(Kind::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_redis() {
    let Some((server, url)) = shared(Kind::Redis).await else {
        return;
    };
    let store = RedisStore::connect(&url)
        .await
        .unwrap()
        .with_prefix("suite");
    let expiring = store.clone().with_lifetime(Duration::ZERO);
    prove(store, expiring, || server.files()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_redis_cluster() {
    let Some(nodes) = redis_cluster().await else {
        return;
    };
    let store = RedisStore::connect_cluster([nodes[0].url("")])
        .await
        .unwrap();
    let nodes = Arc::new(nodes);
    let files = Arc::clone(&nodes);
    prove(
        store.clone(),
        store.with_lifetime(Duration::ZERO),
        move || files.each_ref().map(Server::files).concat(),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn during_a_migration() {
    let new = SqlStore::connect("sqlite::memory:").await.unwrap();
    let store = |lifetime| {
        MigrationStore::new(
            MemoryStore::new().with_lifetime(lifetime),
            new.clone().with_lifetime(lifetime),
        )
    };
    suite(store(Duration::from_hours(1)), store(Duration::ZERO))
        .run()
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn with_another_attempt() {
    let store = SqlStore::connect("sqlite::memory:").await.unwrap();
    let expiring = RetryStore::new(store.clone().with_lifetime(Duration::ZERO));
    suite(RetryStore::new(store), expiring).run().await.unwrap();
}
