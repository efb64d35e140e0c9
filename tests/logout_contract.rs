//! The answers of docs/endpoint.md, byte by byte.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::header::COOKIE;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tower::Layer;
use tower_logout::reply;
use tower_logout::store::{Rotation, SessionPolicy, SessionStore};
use tower_logout::{LogoutLayer, MemoryStore, Token, store_fn};

use support::*;

#[tokio::test]
async fn a_valid_token_is_revoked_and_the_answer_is_the_default() {
    let (store, token) = store_with_session().await;
    through_default(store.clone(), logout_with(&token))
        .await
        .assert_is_logged_out();
    assert!(!is_live(&store, &token).await);
}

#[tokio::test]
async fn the_answer_to_any_dead_token_is_the_same_byte_for_byte() {
    let store = MemoryStore::new();
    let valid = open(&store, "alice").await;
    let rotated = open(&store, "bob").await;
    let next = Token::generate().unwrap();
    assert!(matches!(
        store.rotate(&rotated, &next).await.unwrap(),
        Rotation::Rotated(_)
    ));
    let expired_store =
        MemoryStore::new().with_policy(SessionPolicy::new().with_lifetime(Duration::ZERO));
    let expired = open(&expired_store, "carol").await;

    let good = through_default(store.clone(), logout_with(&valid)).await;
    good.assert_is_logged_out();
    let long = "x".repeat(5000);
    let fields: [Option<&[u8]>; 8] = [
        None,
        Some(b"refreshToken=unknown"),
        Some(b"refreshToken="),
        Some(b"refreshToken"),
        Some(b"theme=dark"),
        Some(b"refreshToken=\xff\xfe"),
        Some(long.as_bytes()),
        Some(b"=;;;"),
    ];
    for field in fields {
        let mut request = logout();
        if let Some(field) = field {
            request = request.header(COOKIE, field);
        }
        let request = request.body(Full::default()).unwrap();
        let answer = through_default(store.clone(), request).await;
        assert_eq!(answer.headers, good.headers);
        assert_eq!((answer.status, &answer.body), (good.status, &good.body));
    }
    for (store, token) in [
        (&expired_store, &expired),
        (&store, &valid),
        (&store, &rotated),
    ] {
        let answer = through_default(store.clone(), logout_with(token)).await;
        assert_eq!(answer.headers, good.headers);
        assert_eq!((answer.status, &answer.body), (good.status, &good.body));
    }
    assert!(
        !is_live(&store, &next).await,
        "a rotated token ends its session"
    );
}

#[tokio::test]
async fn a_store_that_fails_is_a_500_that_says_nothing_and_keeps_the_cookies() {
    let failing = store_fn(|_| async { Err("database is on fire at 10.0.0.7".into()) });
    through_default(failing, logout_with(&Token::new("t")))
        .await
        .assert_is_failed_and_keeps_cookies();
}

#[tokio::test]
async fn cookies_are_cleared_on_failure_if_that_is_configured() {
    let failing = store_fn(|_| async { Err("down".into()) });
    let layer = LogoutLayer::builder(failing)
        .clear_cookies_on_failure(true)
        .build()
        .unwrap();
    let answer = through(&layer, logout_with(&Token::new("t"))).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.set_cookies().len(), 2);
}

#[tokio::test]
async fn one_token_that_fails_makes_it_a_500_and_the_others_are_still_revoked() {
    let (memory, token) = store_with_session().await;
    let behind = memory.clone();
    let store = store_fn(move |token: Token| {
        let behind = behind.clone();
        async move {
            if token.expose() == "bad" {
                return Err("down".into());
            }
            tower_logout::TokenStore::revoke(&behind, &token).await
        }
    });
    let cookie = format!("refreshToken=bad; refreshToken={}", token.expose());
    let request = logout()
        .header(COOKIE, cookie)
        .body(Full::default())
        .unwrap();
    through_default(store, request)
        .await
        .assert_is_failed_and_keeps_cookies();
    assert!(!is_live(&memory, &token).await);
}

#[tokio::test]
async fn other_methods_and_other_spellings_reach_the_inner_service() {
    let (store, token) = store_with_session().await;
    let others = [
        ("GET", "/auth/logout"),
        ("HEAD", "/auth/logout"),
        ("OPTIONS", "/auth/logout"),
        ("PUT", "/auth/logout"),
        ("DELETE", "/auth/logout"),
        ("post", "/auth/logout"),
        ("POST", "/auth/logout/"),
        ("POST", "//auth/logout"),
        ("POST", "/auth//logout"),
        ("POST", "/AUTH/LOGOUT"),
        ("POST", "/auth/%6cogout"),
        ("POST", "/auth/./logout"),
        ("POST", "/auth/logout;x"),
        ("POST", "/auth/logoutx"),
        ("POST", "/auth"),
        ("POST", "/"),
    ];
    for (method, uri) in others {
        let mut request = logout_with(&token);
        *request.method_mut() = method.parse().unwrap();
        *request.uri_mut() = uri.parse().unwrap();
        through_default(store.clone(), request)
            .await
            .assert_is_inner();
    }
    assert!(is_live(&store, &token).await);
}

#[tokio::test]
async fn the_query_of_a_logout_is_ignored() {
    let (store, token) = store_with_session().await;
    let mut request = logout_with(&token);
    *request.uri_mut() = "/auth/logout?from=menu".parse().unwrap();
    through_default(store.clone(), request)
        .await
        .assert_is_logged_out();
    assert!(!is_live(&store, &token).await);
}

#[tokio::test]
async fn the_path_can_be_set_and_the_default_path_then_reaches_the_inner_service() {
    let (store, token) = store_with_session().await;
    let layer = LogoutLayer::builder(store).path("/bye").build().unwrap();
    through(&layer, logout_with(&token)).await.assert_is_inner();
    let mut request = logout_with(&token);
    *request.uri_mut() = "/bye".parse().unwrap();
    through(&layer, request).await.assert_is_logged_out();
}

#[tokio::test]
async fn the_answer_does_not_wait_for_the_body() {
    let (store, token) = store_with_session().await;
    let service = LogoutLayer::new(store).layer(tower::service_fn(|_: Request<Endless>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    }));
    let request = logout_with(&token).map(|_| Endless::default());
    send(service, request).await.assert_is_logged_out();
}

#[tokio::test]
async fn a_custom_reply_gets_the_headers_of_every_answer() {
    let (store, token) = store_with_session().await;
    let layer = LogoutLayer::builder(store)
        .reply(reply::from_fn(|outcome| {
            let mut response = Response::new(format!("bye: {}", outcome.status().as_u16()));
            response
                .headers_mut()
                .insert("content-type", "text/plain".parse().unwrap());
            response
        }))
        .build()
        .unwrap();
    let answer = through(&layer, logout_with(&token)).await;
    assert_eq!(answer.body, "bye: 200");
    assert_eq!(answer.headers["content-type"], "text/plain");
    assert_eq!(answer.length, Some(8));
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.set_cookies().len(), 2);
}

#[tokio::test]
async fn the_length_of_a_reply_is_left_to_the_server() {
    let (store, token) = store_with_session().await;
    let layer = LogoutLayer::builder(store)
        .reply(reply::from_fn(|_| {
            let mut response = Response::new("");
            *response.status_mut() = StatusCode::NO_CONTENT;
            response.headers_mut().insert("content-length", 7.into());
            response
        }))
        .build()
        .unwrap();
    let answer = through(&layer, logout_with(&token)).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert!(!answer.headers.contains_key("content-length"));
    assert_eq!(answer.set_cookies().len(), 2);
}

#[tokio::test]
async fn the_endpoint_answers_post_on_any_path_and_405_to_other_methods() {
    let (store, token) = store_with_session().await;
    let endpoint = LogoutLayer::new(store.clone()).endpoint();
    let mut request = logout_with(&token);
    *request.uri_mut() = "/wherever/it/is".parse().unwrap();
    send(endpoint.clone(), request).await.assert_is_logged_out();
    assert!(!is_live(&store, &token).await);

    let answer = send(
        endpoint,
        Request::get("/").body(Full::<Bytes>::default()).unwrap(),
    )
    .await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.headers["allow"], "POST");
}
