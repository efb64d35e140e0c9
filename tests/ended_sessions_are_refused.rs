//! A request is refused by what its node knows of ended sessions, without a question to the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_logout::ended::{Cursor, EndedLog, EndedSessions, Page};
use tower_logout::require::{NoStore, RequireSessionLayer, SessionLookup};
use tower_logout::store::SessionId;
use tower_logout::{AuthCookies, BoxError, LogoutLayer, MemoryStore, TokenStore, async_trait};

use support::*;

fn require(ended: &EndedSessions) -> RequireSessionLayer<NoStore> {
    RequireSessionLayer::new(ended, |claims: &Claims| &claims.sid)
}

async fn following(store: &MemoryStore) -> EndedSessions {
    let (ended, following) = EndedSessions::builder().follow(store.ended_log());
    tokio::spawn(following);
    ended.ready().await;
    ended
}

/// The ended sessions of a node that has never read the log.
fn stale() -> EndedSessions {
    EndedSessions::builder()
        .follow(MemoryStore::new().ended_log())
        .0
}

#[tokio::test]
async fn an_access_token_works_until_the_logout_and_not_after() {
    let store = MemoryStore::new();
    let ended = following(&store).await;
    let (token, id) = open_session(&store).await;
    let logout = LogoutLayer::builder(store).ended(&ended).build().unwrap();
    let app = logout.layer(require(&ended).layer(inner()));
    send(app.clone(), request_of(Some(id.as_str())))
        .await
        .assert_is_inner();
    send(app.clone(), logout_with(&token))
        .await
        .assert_is_logged_out();

    let answer = send(app.clone(), request_of(Some(id.as_str()))).await;
    answer.assert_session_has_ended();
    send(app, logout_with(&token)).await.assert_is_logged_out();
}

#[tokio::test]
async fn a_request_without_a_session_is_refused_unless_that_is_allowed() {
    let ended = following(&MemoryStore::new()).await;
    let answer = send(require(&ended).layer(inner()), request_of(None)).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(answer.headers["www-authenticate"], "Bearer");
    answer.assert_common_headers();
    send(require(&ended).optional().layer(inner()), request_of(None))
        .await
        .assert_is_inner();
}

#[tokio::test]
async fn a_stale_node_answers_503_and_lets_nothing_pass() {
    let layer = require(&stale());
    let answer = send(layer.layer(inner()), request_of(Some("a"))).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers["retry-after"], "1");
    assert!(!answer.headers.contains_key("www-authenticate"));
    answer.assert_common_headers();
    let answer = send(layer.clone().layer(inner()), request_of(None)).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);

    let mut grpc = request_of(Some("a"));
    let content_type = "application/grpc".parse().unwrap();
    grpc.headers_mut().insert("content-type", content_type);
    let answer = send(layer.layer(inner()), grpc).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers["grpc-status"], "14");
}

#[tokio::test]
async fn a_stale_node_can_ask_the_store() {
    let store = MemoryStore::new();
    let (token, id) = open_session(&store).await;
    let service = require(&stale())
        .when_stale_ask(store.clone())
        .layer(inner());
    send(service.clone(), request_of(Some(id.as_str())))
        .await
        .assert_is_inner();
    store.revoke(&token).await.unwrap();
    let answer = send(service, request_of(Some(id.as_str()))).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

/// Counts its calls, and knows each session.
#[derive(Clone, Default)]
struct Counted(Arc<AtomicUsize>);

#[async_trait]
impl SessionLookup for Counted {
    type Session = ();

    async fn look_up(&self, _: &SessionId) -> Result<Option<()>, BoxError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(Some(()))
    }
}

#[tokio::test]
async fn a_fresh_node_asks_nobody() {
    let ended = following(&MemoryStore::new()).await;
    let asked = Counted::default();
    let service = require(&ended).when_stale_ask(asked.clone()).layer(inner());
    send(service.clone(), request_of(Some("a")))
        .await
        .assert_is_inner();
    ended.end(&SessionId::new("a"));
    let answer = send(service, request_of(Some("a"))).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(asked.0.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn the_refusal_of_an_ended_session_can_remove_its_cookies() {
    let ended = following(&MemoryStore::new()).await;
    ended.end(&SessionId::new("a"));
    let layer = require(&ended).clear_cookies(&AuthCookies::default());
    let answer = send(layer.layer(inner()), request_of(Some("a"))).await;
    assert_eq!(answer.set_cookies().len(), 2);
}

#[tokio::test]
async fn the_service_that_is_called_is_the_one_that_was_ready() {
    let ended = following(&MemoryStore::new()).await;
    let service = tower::limit::ConcurrencyLimit::new(inner(), 1);
    let mut service = require(&ended).layer(service);
    for _ in 0..3 {
        let ready = service.ready().await.unwrap();
        let response: Response<_> = ready.call(request_of(Some("a"))).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
}

/// What a request adds to the future of the inner service.
#[tokio::test]
async fn the_future_of_a_request_grows_by_32_bytes_at_most() {
    let ended = following(&MemoryStore::new()).await;
    let inner = service_fn(|_: Request<TestBody>| {
        let answer = [0_u8; 512];
        async move {
            tokio::task::yield_now().await;
            Ok::<_, BoxError>(Response::new(Full::<bytes::Bytes>::from(answer.to_vec())))
        }
    });
    let bare = size_of_val(&inner.clone().call(request_of(None)));
    let checked = size_of_val(&require(&ended).layer(inner).call(request_of(Some("a"))));
    assert!(checked <= bare + 32, "{checked} > {bare} + 32");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_100_000_checks_after_a_logout_none_passes() {
    let store = MemoryStore::new();
    let log = store.ended_log();
    race::check_and_log_out(store, log).await;
}

/// A log whose first read waits, and then has one session.
struct Slow(Arc<tokio::sync::Semaphore>);

#[async_trait]
impl EndedLog for Slow {
    async fn read(&self, _: Option<&Cursor>) -> Result<Page, BoxError> {
        self.0.acquire().await?.forget();
        let ended = vec![(SessionId::new("a"), Duration::from_secs(60))];
        Ok(Page::new(ended, Cursor::new("1")))
    }

    fn retention(&self) -> Duration {
        Duration::from_secs(60)
    }
}

#[tokio::test]
async fn the_first_answer_comes_after_the_first_read() {
    let reads = Arc::new(tokio::sync::Semaphore::new(0));
    let (ended, following) = EndedSessions::builder().follow(Slow(Arc::clone(&reads)));
    tokio::spawn(following);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let service = require(&ended).layer(inner());
    let answer = send(service.clone(), request_of(Some("a"))).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    reads.add_permits(1);
    ended.ready().await;
    let answer = send(service, request_of(Some("a"))).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}
