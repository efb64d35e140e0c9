//! An access token is refused as soon as its session has ended, and whenever the store cannot tell.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::future::Ready;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, Response, StatusCode};
use tower::limit::ConcurrencyLimitLayer;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_logout::require::{RequireSessionLayer, SessionLookup, session_fn, session_fn_with};
use tower_logout::store::{Rotation, Session, SessionId, SessionStore};
use tower_logout::{
    AuthCookies, BoxError, LogoutLayer, MemoryStore, Revocation, Token, TokenStore, async_trait,
};

use support::*;

fn asking<T: SessionLookup>(store: T) -> RequireSessionLayer<T> {
    RequireSessionLayer::asking(store, |claims: &Claims| &claims.sid)
}

#[tokio::test]
async fn the_access_token_of_a_session_works_until_the_logout_and_not_after() {
    let store = MemoryStore::new();
    let (token, id) = open_session(&store).await;
    let app = LogoutLayer::new(store.clone()).layer(asking(store).layer(inner()));
    send(app.clone(), request_of(Some(id.as_str())))
        .await
        .assert_is_inner();

    send(app.clone(), logout_with(&token))
        .await
        .assert_is_logged_out();
    let answer = send(app.clone(), request_of(Some(id.as_str()))).await;
    answer.assert_session_has_ended();
    assert!(answer.set_cookies().is_empty());
    // The layer is inside of the logout, so a dead session can still log out.
    send(app, logout_with(&token)).await.assert_is_logged_out();
}

#[tokio::test]
async fn a_request_without_a_session_is_refused_unless_that_is_allowed() {
    let store = MemoryStore::new();
    let service = asking(store.clone()).layer(inner());
    let answer = send(service, request_of(None)).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(answer.body, r#"{"error":"Not logged in"}"#);
    assert_eq!(answer.headers["www-authenticate"], "Bearer");
    answer.assert_common_headers();

    let optional = asking(store).optional().layer(inner());
    send(optional.clone(), request_of(None))
        .await
        .assert_is_inner();
    let answer = send(optional, request_of(Some("ended"))).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_handler_finds_the_session_in_the_extensions() {
    let store = MemoryStore::new();
    let (_, id) = open_session(&store).await;
    let subject = service_fn(|request: Request<TestBody>| async move {
        let session = request.extensions().get::<Session>().unwrap();
        Ok::<_, BoxError>(Response::new(session.subject.clone()))
    });
    let answer = send(asking(store).layer(subject), request_of(Some(id.as_str()))).await;
    assert_eq!(answer.body, "alice");
}

/// What a look-up of one's own finds.
#[derive(Clone)]
struct User(&'static str);

/// The handler behind a look-up of one's own. It also needs the claims of the request.
async fn user(request: Request<TestBody>) -> Result<Response<String>, BoxError> {
    let User(name) = request.extensions().get().unwrap();
    let claims = request.extensions().get::<Claims>().unwrap();
    Ok(Response::new(format!("{name} in {}", claims.sid)))
}

#[tokio::test]
async fn a_closure_looks_the_session_up_in_a_table_of_ones_own() {
    let rows = Arc::new(Mutex::new(BTreeMap::from([("1f0c", "alice")])));
    let sessions = session_fn_with(Arc::clone(&rows), |rows, id| async move {
        Ok(rows.lock().unwrap().get(id.as_str()).copied().map(User))
    });
    let service = asking(sessions).layer(service_fn(user));
    let live = send(service.clone(), request_of(Some("1f0c"))).await;
    assert_eq!(live.body, "alice in 1f0c");

    rows.lock().unwrap().clear();
    let ended = send(service, request_of(Some("1f0c"))).await;
    assert_eq!(ended.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_head_names_a_session_by_a_part_of_its_claims() {
    let sessions =
        session_fn(|id| async move { Ok((id.as_str() == "alice").then_some(User("alice"))) });
    let layer = RequireSessionLayer::asking_by(sessions, |head| {
        let claims = head.extensions.get::<Claims>()?;
        let (subject, _) = claims.sid.split_once(':')?;
        Some(Cow::Borrowed(subject))
    });
    let service = layer.layer(service_fn(user));
    let live = send(service.clone(), request_of(Some("alice:7"))).await;
    assert_eq!(live.body, "alice in alice:7");
    let none = send(service, request_of(Some("alice"))).await;
    assert_eq!(none.body, r#"{"error":"Not logged in"}"#);
}

#[tokio::test]
async fn the_refusal_of_an_ended_session_can_remove_its_cookies() {
    let layer = asking(MemoryStore::new()).clear_cookies(&AuthCookies::default());
    let service = layer.layer(inner());
    let ended = send(service.clone(), request_of(Some("ended"))).await;
    assert_eq!(ended.set_cookies().len(), 2);
    let missing = send(service, request_of(None)).await;
    assert!(missing.set_cookies().is_empty());
}

#[tokio::test]
async fn a_grpc_call_is_refused_in_grpc() {
    let call = |sid| {
        let mut request = request_of(sid);
        let grpc = "application/grpc".parse().unwrap();
        request.headers_mut().insert("content-type", grpc);
        request
    };
    let status = async |store: Faulty, sid| {
        let answer = send(asking(store).layer(inner()), call(sid)).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.headers["content-type"], "application/grpc");
        assert!(answer.headers.contains_key("grpc-message"));
        answer.headers["grpc-status"].to_str().unwrap().to_owned()
    };
    assert_eq!(status(Faulty::new(Fault::Ended), Some("ended")).await, "16");
    assert_eq!(status(Faulty::new(Fault::Ended), None).await, "16");
    assert_eq!(status(Faulty::new(Fault::Error), Some("any")).await, "14");
}

#[derive(Clone, Copy)]
enum Fault {
    Ended,
    Error,
    Panic,
    Hang,
}

impl Fault {
    async fn look_up(self) -> Result<Option<Session>, BoxError> {
        match self {
            Self::Ended => Ok(None),
            Self::Error => Err("disk full".into()),
            Self::Panic => panic!("the store panics"),
            Self::Hang => std::future::pending().await,
        }
    }
}

/// A store that fails every look-up, and counts them.
#[derive(Clone)]
struct Faulty {
    fault: Fault,
    asked: Arc<AtomicUsize>,
}

impl Faulty {
    fn new(fault: Fault) -> Self {
        let asked = Arc::default();
        Self { fault, asked }
    }
}

#[async_trait]
impl TokenStore for Faulty {
    async fn revoke(&self, _: &Token) -> Result<Revocation, BoxError> {
        Ok(Revocation::NotFound)
    }
}

#[async_trait]
impl SessionStore for Faulty {
    async fn open(&self, _: &str, _: &Token) -> Result<Session, BoxError> {
        Err("not part of the test".into())
    }

    async fn rotate(&self, _: &Token, _: &Token) -> Result<Rotation, BoxError> {
        Ok(Rotation::NotFound)
    }

    async fn find(&self, _: &Token) -> Result<Option<Session>, BoxError> {
        Ok(None)
    }

    async fn find_session(&self, _: &SessionId) -> Result<Option<Session>, BoxError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.fault.look_up().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_tell_lets_no_request_pass() {
    for fault in [Fault::Error, Fault::Panic, Fault::Hang] {
        let store = Faulty::new(fault);
        let layer = asking(store.clone())
            .optional()
            .timeout(Duration::from_secs(1));
        let answer = send(layer.layer(inner()), request_of(Some("any"))).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(
            answer.body,
            r#"{"error":"The session cannot be checked: try again"}"#
        );
        assert_eq!(answer.headers["retry-after"], "1");
        answer.assert_common_headers();
        assert_eq!(store.asked.load(Ordering::Relaxed), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_closure_that_cannot_tell_lets_no_request_pass() {
    for fault in [Fault::Error, Fault::Panic, Fault::Hang] {
        let during = session_fn(move |_| fault.look_up());
        assert_unavailable(during).await;
    }
    assert_unavailable(session_fn(|_| -> Ready<Result<Option<()>, BoxError>> {
        panic!("before the future")
    }))
    .await;
}

async fn assert_unavailable(sessions: impl SessionLookup) {
    let layer = asking(sessions).timeout(Duration::from_secs(1));
    let answer = send(layer.layer(inner()), request_of(Some("any"))).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers["retry-after"], "1");
}

#[tokio::test]
async fn the_service_that_is_called_is_the_one_that_was_ready() {
    let store = MemoryStore::new();
    let (_, id) = open_session(&store).await;
    // A clone of this service has no permit, and panics when it is called without being ready.
    let limited = ConcurrencyLimitLayer::new(1).layer(inner());
    let mut service = asking(store).layer(limited);
    for _ in 0..3 {
        let answer = service
            .ready()
            .await
            .unwrap()
            .call(request_of(Some(id.as_str())));
        assert_eq!(answer.await.unwrap().status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn no_session_id_is_in_a_debug() {
    let store = MemoryStore::new();
    let (_, id) = open_session(&store).await;
    let layer = asking(store);
    let service = layer.layer(service_fn(|_: Request<TestBody>| async {
        Ok::<_, BoxError>(Response::new(String::new()))
    }));
    let answer = service.clone().oneshot(request_of(Some(id.as_str())));
    let text = format!("{layer:?} {answer:?}");
    assert!(!text.contains(id.as_str()), "{text}");
}
