//! Requests, stores and servers for the tests.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod gate;
pub mod log;
pub mod race;
pub mod server;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::response::AppendHeaders;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, SET_COOKIE};
use http::{HeaderName, Request, Response, StatusCode, request};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use tower::util::BoxCloneService;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_logout::outcome::FailureKind;
use tower_logout::store::{SessionId, SessionStore};
use tower_logout::{AuthCookies, LogoutLayer, MemoryStore, Outcome, Token, TokenStore};

pub type TestBody = Full<Bytes>;
pub type Inner = BoxCloneService<Request<TestBody>, Response<TestBody>, Infallible>;

/// An inner service that answers every request with "inner".
pub fn inner() -> Inner {
    BoxCloneService::new(service_fn(|_| async {
        Ok(Response::new(Full::from("inner")))
    }))
}

/// A store with one session of alice, and the token of the session.
pub async fn store_with_session() -> (MemoryStore, Token) {
    let store = MemoryStore::new();
    let token = open(&store, "alice").await;
    (store, token)
}

pub async fn open(store: &dyn SessionStore, subject: &str) -> Token {
    let token = Token::generate().unwrap();
    store.open(subject, &token).await.unwrap();
    token
}

/// Opens a session of alice, and returns its token and its id.
pub async fn open_session(store: &dyn SessionStore) -> (Token, SessionId) {
    let token = Token::generate().unwrap();
    let session = store.open("alice", &token).await.unwrap();
    (token, session.id)
}

pub async fn is_live(store: &dyn SessionStore, token: &Token) -> bool {
    store.find(token).await.unwrap().is_some()
}

/// The `Set-Cookie` headers of a login with this token.
pub fn login(cookies: &AuthCookies, token: &str) -> AppendHeaders<[(HeaderName, String); 2]> {
    AppendHeaders([
        (SET_COOKIE, cookies.access("a").to_string()),
        (SET_COOKIE, cookies.refresh(token).to_string()),
    ])
}

/// A `POST /auth/logout` with the default content type and no cookie.
pub fn logout() -> request::Builder {
    Request::post("/auth/logout").header(CONTENT_TYPE, "application/json")
}

pub fn logout_with(token: &Token) -> Request<TestBody> {
    logout()
        .header(COOKIE, format!("refreshToken={}", token.expose()))
        .body(Full::default())
        .unwrap()
}

/// The claims of a verified access token.
#[derive(Clone)]
pub struct Claims {
    pub sid: String,
}

/// A request with the claims of an access token, if any.
pub fn request_of(sid: Option<&str>) -> Request<TestBody> {
    let mut request = Request::get("/me").body(Full::default()).unwrap();
    if let Some(sid) = sid {
        let sid = sid.to_owned();
        request.extensions_mut().insert(Claims { sid });
    }
    request
}

/// A request body that never yields a frame and never ends, and counts its polls.
#[derive(Clone, Default)]
pub struct Endless(Arc<AtomicUsize>);

impl Endless {
    pub fn polls(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Poll::Pending
    }
}

/// An answer with its complete body.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: http::HeaderMap,
    pub body: String,
    /// The exact size of the body, which becomes the `Content-Length`.
    pub length: Option<u64>,
    pub outcome: Option<Outcome>,
}

impl Answer {
    pub fn set_cookies(&self) -> Vec<&str> {
        self.headers
            .get_all(SET_COOKIE)
            .iter()
            .map(|value| value.to_str().unwrap())
            .collect()
    }

    pub fn assert_is_logged_out(&self) {
        assert_eq!(self.status, StatusCode::OK);
        assert_eq!(self.body, r#"{"message":"Logged out successfully"}"#);
        self.assert_common_headers();
        assert_eq!(
            self.set_cookies(),
            [
                "accessToken=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; \
                 HttpOnly; SameSite=Lax",
                "refreshToken=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; \
                 HttpOnly; SameSite=Lax",
            ]
        );
    }

    pub fn assert_is_failed_and_keeps_cookies(&self) {
        assert_eq!(self.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(self.body, r#"{"error":"Error logging out"}"#);
        self.assert_common_headers();
        assert!(self.set_cookies().is_empty());
    }

    pub fn assert_common_headers(&self) {
        assert_eq!(self.headers["content-type"], "application/json");
        assert_eq!(self.headers["cache-control"], "no-store");
        assert_eq!(self.length, Some(self.body.len() as u64));
    }

    pub fn assert_session_has_ended(&self) {
        assert_eq!(self.status, StatusCode::UNAUTHORIZED);
        assert_eq!(self.body, r#"{"error":"The session has ended"}"#);
        assert_eq!(
            self.headers["www-authenticate"],
            r#"Bearer error="invalid_token", error_description="The session has ended""#
        );
        self.assert_common_headers();
    }

    /// The token sources of the outcome.
    pub fn token_sources(&self) -> String {
        self.outcome.as_ref().unwrap().token_sources().to_string()
    }

    pub fn assert_is_inner(&self) {
        assert_eq!((self.status, &*self.body), (StatusCode::OK, "inner"));
        assert!(self.outcome.is_none());
    }
}

/// Sends one request through a service.
pub async fn send<S, ReqBody, ResBody>(service: S, request: Request<ReqBody>) -> Answer
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    S::Error: std::fmt::Debug,
    ResBody: Body,
    ResBody::Error: std::fmt::Debug,
{
    let response = service.oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let length = body.size_hint().exact();
    let body = body.collect().await.unwrap().to_bytes();
    Answer {
        length,
        status: parts.status,
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
        outcome: parts.extensions.get::<Outcome>().cloned(),
    }
}

/// Sends one request through a layer with the defaults.
pub async fn through_default<T: TokenStore>(store: T, request: Request<TestBody>) -> Answer {
    through(&LogoutLayer::new(store), request).await
}

pub async fn through<T: TokenStore>(layer: &LogoutLayer<T>, request: Request<TestBody>) -> Answer {
    send(layer.layer(inner()), request).await
}

/// The category of a failed logout.
pub fn failure(answer: &Answer) -> FailureKind {
    match &answer.outcome {
        Some(Outcome::Failed(failure)) => failure.kind(),
        other => panic!("the logout did not fail: {other:?}"),
    }
}

/// A shared `Vec`, for example for the outcomes that a callback got.
pub type Shared<T> = Arc<std::sync::Mutex<Vec<T>>>;
