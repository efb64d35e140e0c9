//! A logout ends the sessions of its scope. The store names the subject.

use http::{Request, StatusCode};
use http_body_util::Full;
use tower::Layer;
use tower_logout::outcome::FailureKind;
use tower_logout::store::{Rotation, SessionStore};
use tower_logout::{ConfigError, LogoutLayer, MemoryStore, Scope, Token, TokenStore};

use support::*;

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
        .scoped_path("/auth/logout-all", Scope::All)
        .scoped_path("/auth/logout-others", Scope::Others)
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
    let outcome = answer.outcome.unwrap();
    assert_eq!(
        (outcome.sessions().len(), outcome.scope()),
        (2, Scope::Others)
    );
    assert_eq!(live(&store, &alice).await, [false, true, false]);
    assert!(is_live(&store, &bob).await);
}

const WIDER: [&str; 2] = ["/auth/logout-all", "/auth/logout-others"];

#[tokio::test]
async fn a_wider_logout_without_a_token_that_names_a_subject_is_a_401() {
    let (store, alice, _) = store().await;
    store.revoke(&alice[2]).await.unwrap();
    let mut without = to(WIDER[0], &alice[0]);
    without.headers_mut().remove("cookie");
    let dead = WIDER.map(|path| to(path, &alice[2]));
    let unknown = WIDER.map(|path| to(path, &Token::new("alice")));
    for request in dead.into_iter().chain(unknown).chain([without]) {
        let scope = request.uri().path().trim_start_matches("/auth/logout-");
        let scope = scope.to_owned();
        let answer = through(&layer(&store), request).await;
        assert_eq!(answer.status, 401);
        assert_eq!(
            answer.body,
            r#"{"error":"Log in again to end other sessions: this one has ended"}"#
        );
        answer.assert_common_headers();
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
        assert!(answer.set_cookies().is_empty());
        let outcome = answer.outcome.unwrap();
        assert_eq!(
            (outcome.name(), outcome.scope().name()),
            ("rejected", &*scope)
        );
    }
    assert_eq!(live(&store, &alice).await, [true, true, false]);
}

#[tokio::test]
async fn a_grpc_call_that_names_no_subject_is_unauthenticated() {
    let (store, ..) = store().await;
    let layer = LogoutLayer::builder(store)
        .scoped_path("/auth/logout-all", Scope::All)
        .grpc()
        .build()
        .unwrap();
    let mut request = to("/auth/logout-all", &Token::new("dead"));
    let grpc = "application/grpc".parse().unwrap();
    request.headers_mut().insert("content-type", grpc);
    let answer = through(&layer, request).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers["grpc-status"], "16");
}

/// The thief has rotated the token of the victim, and the victim presents the old token.
#[tokio::test]
async fn a_token_that_was_rotated_away_keeps_no_session() {
    let (store, alice, bob) = store().await;
    let thiefs = Token::generate().unwrap();
    let rotated = store.rotate(&alice[0], &thiefs).await.unwrap();
    assert!(matches!(rotated, Rotation::Rotated(_)));
    let answer = through(&layer(&store), to("/auth/logout-others", &alice[0])).await;
    // No cookie of the browser works, so the cookies are removed.
    answer.assert_is_logged_out();
    assert!(!is_live(&store, &thiefs).await);
    assert_eq!(live(&store, &alice).await, [false; 3]);
    assert!(is_live(&store, &bob).await);
    let outcome = answer.outcome.unwrap();
    assert_eq!((outcome.sessions().len(), outcome.scope()), (3, Scope::All));
}

#[tokio::test]
async fn each_live_token_that_is_presented_keeps_its_session() {
    let (store, alice, bob) = store().await;
    let bobs_other = open(&store, "bob").await;
    let mut request = to("/auth/logout-others", &alice[0]);
    let cookies = [&alice[0], &alice[2], &bob].map(|token| {
        let token = token.expose();
        format!("refreshToken={token}")
    });
    request
        .headers_mut()
        .insert("cookie", cookies.join("; ").parse().unwrap());
    let answer = through(&layer(&store), request).await;
    assert_eq!(answer.status, 200);
    assert_eq!(live(&store, &alice).await, [true, false, true]);
    assert!(is_live(&store, &bob).await);
    assert!(!is_live(&store, &bobs_other).await);
    assert_eq!(answer.outcome.unwrap().sessions().len(), 2);
}

#[tokio::test]
async fn a_dead_token_beside_a_live_one_changes_nothing() {
    for path in WIDER {
        let (store, alice, _) = store().await;
        store.revoke(&alice[1]).await.unwrap();
        let mut request = to(path, &alice[0]);
        let both = format!(
            "refreshToken={}; refreshToken={}",
            alice[1].expose(),
            alice[0].expose()
        );
        request
            .headers_mut()
            .insert("cookie", both.parse().unwrap());
        let answer = through(&layer(&store), request).await;
        assert_eq!(answer.status, 200);
        let kept = path.ends_with("others");
        assert_eq!(live(&store, &alice).await, [kept, false, false]);
    }
}

#[tokio::test]
async fn a_wider_logout_with_too_many_tokens_is_a_failure_too() {
    let (store, alice, _) = store().await;
    let layer = LogoutLayer::builder(store.clone())
        .scoped_path("/auth/logout-all", Scope::All)
        .max_tokens(1)
        .build()
        .unwrap();
    let mut request = to("/auth/logout-all", &alice[0]);
    let both = format!("refreshToken={}; refreshToken=t", alice[0].expose());
    request
        .headers_mut()
        .insert("cookie", both.parse().unwrap());
    let answer = through(&layer, request).await;
    answer.assert_is_failed_and_keeps_cookies();
    assert_eq!(failure(&answer), FailureKind::TooManyTokens);
    assert_eq!(answer.outcome.as_ref().unwrap().scope(), Scope::All);
    assert_eq!(live(&store, &alice).await, [false; 3]);
}

#[tokio::test]
async fn a_scope_can_be_an_endpoint_too() {
    let (store, alice, _) = store().await;
    let endpoint = layer(&store).endpoint_for(Scope::All);
    send(endpoint.clone(), to("/anywhere", &alice[0]))
        .await
        .assert_is_logged_out();
    assert_eq!(live(&store, &alice).await, [false; 3]);
}

#[tokio::test]
async fn a_wider_logout_passes_the_same_checks() {
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
fn two_logouts_with_one_path_are_rejected() {
    let twice = LogoutLayer::builder(MemoryStore::new())
        .scoped_path("/auth/logout", Scope::All)
        .build();
    assert!(matches!(twice, Err(ConfigError::DuplicatePath { .. })));
}

#[tokio::test]
async fn a_logout_that_failed_halfway_can_be_tried_again() {
    use tower_logout::store::MigrationStore;
    use tower_logout_sqlx::SqlStore;
    let (new, alice, bob) = store().await;
    let pool = sqlx::sqlite::SqlitePoolOptions::new()
        .max_connections(1)
        .connect("sqlite::memory:")
        .await
        .unwrap();
    let old = SqlStore::new(pool.clone()).await.unwrap();
    let elsewhere = open(&old, "alice").await;
    let layer = LogoutLayer::builder(MigrationStore::new(old.clone(), new.clone()))
        .scoped_path("/auth/logout-all", Scope::All)
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
