//! The number of allocations of the layer.

#![allow(clippy::unwrap_used)]

use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use allocation_counter::measure;
use bytes::Bytes;
use futures::future::ready;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, Service, service_fn};
use tower_logout::require::{NoStore, RequireSessionLayer};
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
mod with_ended_sessions {
    use tower_logout::ended::EndedSessions;
    use tower_logout::require::ResponseBody;
    use tower_logout::store::SessionId;

    use super::*;

    #[derive(Clone)]
    struct Claims(&'static str);

    fn follow() -> EndedSessions {
        let (ended, following) = EndedSessions::builder().follow(MemoryStore::new().ended_log());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            tokio::spawn(following);
            ended.ready().await;
        });
        // Without the task that follows the log, the sessions would be stale.
        std::mem::forget(runtime);
        ended
    }

    fn layer(ended: &EndedSessions) -> RequireSessionLayer<NoStore> {
        RequireSessionLayer::new(ended, |claims: &Claims| claims.0)
    }

    fn request(session: &'static str) -> Request<TestBody> {
        let mut request = Request::get("/me").body(Full::default()).unwrap();
        request.extensions_mut().insert(Claims(session));
        request
    }

    #[test]
    fn a_request_whose_session_is_checked_allocates_nothing() {
        let mut service = layer(&follow()).layer(service());
        // The first check of a thread allocates once for all.
        now(service.call(request("1f0c"))).unwrap();
        let mut request = Some(request("1f0c"));
        let counted = measure(|| {
            let response = now(service.call(request.take().unwrap())).unwrap();
            assert_eq!(response.status(), 200);
            drop(response);
        });
        assert_eq!(counted.count_total, 0);
    }

    /// A body that neither ends nor has a known size.
    #[derive(Default)]
    struct Endless;

    impl http_body::Body for Endless {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
            Poll::Pending
        }
    }

    fn poll(body: &mut ResponseBody<Endless>) -> Poll<bool> {
        let mut context = Context::from_waker(Waker::noop());
        let frame = http_body::Body::poll_frame(Pin::new(body), &mut context);
        frame.map(|frame| frame.is_some())
    }

    #[test]
    fn a_request_whose_stream_ends_with_its_session_allocates_four_times() {
        let ended = follow();
        let endless = service_fn(|_| ready(Ok::<_, Infallible>(Response::new(Endless))));
        let mut service = layer(&ended).end_streams().layer(endless);
        // The first one makes room for the sessions.
        let mut open = |session| {
            let mut request = Some(request(session));
            let mut body = None;
            let counted = measure(|| {
                let response = now(service.call(request.take().unwrap())).unwrap();
                body = Some(response.into_body());
                assert_eq!(poll(body.as_mut().unwrap()), Poll::Pending);
            });
            (body, counted.count_total)
        };
        let (_first, _) = open("1f0c");
        let (mut body, allocations) = open("2e1d");
        assert_eq!(allocations, 4);
        ended.end(&SessionId::new("2e1d"));
        assert_eq!(poll(body.as_mut().unwrap()), Poll::Ready(false));
    }

    #[test]
    fn streams_that_have_ended_leave_nothing_behind() {
        const STREAMS: usize = 10_000;
        let ended = follow();
        let open = |range: std::ops::Range<usize>| -> Vec<_> {
            let ids = range.map(|id| (id % 5_000).to_string());
            ids.map(|id| ended.watch(&id)).collect()
        };
        // The first ones make room.
        drop(open(0..100));
        let counted = measure(|| {
            let signals = open(0..STREAMS);
            for id in 0..100 {
                ended.end(&SessionId::new(id.to_string()));
            }
            drop(signals);
        });
        // A session that has ended is remembered in 21 bytes at most, and its shard in a little more.
        assert!(counted.bytes_max > 1_000_000, "{counted:?}");
        assert!(counted.bytes_current < 30_000, "{counted:?}");
    }
}
