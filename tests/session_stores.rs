//! What every store of sessions promises, asked of each of them alike.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use proptest::prelude::*;
use tower_logout::{
    MemoryStore, Revocation, Rotation, SessionId, SessionStore, SqliteStore, Token, TokenStore,
};

use crate::support::*;

/// A fresh store with the given lifetime; what it must keep alive goes with it.
type Fresh = (Arc<dyn SessionStore>, Option<tempfile::TempDir>);

const MONTH: Duration = Duration::from_hours(30 * 24);

fn memory(lifetime: Duration) -> Fresh {
    (Arc::new(MemoryStore::new().with_lifetime(lifetime)), None)
}

async fn sqlite_in_memory(lifetime: Duration) -> Fresh {
    let store = SqliteStore::connect("sqlite::memory:").await.unwrap();
    (Arc::new(store.with_lifetime(lifetime)), None)
}

async fn sqlite_file(lifetime: Duration) -> Fresh {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("sessions.sqlite").display());
    let store = SqliteStore::connect(&url).await.unwrap();
    (Arc::new(store.with_lifetime(lifetime)), Some(folder))
}

/// One test per promise and store.
macro_rules! conformance {
    ($($promise:ident($lifetime:expr),)*) => {
        mod in_memory {
            use super::*;
            $(#[tokio::test]
            async fn $promise() {
                let (store, _keep) = memory($lifetime);
                super::$promise(store).await;
            })*
        }
        mod in_sqlite_in_memory {
            use super::*;
            $(#[tokio::test]
            async fn $promise() {
                let (store, _keep) = sqlite_in_memory($lifetime).await;
                super::$promise(store).await;
            })*
        }
        mod in_a_sqlite_file {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                let (store, _keep) = sqlite_file($lifetime).await;
                super::$promise(store).await;
            })*
        }
    };
}

conformance! {
    revoke_names_the_session_once_and_is_idempotent(MONTH),
    any_member_of_the_family_ends_it(MONTH),
    reuse_of_a_rotated_token_ends_the_family(MONTH),
    sessions_are_isolated(MONTH),
    unknown_huge_and_odd_tokens_are_not_found(MONTH),
    an_expired_session_is_not_found_anywhere(Duration::ZERO),
    expired_sessions_are_dropped_and_counted(Duration::ZERO),
    a_lifetime_without_end_does_no_harm(Duration::MAX),
    a_token_that_is_taken_is_refused_and_changes_nothing(MONTH),
    of_200_parallel_revokes_one_reports_the_session(MONTH),
    of_many_parallel_rotations_one_succeeds(MONTH),
}

async fn rotate(store: &dyn SessionStore, token: &Token) -> Token {
    let next = Token::generate().unwrap();
    let rotated = store.rotate(token, &next).await.unwrap();
    assert!(matches!(rotated, Rotation::Rotated(_)), "{rotated:?}");
    next
}

async fn revoke_names_the_session_once_and_is_idempotent(store: Arc<dyn SessionStore>) {
    let token = Token::generate().unwrap();
    let session = store.open("alice", &token).await.unwrap();
    assert_eq!(session.subject, "alice");
    assert_eq!(store.find(&token).await.unwrap().as_ref(), Some(&session));
    assert_eq!(
        store.find_session(&session.id).await.unwrap().as_ref(),
        Some(&session)
    );
    let revoked = store.revoke(&token).await.unwrap();
    assert_eq!(revoked, Revocation::Sessions(session.id.clone().into()));
    for _ in 0..3 {
        assert_eq!(store.revoke(&token).await.unwrap(), Revocation::NotFound);
    }
    assert_eq!(store.find(&token).await.unwrap(), None);
    assert_eq!(store.find_session(&session.id).await.unwrap(), None);
    let next = Token::generate().unwrap();
    assert_eq!(
        store.rotate(&token, &next).await.unwrap(),
        Rotation::NotFound
    );
}

async fn any_member_of_the_family_ends_it(store: Arc<dyn SessionStore>) {
    for member in 0..3 {
        let first = open(&*store, "alice").await;
        let second = rotate(&*store, &first).await;
        let third = rotate(&*store, &second).await;
        assert!(!is_live(&*store, &first).await);
        assert!(!is_live(&*store, &second).await);
        assert!(is_live(&*store, &third).await);
        let family = [first, second, third];
        let revoked = store.revoke(&family[member]).await.unwrap();
        assert!(matches!(revoked, Revocation::Sessions(_)), "{revoked:?}");
        for token in &family {
            assert!(!is_live(&*store, token).await);
            assert_eq!(store.revoke(token).await.unwrap(), Revocation::NotFound);
        }
    }
}

async fn reuse_of_a_rotated_token_ends_the_family(store: Arc<dyn SessionStore>) {
    let stolen = open(&*store, "alice").await;
    let id = store.find(&stolen).await.unwrap().unwrap().id;
    let live = rotate(&*store, &stolen).await;
    let next = Token::generate().unwrap();
    let reused = store.rotate(&stolen, &next).await.unwrap();
    assert_eq!(reused, Rotation::Reused(id.clone()));
    assert!(!is_live(&*store, &live).await);
    assert!(!is_live(&*store, &next).await);
    assert_eq!(store.find_session(&id).await.unwrap(), None);
}

async fn sessions_are_isolated(store: Arc<dyn SessionStore>) {
    let mine = open(&*store, "alice").await;
    let my_phone = open(&*store, "alice").await;
    let yours = open(&*store, "bob").await;
    store.revoke(&mine).await.unwrap();
    assert!(is_live(&*store, &my_phone).await);
    assert_eq!(store.find(&yours).await.unwrap().unwrap().subject, "bob");
}

async fn unknown_huge_and_odd_tokens_are_not_found(store: Arc<dyn SessionStore>) {
    let live = open(&*store, "alice").await;
    let odd = [
        String::new(),
        "unknown".into(),
        "' OR 1=1 --".into(),
        "%".into(),
        "\0\0".into(),
        "ü💥".into(),
        "x".repeat(1 << 20),
        live.expose().to_uppercase() + " ",
    ];
    for token in odd.map(Token::new) {
        let next = Token::generate().unwrap();
        assert_eq!(store.revoke(&token).await.unwrap(), Revocation::NotFound);
        assert_eq!(
            store.rotate(&token, &next).await.unwrap(),
            Rotation::NotFound
        );
        assert_eq!(store.find(&token).await.unwrap(), None);
    }
    let id = SessionId::new("nothing");
    assert_eq!(store.find_session(&id).await.unwrap(), None);
    assert!(is_live(&*store, &live).await);
}

async fn an_expired_session_is_not_found_anywhere(store: Arc<dyn SessionStore>) {
    let token = Token::generate().unwrap();
    let session = store.open("alice", &token).await.unwrap();
    let next = Token::generate().unwrap();
    assert_eq!(store.find(&token).await.unwrap(), None);
    assert_eq!(store.find_session(&session.id).await.unwrap(), None);
    assert_eq!(
        store.rotate(&token, &next).await.unwrap(),
        Rotation::NotFound
    );
    assert_eq!(store.revoke(&token).await.unwrap(), Revocation::NotFound);
}

async fn expired_sessions_are_dropped_and_counted(store: Arc<dyn SessionStore>) {
    let mut tokens = Vec::new();
    for _ in 0..5 {
        tokens.push(open(&*store, "alice").await);
    }
    assert_eq!(store.drop_expired(3).await.unwrap(), 3);
    assert_eq!(store.drop_expired(3).await.unwrap(), 2);
    assert_eq!(store.drop_expired(3).await.unwrap(), 0);
    // Nothing is left of them: their tokens are free again.
    store.open("bob", &tokens[0]).await.unwrap();
}

async fn a_lifetime_without_end_does_no_harm(store: Arc<dyn SessionStore>) {
    let token = open(&*store, "alice").await;
    let token = rotate(&*store, &token).await;
    assert!(is_live(&*store, &token).await);
}

async fn a_token_that_is_taken_is_refused_and_changes_nothing(store: Arc<dyn SessionStore>) {
    let alice = open(&*store, "alice").await;
    let bob = open(&*store, "bob").await;
    let refused = store.open("mallory", &alice).await.unwrap_err();
    assert!(refused.to_string().contains("Token::generate"), "{refused}");
    assert!(store.rotate(&bob, &alice).await.is_err());
    assert!(store.rotate(&bob, &bob).await.is_err());
    assert_eq!(store.find(&alice).await.unwrap().unwrap().subject, "alice");
    assert_eq!(store.find(&bob).await.unwrap().unwrap().subject, "bob");
}

async fn of_200_parallel_revokes_one_reports_the_session(store: Arc<dyn SessionStore>) {
    let token = open(&*store, "alice").await;
    let revokes = (0..200).map(|_| {
        let (store, token) = (Arc::clone(&store), token.clone());
        tokio::spawn(async move { store.revoke(&token).await.unwrap() })
    });
    let reported = join_all(revokes)
        .await
        .into_iter()
        .filter(|revoked| matches!(revoked, Ok(Revocation::Sessions(_))))
        .count();
    assert_eq!(reported, 1);
}

async fn of_many_parallel_rotations_one_succeeds(store: Arc<dyn SessionStore>) {
    let token = open(&*store, "alice").await;
    let rotations = (0..20).map(|_| {
        let (store, token) = (Arc::clone(&store), token.clone());
        tokio::spawn(async move {
            let next = Token::generate().unwrap();
            let rotation = store.rotate(&token, &next).await.unwrap();
            (rotation, next)
        })
    });
    let mut succeeded = 0;
    for rotation in join_all(rotations).await {
        let (rotation, next) = rotation.unwrap();
        succeeded += usize::from(matches!(rotation, Rotation::Rotated(_)));
        // The second use of the token ended the family, the first one's successor included.
        assert!(!is_live(&*store, &next).await);
    }
    assert_eq!(succeeded, 1);
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
                    Rotation::Reused(_) | Rotation::NotFound => break,
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
    let store = MemoryStore::new().with_capacity(2);
    let token = open(&store, "alice").await;
    let token = rotate(&store, &token).await;
    let next = Token::generate().unwrap();
    let full = store.open("bob", &next).await.unwrap_err();
    assert!(full.to_string().contains("larger capacity"), "{full}");
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
        .with_capacity(2500);
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
async fn a_client_that_refreshes_without_end_does_not_fill_the_memory_store() {
    let store = MemoryStore::new().with_capacity(1002);
    let first = open(&store, "alice").await;
    let mut token = first.clone();
    let mut middle = None;
    for round in 0..3000 {
        token = rotate(&store, &token).await;
        if round == 2500 {
            middle = Some(token.clone());
        }
    }
    assert_eq!(store.revoke(&first).await.unwrap(), Revocation::NotFound);
    assert!(is_live(&store, &token).await);
    store.revoke(&middle.unwrap()).await.unwrap();
    assert!(!is_live(&store, &token).await);
}

#[tokio::test]
async fn a_client_that_refreshes_without_end_does_not_fill_the_database() {
    let pool = memory_pool().await;
    let store = SqliteStore::new(pool.clone()).await.unwrap();
    let mut token = open(&store, "alice").await;
    for _ in 0..1100 {
        token = rotate(&store, &token).await;
    }
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM tower_logout_tokens")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(rows, 1001);
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
    let store = SqliteStore::new(pool.clone()).await.unwrap();
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
async fn no_token_is_in_the_sqlite_file_in_clear() {
    let (store, folder) = sqlite_file(MONTH).await;
    let first = open(&*store, "alice").await;
    let second = rotate(&*store, &first).await;
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder.unwrap().path()).unwrap() {
        let content = std::fs::read(entry.unwrap().path()).unwrap();
        bytes += content.len();
        for token in [&first, &second] {
            let clear = token.expose().as_bytes();
            assert!(!content.windows(clear.len()).any(|window| window == clear));
        }
    }
    assert!(bytes > 1000, "the files were looked at");
}

#[tokio::test]
async fn a_pool_that_would_leave_tokens_behind_is_refused() {
    use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
    let options = SqliteConnectOptions::new()
        .in_memory(true)
        .foreign_keys(false);
    let pool = SqlitePool::connect_with(options).await.unwrap();
    let refused = SqliteStore::new(pool).await.unwrap_err();
    assert!(
        refused.to_string().contains("foreign_keys(true)"),
        "{refused}"
    );
}

#[tokio::test]
async fn the_schema_is_created_once_beside_the_applications_own_migrations() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("app.sqlite").display());
    let store = SqliteStore::connect(&url).await.unwrap();
    let token = open(&store, "alice").await;
    let again = SqliteStore::connect(&url).await.unwrap();
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
