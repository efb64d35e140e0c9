//! The number of allocations of the layer.

#![allow(clippy::unwrap_used)]

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use allocation_counter::measure;
use bytes::Bytes;
use futures::future::ready;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, Service, service_fn};
use tower_logout::require::RequireSessionLayer;
use tower_logout::store::SessionStore;
use tower_logout::{LogoutLayer, MemoryStore, Token};

type TestBody = Full<Bytes>;

fn service()
-> impl Service<Request<TestBody>, Response = Response<TestBody>, Error = Infallible> + Clone {
    service_fn(|_| ready(Ok(Response::new(Full::from("inner")))))
}

/// Polls a future that is ready at once.
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("ready at once"),
    }
}

fn logout_request(token: &Token, neighbours: usize) -> Request<TestBody> {
    let mut cookies = "theme=dark; ".repeat(neighbours);
    cookies.push_str("refreshToken=");
    cookies.push_str(token.expose());
    Request::post("/auth/logout")
        .header("content-type", "application/json")
        .header("cookie", cookies)
        .body(Full::default())
        .unwrap()
}

#[test]
fn a_request_that_passes_allocates_nothing() {
    let mut service = LogoutLayer::new(MemoryStore::new()).layer(service());
    for request in [
        Request::get("/me").body(Full::default()).unwrap(),
        Request::post("/auth/login").body(Full::default()).unwrap(),
    ] {
        let mut request = Some(request);
        let counted = measure(|| {
            let response = now(service.call(request.take().unwrap())).unwrap();
            drop(response);
        });
        assert_eq!(counted.count_total, 0);
    }
}

#[test]
fn a_logout_allocates_at_most_eight_times_with_any_cookies() {
    let store = MemoryStore::new();
    let mut service = LogoutLayer::new(store.clone()).layer(service());
    let mut log_out = |neighbours| {
        let token = Token::generate().unwrap();
        now(store.open("alice", &token)).unwrap();
        let mut request = Some(logout_request(&token, neighbours));
        let counted = measure(|| {
            let response = now(service.call(request.take().unwrap())).unwrap();
            assert_eq!(response.status(), 200);
            drop(response);
        });
        assert!(now(store.find(&token)).unwrap().is_none());
        counted.count_total
    };
    // The first logout shares the header values, which needs allocations once.
    log_out(0);
    for neighbours in [0, 1, 400] {
        let allocations = log_out(neighbours);
        assert!(
            allocations <= 8,
            "{allocations} with {neighbours} neighbours"
        );
    }
}

#[test]
fn a_look_up_of_a_session_in_memory_allocates_at_most_seven_times() {
    let store = MemoryStore::new();
    let token = Token::generate().unwrap();
    let id = now(store.open("alice", &token)).unwrap().id;
    let layer = RequireSessionLayer::asking(store, |sid: &String| sid);
    let mut service = layer.layer(service());
    let mut request = Request::get("/me").body(Full::default()).unwrap();
    request.extensions_mut().insert(id.to_string());
    let mut request = Some(request);
    let counted = measure(|| {
        let response = now(service.call(request.take().unwrap())).unwrap();
        assert_eq!(response.status(), 200);
        drop(response);
    });
    assert!(counted.count_total <= 7, "{}", counted.count_total);
}

#[test]
fn a_rotated_token_takes_less_than_400_bytes_in_the_memory_store() {
    const ROTATIONS: i64 = 1000;
    let store = MemoryStore::new();
    let mut token = Token::generate().unwrap();
    now(store.open("alice", &token)).unwrap();
    let counted = measure(|| {
        for _ in 0..ROTATIONS {
            let next = Token::generate().unwrap();
            now(store.rotate(&token, &next)).unwrap();
            token = next;
        }
    });
    let bytes = counted.bytes_current / ROTATIONS;
    assert!(bytes < 400, "{bytes}");
}

#[cfg(feature = "ended")]
#[test]
fn a_request_whose_session_is_checked_allocates_nothing() {
    use tower_logout::ended::EndedSessions;
    use tower_logout::require::RequireSessionLayer;

    #[derive(Clone)]
    struct Claims(&'static str);

    let (ended, following) = EndedSessions::builder().follow(MemoryStore::new().ended_log());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        tokio::spawn(following);
        ended.ready().await;
    });
    let layer = RequireSessionLayer::new(&ended, |claims: &Claims| claims.0);
    let mut service = layer.layer(service());
    let request = || {
        let mut request = Request::get("/me").body(Full::default()).unwrap();
        request.extensions_mut().insert(Claims("1f0c"));
        request
    };
    // The first check of a thread allocates once for all.
    now(service.call(request())).unwrap();
    let mut request = Some(request());
    let counted = measure(|| {
        let response = now(service.call(request.take().unwrap())).unwrap();
        assert_eq!(response.status(), 200);
        drop(response);
    });
    assert_eq!(counted.count_total, 0);
}
