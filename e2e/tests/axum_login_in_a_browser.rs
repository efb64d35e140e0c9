//! A user of axum-login logs out by a form while a request is in flight.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, State};
use axum::response::{Html, Redirect};
use axum::routing::get;
use axum_login::tower_sessions::cookie::time::Duration;
use axum_login::tower_sessions::{Expiry, SessionManagerLayer, SessionStore};
use axum_login::{AuthManagerLayerBuilder, AuthSession, AuthUser, AuthnBackend, login_required};
use chromiumoxide::cdp::browser_protocol::network::SetCookieParams;
use http::StatusCode;
use tokio::sync::Notify;
use tower_logout::cookie::{Cookie, SameSite};
use tower_logout::{AuthCookies, LogoutLayer, TokenStore, reply};
use tower_logout_tower_sessions::v0_14::RevocableStore;

use e2e::browser::{Chromium, click, run, wait_for};
use e2e::session_table::SessionTable;
use support::server::serve_https;

#[derive(Clone, Debug)]
struct Alice;

impl AuthUser for Alice {
    type Id = u64;

    fn id(&self) -> u64 {
        1
    }

    fn session_auth_hash(&self) -> &[u8] {
        b"hash of the password"
    }
}

#[derive(Clone)]
struct Backend;

#[derive(serde::Deserialize)]
struct Credentials {
    password: String,
}

impl AuthnBackend for Backend {
    type User = Alice;
    type Credentials = Credentials;
    type Error = Infallible;

    async fn authenticate(&self, credentials: Credentials) -> Result<Option<Alice>, Infallible> {
        Ok((credentials.password == "wonderland").then_some(Alice))
    }

    async fn get_user(&self, id: &u64) -> Result<Option<Alice>, Infallible> {
        Ok((*id == 1).then_some(Alice))
    }
}

async fn log_in(
    mut auth: AuthSession<Backend>,
    Form(credentials): Form<Credentials>,
) -> Result<Redirect, StatusCode> {
    let user = auth.authenticate(credentials).await.unwrap();
    let user = user.ok_or(StatusCode::UNAUTHORIZED)?;
    auth.login(&user).await.unwrap();
    Ok(Redirect::to("/protected"))
}

const LOGIN_PAGE: &str = "<form method=post><input name=password value=wonderland>\
                          <button id=login>Log in</button></form>";

const PROTECTED_PAGE: &str = "<p>Hello alice</p><form method=post action=/logout>\
                              <button id=logout>Log out</button></form>";

#[derive(Clone, Default)]
struct Slow {
    begun: Arc<Notify>,
    answer: Arc<Notify>,
}

async fn slow(State(slow): State<Slow>) -> &'static str {
    slow.begun.notify_one();
    slow.answer.notified().await;
    "slow"
}

fn app(sessions: impl SessionStore + Clone, logout: impl TokenStore, requests: Slow) -> Router {
    let sessions = SessionManagerLayer::new(sessions)
        .with_expiry(Expiry::OnInactivity(Duration::days(1)))
        .with_always_save(true);
    let auth = AuthManagerLayerBuilder::new(Backend, sessions).build();
    let id = Cookie::build("id")
        .path("/")
        .http_only(true)
        .same_site(SameSite::Strict)
        .secure(true);
    let cookies = AuthCookies::session(id).unwrap();
    let logout = LogoutLayer::builder(logout)
        .cookies(cookies)
        .forms(reply::Redirect::to("/login").unwrap())
        .build()
        .unwrap();
    Router::new()
        .route("/protected", get(|| async { Html(PROTECTED_PAGE) }))
        .route("/slow", get(slow))
        .with_state(requests)
        .route_layer(login_required!(Backend, login_url = "/login"))
        .route("/login", get(|| async { Html(LOGIN_PAGE) }).post(log_in))
        .layer(auth)
        .route_service("/logout", logout.endpoint())
}

/// What the browser has after the slow request.
#[derive(Debug, PartialEq)]
struct After {
    slow: u16,
    cookies: Vec<String>,
    protected: String,
    replayed: String,
}

async fn log_out_while_a_request_is_in_flight(
    sessions: impl SessionStore + Clone,
    logout: impl TokenStore,
) -> Option<After> {
    let chromium = Chromium::start().await?;
    let requests = Slow::default();
    let app = app(sessions, logout, requests.clone());
    let origin = format!("https://app.site-a.test:{}", serve_https(app).await.port());
    let is_at = |path: &str| format!("location.href === '{origin}{path}'");

    let page = chromium.open(&format!("{origin}/login")).await;
    click(&page, "#login").await;
    wait_for(&page, &is_at("/protected")).await;
    let id = chromium.cookies().await.remove(0);

    // In another tab, because the logout leaves the page, which cancels its requests.
    let other = chromium.open(&format!("{origin}/protected")).await;
    wait_for(&other, "document.body.textContent.includes('alice')").await;
    let fetch = "fetch('/slow').then(response => window.slow = response.status), true";
    let _: bool = run(&other, fetch).await;
    requests.begun.notified().await;
    page.bring_to_front().await.unwrap();
    click(&page, "#logout").await;
    wait_for(&page, &is_at("/login")).await;
    requests.answer.notify_one();
    wait_for(&other, "window.slow !== undefined").await;

    let slow = run(&other, "window.slow").await;
    let cookies = chromium.cookie_names().await;
    let protected = path_of_protected(&chromium, &origin).await;
    let replay = SetCookieParams::builder()
        .name(id.name)
        .value(id.value)
        .url(&origin);
    page.execute(replay.build().unwrap()).await.unwrap();
    let replayed = path_of_protected(&chromium, &origin).await;
    chromium.close().await;
    Some(After {
        slow,
        cookies,
        protected,
        replayed,
    })
}

/// Where the browser ends up that asks for the protected page.
async fn path_of_protected(chromium: &Chromium, origin: &str) -> String {
    let page = chromium.open(&format!("{origin}/protected")).await;
    wait_for(&page, "document.readyState === 'complete'").await;
    run(&page, "location.pathname").await
}

async fn table(folder: &tempfile::TempDir) -> SessionTable {
    let path = folder.path().display();
    SessionTable::connect(&format!("sqlite:{path}/sessions.sqlite?mode=rwc")).await
}

#[tokio::test]
async fn without_the_wrapper_the_slow_request_logs_in_again() {
    let folder = tempfile::tempdir().unwrap();
    let table = table(&folder).await;
    let logout = RevocableStore::new(table.clone());
    let Some(after) = log_out_while_a_request_is_in_flight(table, logout).await else {
        return;
    };
    let expected = After {
        slow: 200,
        cookies: vec!["id".into()],
        protected: "/protected".into(),
        replayed: "/protected".into(),
    };
    assert_eq!(after, expected);
}

#[tokio::test]
async fn the_slow_request_brings_neither_the_session_nor_its_cookie_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = RevocableStore::new(table(&folder).await);
    let logged_out = log_out_while_a_request_is_in_flight(store.clone(), store).await;
    let Some(after) = logged_out else {
        return;
    };
    let expected = After {
        slow: 500,
        cookies: Vec::new(),
        protected: "/login".into(),
        replayed: "/login".into(),
    };
    assert_eq!(after, expected);
}
