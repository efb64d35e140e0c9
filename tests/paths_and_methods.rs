//! A logout is found at each of its paths, by each of its methods, and nowhere else.

use axum::Router;
use axum::body::Body;
use cookie::Cookie;
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use tower_logout::{AuthCookies, ConfigError, LogoutLayer, MemoryStore, Token, TokenSource};

use support::*;

fn request(method: Method, path: &str, token: &Token) -> Request<TestBody> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("cookie", format!("refreshToken={}", token.expose()))
        .body(Full::default())
        .unwrap()
}

fn json(path: &str, token: &Token) -> Request<TestBody> {
    let mut request = request(Method::POST, path, token);
    let json = "application/json".parse().unwrap();
    request.headers_mut().insert("content-type", json);
    request
}

#[tokio::test]
async fn a_logout_can_have_several_paths() {
    let store = MemoryStore::new();
    let layer = LogoutLayer::builder(store.clone())
        .also_path("/v1/session/logout")
        .also_path("/auth.v1.Auth/Logout")
        .build()
        .unwrap();
    for path in ["/auth/logout", "/v1/session/logout", "/auth.v1.Auth/Logout"] {
        let token = open(&store, "alice").await;
        through(&layer, json(path, &token))
            .await
            .assert_is_logged_out();
        assert!(!is_live(&store, &token).await, "{path}");
    }
    let token = open(&store, "alice").await;
    through(&layer, json("/v1/session", &token))
        .await
        .assert_is_inner();
}

#[test]
fn each_path_is_checked_when_the_layer_is_built() {
    let build = |path: &str| {
        LogoutLayer::builder(MemoryStore::new())
            .also_path(path)
            .build()
            .unwrap_err()
    };
    assert!(matches!(build("logout"), ConfigError::InvalidPath { .. }));
    assert!(matches!(
        build("/auth/logout"),
        ConfigError::DuplicatePath { .. }
    ));
}

#[test]
fn cookies_need_not_reach_a_further_path_whose_clients_have_their_token_elsewhere() {
    let cookies = AuthCookies::builder()
        .refresh(Cookie::build("refreshToken").path("/auth"))
        .build()
        .unwrap();
    let builder = || {
        LogoutLayer::builder(MemoryStore::new())
            .cookies(cookies.clone())
            .also_path("/auth.v1.Auth/Logout")
    };
    let error = builder().build().unwrap_err();
    assert!(matches!(error, ConfigError::CookieNotSent { .. }));
    let bearer = builder().token_source(TokenSource::bearer());
    assert!(bearer.build().is_ok());
}

#[tokio::test]
async fn a_delete_is_a_logout_only_if_that_is_configured() {
    let (store, token) = store_with_session().await;
    let delete = || request(Method::DELETE, "/auth/logout", &token);
    through_default(store.clone(), delete())
        .await
        .assert_is_inner();
    let layer = LogoutLayer::builder(store.clone())
        .also_delete()
        .build()
        .unwrap();
    through(&layer, delete()).await.assert_is_logged_out();
    assert!(!is_live(&store, &token).await);
    for method in [Method::GET, Method::PUT, Method::OPTIONS] {
        let other = request(method, "/auth/logout", &token);
        through(&layer, other).await.assert_is_inner();
    }
}

#[tokio::test]
async fn a_delete_passes_the_other_checks_too() {
    let (store, token) = store_with_session().await;
    let builder = || LogoutLayer::builder(store.clone()).also_delete();
    let delete = || request(Method::DELETE, "/auth/logout", &token);
    let strict = builder().strict_json().build().unwrap();
    let answer = through(&strict, delete()).await;
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);

    let checked = builder()
        .origin_check(tower_logout::csrf::OriginCheck::new())
        .build()
        .unwrap();
    let mut foreign = delete();
    let evil = "https://evil.example".parse().unwrap();
    foreign.headers_mut().insert("origin", evil);
    let answer = through(&checked, foreign).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(is_live(&store, &token).await);
}

#[tokio::test]
async fn an_endpoint_names_the_methods_that_it_answers() {
    for (also_delete, allowed) in [(false, "POST"), (true, "POST, DELETE")] {
        let mut builder = LogoutLayer::builder(MemoryStore::new());
        if also_delete {
            builder = builder.also_delete();
        }
        let endpoint = builder.build().unwrap().endpoint();
        let get = request(Method::GET, "/auth/logout", &Token::new("t"));
        let answer = send(endpoint, get).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer.headers["allow"], allowed);
    }
}

#[tokio::test]
async fn an_endpoint_in_a_nested_router_is_described_by_its_public_path_alone() {
    let (store, token) = store_with_session().await;
    let cookies = AuthCookies::builder()
        .refresh(Cookie::build("refreshToken").path("/session"))
        .build()
        .unwrap();
    let at = |path: &str| {
        LogoutLayer::builder(store.clone())
            .cookies(cookies.clone())
            .endpoint_at(path)
    };
    assert!(matches!(
        at("/logout"),
        Err(ConfigError::CookieNotSent { .. })
    ));
    let session = Router::new().route_service("/logout", at("/session/logout").unwrap());
    let app = Router::new().nest("/session", session);
    let answer = send(app, json("/session/logout", &token).map(Body::new)).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(!is_live(&store, &token).await);
}
