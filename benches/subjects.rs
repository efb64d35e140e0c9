//! The services of the benches: a bare service, the service with the layer, and a handler written by hand.
//! All use the same simple store.

#![allow(clippy::expect_used)]

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
#[cfg(feature = "ended")]
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use axum_extra::extract::CookieJar;
use axum_extra::extract::cookie::Cookie;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use tower::{Layer, Service, service_fn};
#[cfg(feature = "ended")]
use tower_logout::ended::EndedSessions;
use tower_logout::require::RequireSessionLayer;
use tower_logout::store::{SessionId, SessionStore};
use tower_logout::{
    BoxError, LogoutLayer, MemoryStore, Revocation, Token, TokenSource, TokenStore, async_trait,
};

pub type BenchBody = Full<Bytes>;

/// Sessions by their tokens. Clones share the sessions.
#[derive(Clone, Default)]
pub struct BenchStore {
    sessions: Arc<Mutex<HashMap<String, SessionId>>>,
}

impl BenchStore {
    fn sessions(&self) -> MutexGuard<'_, HashMap<String, SessionId>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TokenStore for BenchStore {
    async fn revoke(&self, token: &Token) -> Result<Revocation, BoxError> {
        Ok(match self.sessions().remove(token.expose()) {
            Some(id) => Revocation::Sessions(id.into()),
            None => Revocation::NotFound,
        })
    }
}

/// A service whose future holds the request, like the future of any handler.
pub fn bare()
-> impl Service<Request<BenchBody>, Response = Response<BenchBody>, Error = Infallible> + Clone {
    service_fn(|request: Request<BenchBody>| async move {
        let (_, body) = request.into_parts();
        Ok(Response::new(body))
    })
}

pub fn layered(
    store: BenchStore,
) -> impl Service<Request<BenchBody>, Response: Send, Error = Infallible> + Clone {
    LogoutLayer::new(store).layer(bare())
}

/// The layer of a gRPC server, with tokens in metadata and answers with trailers.
pub fn layered_for_grpc(
    store: BenchStore,
) -> impl Service<Request<BenchBody>, Response: Send, Error = Infallible> + Clone {
    let layer = LogoutLayer::builder(store)
        .grpc()
        .token_source(TokenSource::bearer())
        .build();
    layer.expect("a valid layer").layer(bare())
}

/// The layer for clients that store their token themselves.
pub fn layered_for_bearer(
    store: BenchStore,
) -> impl Service<Request<BenchBody>, Response: Send, Error = Infallible> + Clone {
    let layer = LogoutLayer::builder(store)
        .token_source(TokenSource::bearer())
        .build();
    layer.expect("a valid layer").layer(bare())
}

/// The claims of a verified access token.
#[derive(Clone)]
pub struct Claims {
    pub sid: String,
}

/// The layer that asks the store for the session of each request.
pub fn requiring(
    store: MemoryStore,
) -> impl Service<Request<BenchBody>, Response: Send, Error = Infallible> + Clone {
    RequireSessionLayer::asking(store, |claims: &Claims| &claims.sid).layer(bare())
}

/// An Axum router with one route.
pub fn router() -> Router {
    Router::new().route("/me", get(async || "me"))
}

/// The layer as `Router::layer` adds it.
pub fn layered_router(store: BenchStore) -> Router {
    router().layer(LogoutLayer::new(store))
}

/// The layer around the finished router.
pub fn wrapped_router(
    store: BenchStore,
) -> impl Service<Request<Body>, Response: Send, Error = Infallible> + Clone {
    LogoutLayer::new(store).layer(router())
}

/// A handler with axum, axum-extra's `CookieJar` and `Json`.
pub fn by_hand(store: BenchStore) -> Router {
    async fn handler(
        State(store): State<BenchStore>,
        jar: CookieJar,
    ) -> (StatusCode, CookieJar, Json<Value>) {
        if let Some(cookie) = jar.get("refreshToken") {
            let revoked = store.revoke(&Token::new(cookie.value())).await;
            if revoked.is_err() {
                let body = Json(json!({ "error": "Error logging out" }));
                return (StatusCode::INTERNAL_SERVER_ERROR, jar, body);
            }
        }
        let jar = jar
            .remove(Cookie::build("accessToken").path("/"))
            .remove(Cookie::build("refreshToken").path("/"));
        let body = Json(json!({ "message": "Logged out successfully" }));
        (StatusCode::OK, jar, body)
    }
    Router::new()
        .route("/auth/logout", post(handler))
        .with_state(store)
}

pub fn other_request(method: Method) -> Request<BenchBody> {
    Request::builder()
        .method(method)
        .uri("/me")
        .header("cookie", "refreshToken=t; theme=dark")
        .body(Full::default())
        .expect("a valid request")
}

/// A request with the access token of a live session.
pub fn session_request(store: &MemoryStore) -> Request<BenchBody> {
    let token = Token::generate().expect("a random source");
    let session = futures::executor::block_on(store.open("alice", &token));
    request_in(session.expect("a session").id.to_string())
}

/// A request with the access token of this session.
pub fn request_in(sid: String) -> Request<BenchBody> {
    let mut request = other_request(Method::GET);
    request.extensions_mut().insert(Claims { sid });
    request
}

/// A node that has read its log, and knows no ended session.
#[cfg(feature = "ended")]
pub fn fresh_node() -> EndedSessions {
    let (ended, following) = EndedSessions::builder()
        .max_staleness(Duration::from_secs(24 * 3600))
        .follow(MemoryStore::new().ended_log());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        tokio::spawn(following);
        ended.ready().await;
    });
    // Without the task that follows the log, the sessions would be stale.
    std::mem::forget(runtime);
    ended
}

/// The id of a session.
#[cfg(feature = "ended")]
pub fn id(number: usize) -> String {
    format!("{number:032x}")
}

/// The cookies of a logout request.
#[derive(Clone, Copy, Debug)]
pub enum Cookies {
    /// The token alone.
    One,
    /// This number of cookies of 20 bytes in one field, with the token in the middle.
    Field(usize),
    /// An access token of this many bytes of base64 before the token, in one field.
    Base64(usize),
    /// This number of fields with one cookie each.
    Fields(usize),
}

/// Opens a session in the store and returns its token.
fn open(store: &BenchStore) -> Token {
    let token = Token::generate().expect("a random source");
    let id = SessionId::generate().expect("a random source");
    store.sessions().insert(token.expose().into(), id);
    token
}

/// Random text with all 64 digits of base64.
fn base64(bytes: usize) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut state = 1_u32;
    let digits = (0..bytes).map(|_| {
        // The constants of the generator in Numerical Recipes.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(DIGITS[(state >> 26) as usize])
    });
    digits.collect()
}

/// A logout of an open session with the token in a cookie.
pub fn logout_request(store: &BenchStore, cookies: Cookies) -> Request<BenchBody> {
    let token = open(store);
    let mine = format!("refreshToken={}", token.expose());
    let other = |n| format!("cookie{n:04}=12345678");
    let fields = match cookies {
        Cookies::One => vec![mine],
        Cookies::Field(count) => {
            let mut pairs: Vec<_> = (0..count).map(other).collect();
            pairs.insert(count / 2, mine);
            vec![pairs.join("; ")]
        }
        Cookies::Base64(bytes) => vec![format!("accessToken={}; {mine}", base64(bytes))],
        Cookies::Fields(count) => (0..count).map(other).chain([mine]).collect(),
    };
    let headers = [
        (HOST, "localhost:3000"),
        (ACCEPT, "application/json"),
        (CONTENT_TYPE, "application/json"),
    ];
    let cookies = fields.iter().map(|field| (COOKIE, field.as_str()));
    let headers: Vec<_> = headers.into_iter().chain(cookies).collect();
    request_of(&headers)
}

/// A logout of an open session with the token in `Authorization`.
pub fn bearer_request(store: &BenchStore, content_type: &str) -> Request<BenchBody> {
    let bearer = format!("Bearer {}", open(store).expose());
    request_of(&[
        (HOST, "localhost:3000"),
        (CONTENT_TYPE, content_type),
        (AUTHORIZATION, &bearer),
    ])
}

fn request_of(headers: &[(HeaderName, &str)]) -> Request<BenchBody> {
    let mut request = Request::post("/auth/logout")
        .body(Full::default())
        .expect("a valid request");
    // All values are slices of one buffer, as in hyper.
    let read = Bytes::from(headers.iter().map(|(_, value)| *value).collect::<String>());
    let mut from = 0;
    for (name, value) in headers {
        let slice = read.slice(from..from + value.len());
        from += value.len();
        let value = HeaderValue::from_maybe_shared(slice).expect("a valid value");
        request.headers_mut().append(name, value);
    }
    request
}

pub fn for_axum(request: Request<BenchBody>) -> Request<Body> {
    request.map(Body::new)
}

/// Calls a service whose future is ready at the first poll.
#[inline]
pub fn call<S, B>(service: &mut S, request: Request<B>) -> S::Response
where
    S: Service<Request<B>, Error = Infallible>,
{
    // Polled in place, like in a server.
    let mut future = pin!(service.call(request));
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(Ok(response)) => response,
        _ => unreachable!("ready at once, and infallible"),
    }
}
