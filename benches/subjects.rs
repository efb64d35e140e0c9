//! What is measured: a bare service, the layer over it, and the handler that one would write by
//! hand, over a store of the benches' own.

#![allow(clippy::expect_used)]

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use axum::body::Body;
use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use axum_extra::extract::CookieJar;
use axum_extra::extract::cookie::Cookie;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use tower::{Layer, Service, service_fn};
use tower_logout::store::SessionId;
use tower_logout::{
    BoxError, LogoutLayer, Revocation, Token, TokenSource, TokenStore, async_trait,
};

pub type BenchBody = Full<Bytes>;

/// Sessions by their tokens. Clones share them.
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

/// Whose future holds the request, as that of any handler does.
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

/// The layer as a gRPC server has it: tokens in metadata, answers with trailers.
pub fn layered_for_grpc(
    store: BenchStore,
) -> impl Service<Request<BenchBody>, Response: Send, Error = Infallible> + Clone {
    let layer = LogoutLayer::builder(store)
        .grpc()
        .token_source(TokenSource::bearer())
        .build();
    layer.expect("a valid layer").layer(bare())
}

/// The layer for clients that keep their token themselves.
pub fn layered_for_bearer(
    store: BenchStore,
) -> impl Service<Request<BenchBody>, Response: Send, Error = Infallible> + Clone {
    let layer = LogoutLayer::builder(store)
        .token_source(TokenSource::bearer())
        .build();
    layer.expect("a valid layer").layer(bare())
}

/// axum, axum-extra's `CookieJar`, and `Json`.
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

/// How a logout's cookies come.
#[derive(Clone, Copy, Debug)]
pub enum Cookies {
    /// The token alone.
    One,
    /// So many cookies of 20 bytes in one field, the token in their midst.
    Field(usize),
    /// A field of this many bytes of base64, as access tokens are, in front of the token.
    Base64(usize),
    /// So many fields with a cookie each.
    Fields(usize),
}

/// The token of a session that is open in the store.
fn open(store: &BenchStore) -> Token {
    let token = Token::generate().expect("a random source");
    let id = SessionId::generate().expect("a random source");
    store.sessions().insert(token.expose().into(), id);
    token
}

/// Text in which each of the 64 digits is as frequent as the others.
fn base64(bytes: usize) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut state = 1_u32;
    let digits = (0..bytes).map(|_| {
        // The constants of Numerical Recipes' generator.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(DIGITS[(state >> 26) as usize])
    });
    digits.collect()
}

/// A logout of a session that is open in the store, by its cookie.
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

/// A logout of a session that is open in the store, by its token in `Authorization`.
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
    // As hyper does: all values are slices of the one buffer that was read.
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

/// Calls a service that is ready at once, and answers at once.
#[inline]
pub fn call<S, B>(service: &mut S, request: Request<B>) -> S::Response
where
    S: Service<Request<B>, Error = Infallible>,
{
    // In place, as a server polls what it holds.
    let mut future = pin!(service.call(request));
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(Ok(response)) => response,
        _ => unreachable!("ready at once, and infallible"),
    }
}
