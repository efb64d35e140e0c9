//! Promises of single session stores, beyond the conformance suite.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use proptest::prelude::*;
use tower_logout::store::{
    MigrationStore, RetryStore, Rotation, Session, SessionId, SessionPolicy, SessionStore,
    SubjectStore, Transient,
};
use tower_logout::{BoxError, MemoryStore, Revocation, Token, TokenStore, async_trait, store_fn};
use tower_logout_redis::RedisStore;
use tower_logout_sqlx::SqlStore;

use e2e::database::{Kind, shared};
use support::*;

/// A new store, and the folder of its file.
type Fresh = (Arc<dyn SessionStore>, Option<tempfile::TempDir>);

const MONTH: Duration = Duration::from_hours(30 * 24);

fn memory(lifetime: Duration) -> Fresh {
    (
        Arc::new(MemoryStore::new().with_policy(SessionPolicy::new().with_lifetime(lifetime))),
        None,
    )
}

async fn sqlite_file(lifetime: Duration) -> Fresh {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("sessions.sqlite").display());
    let store = SqlStore::connect(&url).await.unwrap();
    (
        Arc::new(store.with_policy(SessionPolicy::new().with_lifetime(lifetime))),
        Some(folder),
    )
}

async fn rotate(store: &dyn SessionStore, token: &Token) -> Token {
    let next = Token::generate().unwrap();
    let rotated = store.rotate(token, &next).await.unwrap();
    assert!(matches!(rotated, Rotation::Rotated(_)), "{rotated:?}");
    next
}

#[tokio::test]
async fn the_longest_lifetime_does_not_overflow() {
    let (file, _keep) = sqlite_file(Duration::MAX).await;
    for store in [memory(Duration::MAX).0, file] {
        let token = open(&*store, "alice").await;
        let token = rotate(&*store, &token).await;
        assert!(is_live(&*store, &token).await);
    }
}

/// Chains of refreshes race with a logout. Some start before the logout, and some after.
async fn race(store: Arc<dyn SessionStore>, chains: usize, rotations: usize, yields: usize) {
    let token = open(&*store, "alice").await;
    let refreshes = (0..chains).map(|_| {
        let (store, mut token) = (Arc::clone(&store), token.clone());
        tokio::spawn(async move {
            let mut made = vec![token.clone()];
            for _ in 0..rotations {
                let next = Token::generate().unwrap();
                match store.rotate(&token, &next).await.unwrap() {
                    Rotation::Rotated(_) => made.push(next.clone()),
                    _ => break,
                }
                token = next;
            }
            made
        })
    });
    let refreshes = refreshes.collect::<Vec<_>>();
    for _ in 0..yields {
        tokio::task::yield_now().await;
    }
    store.revoke(&token).await.unwrap();
    // The revocation has returned. From here on, no token of the session can be rotated.
    let next = Token::generate().unwrap();
    assert_eq!(
        store.rotate(&token, &next).await.unwrap(),
        Rotation::NotFound
    );
    for made in join_all(refreshes).await {
        for token in made.unwrap() {
            assert!(
                !is_live(&*store, &token).await,
                "a token outlived the logout"
            );
            assert_eq!(store.revoke(&token).await.unwrap(), Revocation::NotFound);
        }
    }
}

fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_refresh_in_flight_revives_a_session_in_memory(
        chains in 1..4_usize, rotations in 1..50_usize, yields in 0..50_usize,
    ) {
        run(async { race(memory(MONTH).0, chains, rotations, yields).await });
    }

    #[test]
    fn no_refresh_in_flight_revives_a_session_in_sqlite(
        chains in 1..4_usize, rotations in 1..20_usize, yields in 0..50_usize,
    ) {
        run(async {
            let (store, _keep) = sqlite_file(MONTH).await;
            race(store, chains, rotations, yields).await;
        });
    }
}

#[tokio::test]
async fn the_memory_store_is_bounded_and_makes_room_from_expired_sessions() {
    let store = MemoryStore::new().with_max_tokens(2);
    let token = open(&store, "alice").await;
    let token = rotate(&store, &token).await;
    let next = Token::generate().unwrap();
    let full = store.open("bob", &next).await.unwrap_err();
    assert!(full.to_string().contains("with_max_tokens"), "{full}");
    assert!(store.rotate(&token, &next).await.is_err());
    assert!(
        is_live(&store, &token).await,
        "a failed rotation leaves the token as it was"
    );

    let store = store.with_policy(SessionPolicy::new().with_lifetime(Duration::ZERO));
    store.revoke(&token).await.unwrap();
    for _ in 0..5 {
        open(&store, "carol").await;
    }
}

#[tokio::test(start_paused = true)]
async fn expired_sessions_of_any_number_are_deleted_on_a_schedule() {
    let store = MemoryStore::new()
        .with_policy(SessionPolicy::new().with_lifetime(Duration::ZERO))
        .with_max_tokens(2500);
    let housekeeping = tower_logout::store::delete_expired_every(MONTH, store.clone(), |_| ());
    tokio::spawn(housekeeping);
    for _ in 0..2 {
        for _ in 0..2500 {
            open(&store, "alice").await;
        }
        tokio::time::sleep(MONTH).await;
        assert_eq!(store.delete_expired(1).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn an_expired_token_of_a_live_session_makes_room_in_memory() {
    let store = MemoryStore::new().with_max_tokens(3);
    let short = store
        .clone()
        .with_policy(SessionPolicy::new().with_lifetime(Duration::from_millis(20)));
    let token = open(&short, "alice").await;
    let token = rotate(&short, &token).await;
    let token = rotate(&store, &token).await;
    let other = Token::generate().unwrap();
    tokio::time::sleep(Duration::from_millis(40)).await;
    store.open("bob", &other).await.unwrap();
    rotate(&store, &other).await;
    assert!(is_live(&store, &token).await);
}

/// Rotates until the store ends the session. Returns the number of rotations, and the last token.
async fn rotate_until_exhausted(store: &dyn SessionStore, first: &Token) -> (u32, Token) {
    let mut token = first.clone();
    for rotations in 0.. {
        let next = Token::generate().unwrap();
        match store.rotate(&token, &next).await.unwrap() {
            Rotation::Rotated(_) => token = next,
            Rotation::Exhausted(_) => return (rotations, token),
            other => panic!("{other:?}"),
        }
    }
    unreachable!()
}

/// A client that refreshes in a loop ends its session. The store remembers 5 rotated tokens.
async fn ends_a_session_in_a_loop(store: &dyn SessionStore) {
    let first = open(store, "alice").await;
    let id = store.find(&first).await.unwrap().unwrap().id;
    let (rotations, last) = rotate_until_exhausted(store, &first).await;
    assert_eq!(rotations, 5);
    for token in [&first, &last] {
        assert!(!is_live(store, token).await);
        assert_eq!(store.revoke(token).await.unwrap(), Revocation::NotFound);
    }
    assert_eq!(store.find_session(&id).await.unwrap(), None);

    // Within the leeway, a token has two successors. Each of them counts after its rotation.
    let first = open(store, "alice").await;
    rotate(store, &first).await;
    let token = rotate(store, &first).await;
    assert_eq!(rotate_until_exhausted(store, &token).await.0, 3);
}

/// Expired tokens do not count.
async fn does_not_count_expired_tokens(store: &dyn SessionStore, lifetime: Duration) {
    let mut token = open(store, "alice").await;
    for _ in 0..8 {
        for _ in 0..2 {
            token = rotate(store, &token).await;
        }
        tokio::time::sleep(lifetime / 2 + Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_store_logs_out_a_client_that_refreshes_in_a_loop() {
    let lifetime = Duration::from_secs(2);
    let policy = SessionPolicy::new().with_max_rotations(5);
    let short = policy.with_lifetime(lifetime);
    let memory = MemoryStore::new().with_policy(policy);
    ends_a_session_in_a_loop(&memory).await;
    does_not_count_expired_tokens(&memory.with_policy(short), lifetime).await;
    let mut urls = vec!["sqlite::memory:".to_owned()];
    for kind in [Kind::Postgres, Kind::MariaDb] {
        urls.extend(shared(kind).await.map(|(_, url)| url));
    }
    for url in urls {
        let store = SqlStore::connect(&url).await.unwrap().with_policy(policy);
        ends_a_session_in_a_loop(&store).await;
        does_not_count_expired_tokens(&store.with_policy(short), lifetime).await;
    }
    if let Some((_, url)) = shared(Kind::Redis).await {
        let store = RedisStore::connect(&url).await.unwrap();
        let store = store.with_prefix("bounded").with_policy(policy);
        ends_a_session_in_a_loop(&store).await;
        does_not_count_expired_tokens(&store.with_policy(short), lifetime).await;
    }
}

#[tokio::test]
async fn by_default_a_session_rotates_20_000_times() {
    let store = MemoryStore::new();
    let first = open(&store, "alice").await;
    assert_eq!(store.reuse_leeway(), Duration::from_secs(10));
    assert_eq!(rotate_until_exhausted(&store, &first).await.0, 20_000);
}

#[tokio::test]
async fn a_database_keeps_no_expired_token() {
    let pool = memory_pool().await;
    let store = SqlStore::new(pool.clone()).await.unwrap();
    let short = store
        .clone()
        .with_policy(SessionPolicy::new().with_lifetime(Duration::from_millis(500)));
    let mut token = open(&short, "alice").await;
    for _ in 0..10 {
        token = rotate(&short, &token).await;
    }
    token = rotate(&store, &token).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    let token = rotate(&store, &token).await;
    let counts =
        "SELECT (SELECT count(*) FROM tower_logout_tokens), tokens FROM tower_logout_sessions";
    let (rows, counted): (i64, i64) = sqlx::query_as(counts).fetch_one(&pool).await.unwrap();
    assert_eq!((rows, counted), (2, 2));
    assert!(is_live(&store, &token).await);
}

async fn memory_pool() -> sqlx::SqlitePool {
    sqlx::sqlite::SqlitePoolOptions::new()
        .max_connections(1)
        .connect("sqlite::memory:")
        .await
        .unwrap()
}

#[tokio::test]
async fn a_revocation_that_sqlite_cannot_commit_is_an_error() {
    let pool = memory_pool().await;
    let store = SqlStore::new(pool.clone()).await.unwrap();
    let token = open(&store, "alice").await;
    // SQLite checks a deferred key at the commit, not at the statement.
    let orders = "CREATE TABLE orders (session_id TEXT REFERENCES tower_logout_sessions (id) \
                  DEFERRABLE INITIALLY DEFERRED)";
    sqlx::query(orders).execute(&pool).await.unwrap();
    sqlx::query("INSERT INTO orders SELECT id FROM tower_logout_sessions")
        .execute(&pool)
        .await
        .unwrap();
    assert!(store.revoke(&token).await.is_err());
    assert!(is_live(&store, &token).await);
    sqlx::query("DELETE FROM orders")
        .execute(&pool)
        .await
        .unwrap();
    store.revoke(&token).await.unwrap();
    assert!(!is_live(&store, &token).await);
}

#[tokio::test]
async fn a_pool_without_foreign_keys_is_rejected() {
    use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
    let options = SqliteConnectOptions::new()
        .in_memory(true)
        .foreign_keys(false);
    let pool = SqlitePool::connect_with(options).await.unwrap();
    let rejected = SqlStore::new(pool).await.unwrap_err();
    assert!(
        rejected.to_string().contains("foreign_keys(true)"),
        "{rejected}"
    );
}

#[tokio::test]
async fn the_schema_is_created_once_and_has_its_own_migrations_table() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("app.sqlite").display());
    let store = SqlStore::connect(&url).await.unwrap();
    let token = open(&store, "alice").await;
    let again = SqlStore::connect(&url).await.unwrap();
    assert!(is_live(&again, &token).await);
    let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
            .fetch_all(&pool)
            .await
            .unwrap();
    assert_eq!(
        tables,
        [
            "tower_logout_ended",
            "tower_logout_migrations",
            "tower_logout_sessions",
            "tower_logout_tokens"
        ]
    );
}

#[tokio::test]
async fn during_a_migration_the_sessions_of_the_old_store_stay_live_and_can_be_ended() {
    let (old, new) = (MemoryStore::new(), MemoryStore::new());
    let before = open(&old, "alice").await;
    let store = MigrationStore::new(old.clone(), new.clone());
    let after = open(&store, "alice").await;
    assert!(is_live(&new, &after).await && !is_live(&old, &after).await);

    let before = rotate(&store, &before).await;
    assert!(is_live(&store, &before).await);
    store.revoke(&before).await.unwrap();
    assert!(!is_live(&old, &before).await);
    assert!(is_live(&store, &after).await);

    // The token is in one store, and the sessions of the subject are in both.
    let again = open(&old, "alice").await;
    let ended = store
        .revoke_subject("alice", std::slice::from_ref(&after))
        .await
        .unwrap();
    assert!(matches!(ended, Revocation::Sessions(_)), "{ended:?}");
    assert!(!is_live(&old, &again).await);
    assert!(is_live(&new, &after).await);
}

#[tokio::test]
async fn during_a_migration_an_error_of_either_store_is_an_error() {
    let (memory, token) = store_with_session().await;
    let broken = || store_fn(|_| async { Err("down".into()) });
    let as_old = MigrationStore::new(broken(), memory.clone());
    assert!(as_old.revoke(&token).await.is_err());
    assert!(
        !is_live(&memory, &token).await,
        "the other store ended the session"
    );
    let as_new = MigrationStore::new(memory, broken());
    assert!(as_new.revoke(&token).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn only_transient_errors_are_retried() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let store = RetryStore::new(store_fn(move |token: Token| {
        let call = counted.fetch_add(1, Ordering::Relaxed);
        async move {
            match (token.expose(), call) {
                ("flaky", 0..2) | ("never", _) => Err(Transient::new("reset").into()),
                ("broken", _) => Err("no such table".into()),
                _ => Ok(Revocation::Revoked),
            }
        }
    }));
    let revoke = async |token| {
        calls.store(0, Ordering::Relaxed);
        let revoked = store.revoke(&Token::new(token)).await;
        (revoked.is_ok(), calls.load(Ordering::Relaxed))
    };
    assert_eq!(revoke("flaky").await, (true, 3));
    assert_eq!(revoke("never").await, (false, 4));
    assert_eq!(revoke("broken").await, (false, 1));
}

/// Deletes one session more than requested.
struct DeletesMore(MemoryStore);

#[async_trait]
impl TokenStore for DeletesMore {
    async fn revoke(&self, token: &Token) -> Result<Revocation, BoxError> {
        self.0.revoke(token).await
    }
}

#[async_trait]
impl SessionStore for DeletesMore {
    async fn open(&self, subject: &str, token: &Token) -> Result<Session, BoxError> {
        self.0.open(subject, token).await
    }

    async fn rotate(&self, presented: &Token, next: &Token) -> Result<Rotation, BoxError> {
        self.0.rotate(presented, next).await
    }

    async fn find(&self, token: &Token) -> Result<Option<Session>, BoxError> {
        self.0.find(token).await
    }

    async fn find_session(&self, id: &SessionId) -> Result<Option<Session>, BoxError> {
        self.0.find_session(id).await
    }

    async fn delete_expired(&self, at_most: u32) -> Result<u32, BoxError> {
        self.0.delete_expired(at_most + 1).await
    }
}

#[tokio::test]
async fn a_migration_accepts_an_old_store_that_deletes_more_than_requested() {
    let expired =
        || MemoryStore::new().with_policy(SessionPolicy::new().with_lifetime(Duration::ZERO));
    let (old, new) = (DeletesMore(expired()), expired());
    for _ in 0..3 {
        open(&old, "alice").await;
    }
    let both = MigrationStore::new(old, new);
    assert_eq!(both.delete_expired(2).await.unwrap(), 3);
}
