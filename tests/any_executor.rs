//! Without tokio, on another executor, a logout works but does not outlive its request.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::convert::Infallible;

use bytes::Bytes;
use futures::executor::block_on;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tower::{Layer, ServiceExt, service_fn};
use tower_logout::store::SessionStore;
use tower_logout::{LogoutLayer, MemoryStore, Outcome, Revocation, Token, TokenStore, store_fn};

/// The status, the body and the outcome of a logout with this token.
fn log_out(store: impl TokenStore, token: &Token) -> (u16, Bytes, Option<Outcome>) {
    let service = LogoutLayer::new(store).layer(service_fn(|_| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    }));
    let request = Request::post("/auth/logout")
        .header("content-type", "application/json")
        .header("cookie", format!("refreshToken={}", token.expose()))
        .body(())
        .unwrap();
    block_on(async {
        let (parts, body) = service.oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let outcome = parts.extensions.get().cloned();
        (parts.status.as_u16(), body, outcome)
    })
}

#[test]
fn a_logout_ends_the_session() {
    let store = MemoryStore::new();
    let token = Token::generate().unwrap();
    block_on(store.open("alice", &token)).unwrap();
    let (status, body, outcome) = log_out(store.clone(), &token);
    assert_eq!(
        (status, &*body),
        (200, &br#"{"message":"Logged out successfully"}"#[..])
    );
    assert!(
        matches!(outcome, Some(Outcome::Revoked { .. })),
        "{outcome:?}"
    );
    assert_eq!(block_on(store.find(&token)).unwrap(), None);
}

#[test]
fn a_store_that_is_pending_is_waited_for() {
    let store = store_fn(|_| async {
        let mut polls = 0;
        futures::future::poll_fn(|cx| {
            polls += 1;
            cx.waker().wake_by_ref();
            match polls {
                1..4 => std::task::Poll::Pending,
                _ => std::task::Poll::Ready(Ok(Revocation::Revoked)),
            }
        })
        .await
    });
    assert_eq!(log_out(store, &Token::new("t")).0, 200);
}

#[test]
fn a_store_that_fails_or_panics_is_a_500() {
    let fails = store_fn(|_| async { Err("down".into()) });
    let panics = store_fn(|_| async { panic!("down") });
    let token = Token::new("t");
    for (status, body, _) in [log_out(fails, &token), log_out(panics, &token)] {
        assert_eq!(
            (status, &*body),
            (500, &br#"{"error":"Error logging out"}"#[..])
        );
    }
}
