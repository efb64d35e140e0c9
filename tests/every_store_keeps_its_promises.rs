//! The conformance suite, on each store and each database.

use std::sync::Arc;
use std::time::Duration;

use tower_logout::testing::Conformance;
use tower_logout::{
    MemoryStore, MigrationStore, RedisStore, RetryStore, SessionStore, SqlStore, SubjectStore,
};

use crate::support::database::{Kind, Server, redis_cluster, shared};

/// The suite waits this out.
const LEEWAY: Duration = Duration::from_millis(800);

/// All of the suite, on stores of one kind: their sessions live as long as they are told.
fn suite<S: SessionStore + SubjectStore>(store: impl Fn(Duration) -> S) -> Conformance<S> {
    Conformance::of(store(Duration::from_hours(1)))
        .with_subjects()
        .with_expiring(store(Duration::ZERO))
        .with_short_lived(store(Duration::from_secs(2)))
}

/// The suite, with what the store has written.
async fn prove<S>(store: impl Fn(Duration) -> S, files: impl Fn() -> Vec<u8> + Send + 'static)
where
    S: SessionStore + SubjectStore,
{
    suite(store)
        .with_at_rest(move || {
            let content = files();
            async move { Ok(content) }
        })
        .run()
        .await
        .unwrap();
}

fn memory() -> MemoryStore {
    MemoryStore::new().with_reuse_leeway(LEEWAY)
}

async fn sql(url: &str) -> SqlStore {
    let store = SqlStore::connect(url).await.unwrap();
    store.with_reuse_leeway(LEEWAY)
}

#[tokio::test(flavor = "multi_thread")]
async fn in_memory() {
    let store = memory();
    suite(|lifetime| store.clone().with_lifetime(lifetime))
        .run()
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_leeway() {
    let store = MemoryStore::new().with_reuse_leeway(Duration::ZERO);
    suite(|lifetime| store.clone().with_lifetime(lifetime))
        .run()
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_sqlite_file() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("sessions").display());
    let store = sql(&url).await;
    let path = folder.path().to_owned();
    let files = move || {
        let files = std::fs::read_dir(&path).unwrap();
        let content = files.map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
        content.collect::<Vec<_>>().concat()
    };
    prove(|lifetime| store.clone().with_lifetime(lifetime), files).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_sqlite_in_memory() {
    let store = sql("sqlite::memory:").await;
    suite(|lifetime| store.clone().with_lifetime(lifetime))
        .run()
        .await
        .unwrap();
}

async fn on_a_sql_server(kind: Kind) {
    let Some((server, url)) = shared(kind).await else {
        return;
    };
    let store = sql(&url).await;
    let store = |lifetime| store.clone().with_lifetime(lifetime);
    prove(store, || server.files()).await;
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
        .with_prefix("suite")
        .with_reuse_leeway(LEEWAY);
    let store = |lifetime| store.clone().with_lifetime(lifetime);
    prove(store, || server.files()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_redis_cluster() {
    let Some(nodes) = redis_cluster().await else {
        return;
    };
    let store = RedisStore::connect_cluster([nodes[0].url("")])
        .await
        .unwrap()
        // Braces say where a key lies.
        .with_prefix("{a}{}{b")
        .with_reuse_leeway(LEEWAY);
    let nodes = Arc::new(nodes);
    let files = Arc::clone(&nodes);
    let store = |lifetime| store.clone().with_lifetime(lifetime);
    let files = move || files.each_ref().map(Server::files).concat();
    prove(store, files).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn during_a_migration() {
    let (old, new) = (memory(), sql("sqlite::memory:").await);
    suite(|lifetime| {
        MigrationStore::new(
            old.clone().with_lifetime(lifetime),
            new.clone().with_lifetime(lifetime),
        )
    })
    .run()
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn with_another_attempt() {
    let store = sql("sqlite::memory:").await;
    suite(|lifetime| RetryStore::new(store.clone().with_lifetime(lifetime)))
        .run()
        .await
        .unwrap();
}
