//! A logout ends the sessions that its route says, of the subject that the store knows.

use http::Request;
use http_body_util::Full;
use tower::Layer;
use tower_logout::{ConfigError, LogoutLayer, MemoryStore, Scope, Token};

use crate::support::*;

/// A store in which alice has three sessions and bob has one.
async fn store() -> (MemoryStore, [Token; 3], Token) {
    let store = MemoryStore::new();
    let alice = [
        open(&store, "alice").await,
        open(&store, "alice").await,
        open(&store, "alice").await,
    ];
    let bob = open(&store, "bob").await;
    (store, alice, bob)
}

fn layer(store: &MemoryStore) -> LogoutLayer<MemoryStore> {
    LogoutLayer::builder(store.clone())
        .route("/auth/logout-all", Scope::All)
        .route("/auth/logout-others", Scope::Others)
        .build()
        .unwrap()
}

fn to(path: &str, token: &Token) -> Request<TestBody> {
    let mut request = logout_with(token);
    *request.uri_mut() = path.parse().unwrap();
    request
}

async fn live(store: &MemoryStore, tokens: &[Token]) -> Vec<bool> {
    let mut live = Vec::new();
    for token in tokens {
        live.push(is_live(store, token).await);
    }
    live
}

#[tokio::test]
async fn by_default_the_session_of_the_presented_token_ends() {
    let (store, alice, bob) = store().await;
    let answer = through(&layer(&store), to("/auth/logout", &alice[1])).await;
    answer.assert_is_logged_out();
    assert_eq!(live(&store, &alice).await, [true, false, true]);
    assert!(is_live(&store, &bob).await);
}

#[tokio::test]
async fn all_sessions_of_the_subject_end_and_are_named() {
    let (store, alice, bob) = store().await;
    let answer = through(&layer(&store), to("/auth/logout-all", &alice[1])).await;
    answer.assert_is_logged_out();
    assert_eq!(answer.outcome.unwrap().sessions().len(), 3);
    assert_eq!(live(&store, &alice).await, [false; 3]);
    assert!(is_live(&store, &bob).await);
}

#[tokio::test]
async fn all_other_sessions_end_and_this_one_keeps_its_cookies() {
    let (store, alice, bob) = store().await;
    let answer = through(&layer(&store), to("/auth/logout-others", &alice[1])).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body, r#"{"message":"Logged out successfully"}"#);
    assert!(answer.set_cookies().is_empty());
    assert_eq!(answer.outcome.unwrap().sessions().len(), 2);
    assert_eq!(live(&store, &alice).await, [false, true, false]);
    assert!(is_live(&store, &bob).await);
}

#[tokio::test]
async fn an_unknown_token_ends_nobodys_sessions() {
    let (store, alice, _) = store().await;
    for path in ["/auth/logout-all", "/auth/logout-others"] {
        let answer = through(&layer(&store), to(path, &Token::new("alice"))).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.outcome.unwrap().name(), "already_ended");
    }
    assert_eq!(live(&store, &alice).await, [true; 3]);
}

#[tokio::test]
async fn a_scope_can_be_an_endpoint_too() {
    let (store, alice, _) = store().await;
    let endpoint = layer(&store).scope_endpoint(Scope::All);
    send(endpoint.clone(), to("/anywhere", &alice[0]))
        .await
        .assert_is_logged_out();
    assert_eq!(live(&store, &alice).await, [false; 3]);
}

#[tokio::test]
async fn a_scope_needs_the_same_proof() {
    let (store, alice, _) = store().await;
    let mut request = to("/auth/logout-all", &alice[0]);
    request.headers_mut().remove("content-type");
    assert_eq!(through(&layer(&store), request).await.status, 415);
    assert_eq!(live(&store, &alice).await, [true; 3]);
    let other = Request::post("/auth/logout-some").body(Full::default());
    send(layer(&store).layer(inner()), other.unwrap())
        .await
        .assert_is_inner();
}

#[test]
fn two_routes_with_one_path_are_refused() {
    let twice = LogoutLayer::builder(MemoryStore::new())
        .route("/auth/logout", Scope::All)
        .build();
    assert!(matches!(twice, Err(ConfigError::DuplicatePath { .. })));
}

#[tokio::test]
async fn what_failed_halfway_can_be_tried_again() {
    use tower_logout::{MigrationStore, SqlStore};
    let (new, alice, bob) = store().await;
    let pool = sqlx::sqlite::SqlitePoolOptions::new()
        .max_connections(1)
        .connect("sqlite::memory:")
        .await
        .unwrap();
    let old = SqlStore::new(pool.clone()).await.unwrap();
    let elsewhere = open(&old, "alice").await;
    let layer = LogoutLayer::builder(MigrationStore::new(old.clone(), new.clone()))
        .route("/auth/logout-all", Scope::All)
        .build()
        .unwrap();
    sqlx::query("PRAGMA query_only = 1")
        .execute(&pool)
        .await
        .unwrap();
    let answer = through(&layer, to("/auth/logout-all", &alice[0])).await;
    answer.assert_is_failed_and_keeps_cookies();
    sqlx::query("PRAGMA query_only = 0")
        .execute(&pool)
        .await
        .unwrap();
    let answer = through(&layer, to("/auth/logout-all", &alice[0])).await;
    answer.assert_is_logged_out();
    assert!(!is_live(&old, &elsewhere).await);
    assert_eq!(live(&new, &alice).await, [false; 3]);
    assert!(is_live(&new, &bob).await);
}
