//! The conformance suite, for each store on each database.

use std::sync::Arc;
use std::time::Duration;

use tower_logout::MemoryStore;
use tower_logout::ended::{EndedLog, MigrationLog};
use tower_logout::store::{MigrationStore, RetryStore, SessionPolicy, SessionStore, SubjectStore};
use tower_logout::testing::Conformance;
use tower_logout_redis::RedisStore;
use tower_logout_sqlx::SqlStore;

use e2e::database::{Kind, PATIENCE, Server, redis_cluster, shared};

/// The suite waits until it has passed, so it is short.
const LEEWAY: Duration = Duration::from_millis(800);

fn policy(lifetime: Duration) -> SessionPolicy {
    SessionPolicy::new()
        .with_lifetime(lifetime)
        .with_reuse_leeway(LEEWAY)
}

async fn sql_store(url: &str) -> SqlStore {
    let builder = SqlStore::builder().statement_timeout(PATIENCE);
    builder.connect(url).await.unwrap()
}

/// The whole suite. The closure makes a store whose sessions have the given lifetime.
fn suite<S: SessionStore + SubjectStore>(store: impl Fn(Duration) -> S) -> Conformance<S> {
    Conformance::new(store(Duration::from_hours(1)))
        .with_subjects()
        .with_expiring(store(Duration::ZERO))
        .with_short_lived(store(Duration::from_secs(2)))
}

/// Runs the suite with the log of the store, and searches the files of the store for tokens.
async fn prove<S>(
    store: impl Fn(Duration) -> S,
    log: impl EndedLog,
    files: impl Fn() -> Vec<u8> + Send + 'static,
) where
    S: SessionStore + SubjectStore,
{
    suite(store)
        .with_ended_log(log)
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
    let store = MemoryStore::new();
    suite(|lifetime| store.clone().with_policy(policy(lifetime)))
        .with_ended_log(store.ended_log())
        .run()
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_leeway() {
    let store = MemoryStore::new();
    let policy = SessionPolicy::new().with_reuse_leeway(Duration::ZERO);
    suite(|lifetime| store.clone().with_policy(policy.with_lifetime(lifetime)))
        .run()
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_sqlite_file() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("sessions").display());
    let store = sql_store(&url).await;
    let path = folder.path().to_owned();
    let files = move || {
        let files = std::fs::read_dir(&path).unwrap();
        let content = files.map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
        content.collect::<Vec<_>>().concat()
    };
    let log = store.ended_log().await.unwrap();
    let store = |lifetime| store.clone().with_policy(policy(lifetime));
    prove(store, log, files).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_sqlite_in_memory() {
    let store = sql_store("sqlite::memory:").await;
    suite(|lifetime| store.clone().with_policy(policy(lifetime)))
        .with_ended_log(store.ended_log().await.unwrap())
        .run()
        .await
        .unwrap();
}

async fn on_a_sql_server(kind: Kind) {
    let Some((server, url)) = shared(kind).await else {
        return;
    };
    let store = sql_store(&url).await;
    let log = store.ended_log().await.unwrap();
    let store = |lifetime| store.clone().with_policy(policy(lifetime));
    prove(store, log, || server.files()).await;
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
    let log = store.ended_log().unwrap();
    let store = |lifetime| store.clone().with_policy(policy(lifetime));
    prove(store, log, || server.files()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_redis_cluster() {
    let Some(nodes) = redis_cluster().await else {
        return;
    };
    let store = RedisStore::connect_cluster([nodes[0].url("")])
        .await
        .unwrap()
        // The first braces of a key choose its slot.
        .with_prefix("{a}{}{b");
    let nodes = Arc::new(nodes);
    let files = Arc::clone(&nodes);
    let log = store.ended_log().unwrap();
    let store = |lifetime| store.clone().with_policy(policy(lifetime));
    let files = move || files.each_ref().map(Server::files).concat();
    prove(store, log, files).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn during_a_migration() {
    let (old, new) = (MemoryStore::new(), sql_store("sqlite::memory:").await);
    let log = MigrationLog::new(old.ended_log(), new.ended_log().await.unwrap());
    suite(|lifetime| {
        MigrationStore::new(
            old.clone().with_policy(policy(lifetime)),
            new.clone().with_policy(policy(lifetime)),
        )
    })
    .with_ended_log(log)
    .run()
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn with_retries() {
    let store = sql_store("sqlite::memory:").await;
    suite(|lifetime| RetryStore::new(store.clone().with_policy(policy(lifetime))))
        .run()
        .await
        .unwrap();
}
