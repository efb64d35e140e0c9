//! The session cookie, plain, signed or private, through `SessionManagerLayer` and the logout endpoint.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::{get, post};
use http::header::{CONTENT_TYPE, COOKIE, SET_COOKIE};
use http::{Request, Response, StatusCode};
use tokio::sync::Notify;
use tower::ServiceExt;
use tower_logout::cookie::{Cookie, Key, SameSite};
use tower_logout::cookies::CookieEncoding;
use tower_logout::{AuthCookies, LogoutLayer, TokenStore};

use super::super::tower_sessions::service::CookieController;
use super::super::tower_sessions::{Session, SessionManagerLayer, SessionStore};
use super::RevocableStore;
use super::test_store::TestStore;

async fn log_in(session: Session) {
    session.insert("user", "alice").await.unwrap();
}

async fn user(session: Session) -> Result<String, StatusCode> {
    let user = session.get("user").await.unwrap();
    user.ok_or(StatusCode::UNAUTHORIZED)
}

/// Loads the session, and answers when it is told to.
async fn slow(State(slow): State<Slow>, session: Session) -> Result<String, StatusCode> {
    let user = user(session).await?;
    slow.loaded.notify_one();
    slow.answer.notified().await;
    Ok(user)
}

#[derive(Clone, Default)]
struct Slow {
    loaded: Arc<Notify>,
    answer: Arc<Notify>,
}

fn app<S: SessionStore + Clone, C: CookieController + Sync>(
    sessions: SessionManagerLayer<S, C>,
    store: impl TokenStore,
    encoding: CookieEncoding,
    requests: Slow,
) -> Router {
    let id = Cookie::build("id")
        .path("/")
        .secure(true)
        .http_only(true)
        .same_site(SameSite::Strict);
    let cookies = AuthCookies::builder()
        .session(id)
        .refresh_encoding(encoding)
        .build();
    let logout = LogoutLayer::builder(store)
        .cookies(cookies.unwrap())
        .build()
        .unwrap();
    Router::new()
        .route("/login", post(log_in))
        .route("/me", get(user))
        .route("/slow", get(slow))
        .with_state(requests)
        .layer(sessions)
        .route_service("/logout", logout.endpoint())
}

async fn send(app: &Router, method: &str, path: &str, cookie: &str) -> Response<Body> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(CONTENT_TYPE, "application/json")
        .header(COOKIE, cookie);
    let request = request.body(Body::empty()).unwrap();
    app.clone().oneshot(request).await.unwrap()
}

/// The `Cookie` header of a browser that has had this response.
fn cookie(response: &Response<Body>) -> Option<String> {
    let set = response.headers().get_all(SET_COOKIE).iter();
    let mut set = set.filter_map(|cookie| cookie.to_str().unwrap().split(';').next());
    set.find(|cookie| cookie.starts_with("id="))
        .map(str::to_owned)
}

async fn ends_by_its_cookie<C: CookieController + Sync>(
    seal: impl Fn(
        SessionManagerLayer<RevocableStore<TestStore>>,
    ) -> SessionManagerLayer<RevocableStore<TestStore>, C>,
    encoding: CookieEncoding,
) {
    let store = RevocableStore::new(TestStore::default());
    let sessions = seal(SessionManagerLayer::new(store.clone()));
    let app = app(sessions, store, encoding, Slow::default());
    let login = send(&app, "POST", "/login", "").await;
    let session = cookie(&login).unwrap();
    assert_eq!(send(&app, "GET", "/me", &session).await.status(), 200);

    let logout = send(&app, "POST", "/logout", &session).await;
    assert_eq!(logout.status(), 200);
    assert_eq!(cookie(&logout).as_deref(), Some("id="));
    assert_eq!(send(&app, "GET", "/me", &session).await.status(), 401);
    // A logout that finds nothing has the same answer.
    assert_eq!(send(&app, "POST", "/logout", &session).await.status(), 200);
    assert_eq!(
        send(&app, "POST", "/logout", "id=unknown").await.status(),
        200
    );
}

#[tokio::test]
async fn a_plain_session_cookie_ends_its_session() {
    ends_by_its_cookie(|sessions| sessions, CookieEncoding::plain()).await;
}

#[tokio::test]
async fn a_signed_session_cookie_ends_its_session() {
    let key = Key::generate();
    let encoding = CookieEncoding::signed(key.clone());
    ends_by_its_cookie(|sessions| sessions.with_signed(key.clone()), encoding).await;
}

#[tokio::test]
async fn a_private_session_cookie_ends_its_session() {
    let key = Key::generate();
    let encoding = CookieEncoding::private(key.clone());
    ends_by_its_cookie(|sessions| sessions.with_private(key.clone()), encoding).await;
}

/// Logs out while a request is in flight, with an expiry that rolls on. Returns the response of the
/// request, and whether the session is alive after it.
async fn rolling<S>(store: S, logout: impl TokenStore) -> (Response<Body>, bool)
where
    S: SessionStore + Clone,
{
    let requests = Slow::default();
    let sessions = SessionManagerLayer::new(store).with_always_save(true);
    let app = app(sessions, logout, CookieEncoding::plain(), requests.clone());
    let session = cookie(&send(&app, "POST", "/login", "").await).unwrap();
    let slow = tokio::spawn({
        let (app, session) = (app.clone(), session.clone());
        async move { send(&app, "GET", "/slow", &session).await }
    });
    requests.loaded.notified().await;
    let logout = send(&app, "POST", "/logout", &session).await;
    assert_eq!(logout.status(), 200);
    requests.answer.notify_one();
    let response = slow.await.unwrap();
    let is_live = send(&app, "GET", "/me", &session).await.status() == 200;
    (response, is_live)
}

#[tokio::test]
async fn without_the_wrapper_a_rolling_expiry_brings_the_session_and_its_cookie_back() {
    let store = TestStore::default();
    let (response, is_live) = rolling(store.clone(), RevocableStore::new(store)).await;
    assert_eq!(response.status(), 200);
    assert!(cookie(&response).is_some());
    assert!(is_live);
}

#[tokio::test]
async fn a_rolling_expiry_brings_neither_the_session_nor_its_cookie_back() {
    let store = RevocableStore::new(TestStore::default());
    let (response, is_live) = rolling(store.clone(), store).await;
    assert_eq!(response.status(), 500);
    assert_eq!(cookie(&response), None);
    assert!(!is_live);
}
