//! What stores of sessions promise beyond the suite, each for itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use proptest::prelude::*;
use tower_logout::{
    BoxError, MemoryStore, MigrationStore, RedisStore, RetryStore, Revocation, Rotation, Session,
    SessionId, SessionStore, SqlStore, SubjectStore, Token, TokenStore, Transient, async_trait,
    store_fn,
};

use crate::support::database::{Kind, shared};
use crate::support::*;

/// A fresh store with the given lifetime; what it must keep alive goes with it.
type Fresh = (Arc<dyn SessionStore>, Option<tempfile::TempDir>);

const MONTH: Duration = Duration::from_hours(30 * 24);

fn memory(lifetime: Duration) -> Fresh {
    (Arc::new(MemoryStore::new().with_lifetime(lifetime)), None)
}

async fn sqlite_file(lifetime: Duration) -> Fresh {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("sessions.sqlite").display());
    let store = SqlStore::connect(&url).await.unwrap();
    (Arc::new(store.with_lifetime(lifetime)), Some(folder))
}

async fn rotate(store: &dyn SessionStore, token: &Token) -> Token {
    let next = Token::generate().unwrap();
    let rotated = store.rotate(token, &next).await.unwrap();
    assert!(matches!(rotated, Rotation::Rotated(_)), "{rotated:?}");
    next
}

#[tokio::test]
async fn a_lifetime_without_end_does_no_harm() {
    let (file, _keep) = sqlite_file(Duration::MAX).await;
    for store in [memory(Duration::MAX).0, file] {
        let token = open(&*store, "alice").await;
        let token = rotate(&*store, &token).await;
        assert!(is_live(&*store, &token).await);
    }
}

/// Chains of refreshes race with a logout by any member; some start before it, some after.
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
    // The revoke has returned: nothing of the family can be rotated from here on.
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
    fn no_refresh_in_flight_brings_a_session_back_in_memory(
        chains in 1..4_usize, rotations in 1..50_usize, yields in 0..50_usize,
    ) {
        run(async { race(memory(MONTH).0, chains, rotations, yields).await });
    }

    #[test]
    fn no_refresh_in_flight_brings_a_session_back_in_sqlite(
        chains in 1..4_usize, rotations in 1..20_usize, yields in 0..50_usize,
    ) {
        run(async {
            let (store, _keep) = sqlite_file(MONTH).await;
            race(store, chains, rotations, yields).await;
        });
    }
}

#[tokio::test]
async fn the_memory_store_is_bounded_and_makes_room_from_what_expired() {
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

    let store = store.with_lifetime(Duration::ZERO);
    store.revoke(&token).await.unwrap();
    for _ in 0..5 {
        open(&store, "carol").await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_expired_is_dropped_on_a_schedule_however_much_it_is() {
    let store = MemoryStore::new()
        .with_lifetime(Duration::ZERO)
        .with_max_tokens(2500);
    let housekeeping = tower_logout::drop_expired_every(MONTH, store.clone(), |_| ());
    tokio::spawn(housekeeping);
    for _ in 0..2 {
        for _ in 0..2500 {
            open(&store, "alice").await;
        }
        tokio::time::sleep(MONTH).await;
        assert_eq!(store.drop_expired(1).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_token_that_has_expired_by_itself_makes_room_in_memory_also_if_its_session_lives_on() {
    let store = MemoryStore::new().with_max_tokens(3);
    let short = store.clone().with_lifetime(Duration::from_millis(20));
    let token = open(&short, "alice").await;
    let token = rotate(&short, &token).await;
    let token = rotate(&store, &token).await;
    let other = Token::generate().unwrap();
    tokio::time::sleep(Duration::from_millis(40)).await;
    store.open("bob", &other).await.unwrap();
    rotate(&store, &other).await;
    assert!(is_live(&store, &token).await);
}

/// Rotates until the session is ended, and returns how often that went well, and the last token.
async fn rotate_without_end(store: &dyn SessionStore, first: &Token) -> (u32, Token) {
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

/// What each of our stores does with a client that refreshes in a loop, where 5 tokens are remembered.
async fn is_bounded(store: &dyn SessionStore) {
    let first = open(store, "alice").await;
    let id = store.find(&first).await.unwrap().unwrap().id;
    let (rotations, last) = rotate_without_end(store, &first).await;
    assert_eq!(rotations, 5);
    for token in [&first, &last] {
        assert!(!is_live(store, token).await);
        assert_eq!(store.revoke(token).await.unwrap(), Revocation::NotFound);
    }
    assert_eq!(store.find_session(&id).await.unwrap(), None);

    // Both next tokens count once they are rotated away.
    let first = open(store, "alice").await;
    rotate(store, &first).await;
    let token = rotate(store, &first).await;
    assert_eq!(rotate_without_end(store, &token).await.0, 3);
}

/// What has expired by itself does not count.
async fn counts_what_it_remembers(store: &dyn SessionStore, lifetime: Duration) {
    let mut token = open(store, "alice").await;
    for _ in 0..8 {
        for _ in 0..2 {
            token = rotate(store, &token).await;
        }
        tokio::time::sleep(lifetime / 2 + Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_refreshes_without_end_is_logged_out_by_each_store() {
    let lifetime = Duration::from_secs(1);
    let memory = MemoryStore::new().with_max_rotations(5);
    is_bounded(&memory).await;
    counts_what_it_remembers(&memory.with_lifetime(lifetime), lifetime).await;
    let mut urls = vec!["sqlite::memory:".to_owned()];
    for kind in [Kind::Postgres, Kind::MariaDb] {
        urls.extend(shared(kind).await.map(|(_, url)| url));
    }
    for url in urls {
        let store = SqlStore::connect(&url).await.unwrap().with_max_rotations(5);
        is_bounded(&store).await;
        counts_what_it_remembers(&store.with_lifetime(lifetime), lifetime).await;
    }
    if let Some((_, url)) = shared(Kind::Redis).await {
        let store = RedisStore::connect(&url).await.unwrap();
        let store = store.with_prefix("bounded").with_max_rotations(5);
        is_bounded(&store).await;
        counts_what_it_remembers(&store.with_lifetime(lifetime), lifetime).await;
    }
}

#[tokio::test]
async fn by_default_a_session_is_rotated_20_000_times() {
    let store = MemoryStore::new();
    let first = open(&store, "alice").await;
    assert_eq!(store.reuse_leeway(), Duration::from_secs(10));
    assert_eq!(rotate_without_end(&store, &first).await.0, 20_000);
}

#[tokio::test]
async fn a_database_keeps_no_token_that_has_expired_by_itself() {
    let pool = memory_pool().await;
    let store = SqlStore::new(pool.clone()).await.unwrap();
    let short = store.clone().with_lifetime(Duration::from_millis(20));
    let mut token = open(&short, "alice").await;
    for _ in 0..10 {
        token = rotate(&short, &token).await;
    }
    token = rotate(&store, &token).await;
    tokio::time::sleep(Duration::from_millis(40)).await;
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
async fn a_revocation_that_sqlite_does_not_commit_is_an_error() {
    let pool = memory_pool().await;
    let store = SqlStore::new(pool.clone()).await.unwrap();
    let token = open(&store, "alice").await;
    // What the commit checks, and the statement does not.
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
async fn a_pool_that_would_leave_tokens_behind_is_refused() {
    use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
    let options = SqliteConnectOptions::new()
        .in_memory(true)
        .foreign_keys(false);
    let pool = SqlitePool::connect_with(options).await.unwrap();
    let refused = SqlStore::new(pool).await.unwrap_err();
    assert!(
        refused.to_string().contains("foreign_keys(true)"),
        "{refused}"
    );
}

#[tokio::test]
async fn the_schema_is_created_once_beside_the_applications_own_migrations() {
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
            "tower_logout_migrations",
            "tower_logout_sessions",
            "tower_logout_tokens"
        ]
    );
}

#[tokio::test]
async fn during_a_migration_the_sessions_of_the_old_store_live_on_and_end_like_others() {
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

    // The token is in one of them, the subject's sessions in both.
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
        "the other one was asked all the same"
    );
    let as_new = MigrationStore::new(memory, broken());
    assert!(as_new.revoke(&token).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn transient_errors_are_tried_again_and_others_are_not() {
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

/// Drops one more session than it was asked for.
struct Generous(MemoryStore);

#[async_trait]
impl TokenStore for Generous {
    async fn revoke(&self, token: &Token) -> Result<Revocation, BoxError> {
        self.0.revoke(token).await
    }
}

#[async_trait]
impl SessionStore for Generous {
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

    async fn drop_expired(&self, at_most: u32) -> Result<u32, BoxError> {
        self.0.drop_expired(at_most + 1).await
    }
}

#[tokio::test]
async fn a_migration_takes_an_old_store_that_drops_more_than_it_was_asked_for() {
    let expired = || MemoryStore::new().with_lifetime(Duration::ZERO);
    let (old, new) = (Generous(expired()), expired());
    for _ in 0..3 {
        open(&old, "alice").await;
    }
    let both = MigrationStore::new(old, new);
    assert_eq!(both.drop_expired(2).await.unwrap(), 3);
}
