#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]
// Each version of tower-sessions has traits of its own, for which the same source is compiled.
#![allow(clippy::duplicate_mod)]

//! Logout for [tower-sessions](https://docs.rs/tower-sessions) and
//! [axum-login](https://docs.rs/axum-login), through [`tower_logout`].
//!
//! tower-sessions brings a session back that was deleted during a request: at its end, the request saves the
//! session again. With `with_always_save`, each request does, and each response sets the cookie again.
//!
//! `RevocableStore` wraps your session store. The wrapper ends sessions for the
//! [`LogoutLayer`](tower_logout::LogoutLayer), and never brings an ended session back.
//!
//! # Example
//!
//! ```
//! # #[cfg(feature = "v0_15")]
//! # #[tokio::main]
//! # async fn main() -> Result<(), tower_logout::BoxError> {
//! # use tower_sessions_0_15 as tower_sessions;
//! # use http::{Request, StatusCode, header::{CONTENT_TYPE, COOKIE, SET_COOKIE}};
//! # use tower::ServiceExt;
//! use axum::Router;
//! use axum::routing::{get, post};
//! use tower_logout::cookie::{Cookie, SameSite};
//! use tower_logout::{AuthCookies, LogoutLayer};
//! use tower_logout_tower_sessions::v0_15::RevocableStore;
//! use tower_sessions::{MemoryStore, Session, SessionManagerLayer};
//!
//! async fn log_in(session: Session) -> Result<(), StatusCode> {
//!     let inserted = session.insert("user", "alice").await;
//!     inserted.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
//! }
//!
//! async fn me(session: Session) -> Result<String, StatusCode> {
//!     let user = session.get("user").await;
//!     let user = user.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
//!     user.ok_or(StatusCode::UNAUTHORIZED)
//! }
//!
//! // Your store, for example of Redis or Postgres.
//! let store = RevocableStore::new(MemoryStore::default());
//! let sessions = SessionManagerLayer::new(store.clone());
//!
//! // The cookie of `SessionManagerLayer`, with the attributes that you gave it.
//! let id = Cookie::build("id")
//!     .path("/")
//!     .http_only(true)
//!     .same_site(SameSite::Strict)
//!     .secure(true);
//! let cookies = AuthCookies::session(id)?;
//! let logout = LogoutLayer::builder(store).cookies(cookies).build()?;
//!
//! let app: Router = Router::new()
//!     .route("/login", post(log_in))
//!     .route("/me", get(me))
//!     .layer(sessions)
//!     // Outside the session layer, which would save the session after the logout.
//!     .route_service("/auth/logout", logout.endpoint());
//!
//! # let send = async |method: &str, path: &str, cookie: &str| {
//! #     let request = Request::builder().method(method).uri(path);
//! #     let request = request.header(CONTENT_TYPE, "application/json").header(COOKIE, cookie);
//! #     app.clone().oneshot(request.body(axum::body::Body::empty()).unwrap()).await.unwrap()
//! # };
//! # let login = send("POST", "/login", "").await;
//! # let cookie = login.headers()[SET_COOKIE].to_str()?.split(';').next().unwrap().to_owned();
//! # assert_eq!(send("GET", "/me", &cookie).await.status(), 200);
//! # assert_eq!(send("POST", "/auth/logout", &cookie).await.status(), 200);
//! # assert_eq!(send("GET", "/me", &cookie).await.status(), 401);
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "v0_15"))]
//! # fn main() {}
//! ```
//!
//! For cookies of `with_signed` and `with_private`, use
//! [`AuthCookies::builder`](tower_logout::AuthCookies::builder), and give the same key to
//! [`refresh_encoding`](tower_logout::cookies::AuthCookiesBuilder::refresh_encoding).
//!
//! # Features
//!
//! | feature | for |
//! |---|---|
//! | `v0_14` | tower-sessions 0.14, axum-login 0.18, tower-sessions-sqlx-store 0.15, tower-sessions-redis-store 0.16 |
//! | `v0_15` | tower-sessions 0.15 |
//!
//! No feature is on by default. Without a feature, the crate is empty.
//!
//! # Guarantees
//!
//! A logout ends a login: the session, with each id that `Session::cycle_id` gave the session. After the
//! logout has returned `Ok`:
//!
//! - The wrapper loads the session by none of its ids, on each server, and after a restart.
//! - A request in flight cannot save the session or give it another id. The save is an error, so
//!   `SessionManagerLayer` answers `500` and sets no cookie.
//! - A record that a cancelled request or a crash left behind stays dead until it expires.
//! - A response that was saved before the logout, and arrives after it, still sets the cookie. The cookie
//!   is worthless, because its id is dead.
//!
//! How: the end is a record of its own in your store, a tombstone, under an id that is a hash of the
//! session's id. The tombstone is written before the session is deleted. Each load looks for it, and each
//! save looks for it before and after its write. No cookie of a client can load, change or delete a
//! tombstone. The store deletes it after [the longest expiry](v0_15::RevocableStore::with_longest_expiry) of
//! your sessions, and one hour more for clocks that differ.
//!
//! This needs:
//!
//! - Each server that reads or writes the sessions uses the wrapper.
//! - The store finds what it has saved. A replica that lags does not, and neither does a Redis server that
//!   evicts keys: set `maxmemory-policy noeviction`.
//! - A `CachingSessionStore` is inside the wrapper.
//!
//! And these are the limits:
//!
//! - A request that loaded its session before the logout goes on with what it loaded.
//! - `Session::flush` and `Session::delete` end the id, as before. The wrapper never brings the id back, but
//!   a request in flight that calls `cycle_id` can take the session to another id. The logout of
//!   axum-login's `AuthSession` is a `flush`: log out through the layer instead.
//! - A request in flight whose session got another id by `cycle_id` cannot save the session either.
//! - After `Session::delete`, the same request cannot save the session. Use `flush`.
//! - An id that `cycle_id` replaced is known for the longest expiry. A logout by an older id is `NotFound`.
//! - If a session expires while a request saves the session, a logout in the same moment can be
//!   `NotFound`, and the save revive the session.
//! - If several logouts end one login at once, exactly one reports the session. With a store whose `create`
//!   is not atomic, more than one can: the Postgres and MySQL stores of tower-sessions-sqlx-store.
//!
//! # Access tokens
//!
//! The wrapper is no [`SessionLookup`](tower_logout::require::SessionLookup). A session of tower-sessions has
//! no id that a JWT may hold: the id is the secret in the cookie, and `Session::cycle_id` replaces the id. You
//! need no access token, because `SessionManagerLayer` loads the session for each request.
//!
//! # What it costs
//!
//! | call | reads and writes of your store | in a row |
//! |---|---|---|
//! | `load` | 3 reads | 2 |
//! | `save` | 5 reads, 1 write | 4 |
//! | `create` | 1 write | 1 |
//! | `create` after `cycle_id` | 2 reads, 1 write | 3 |
//! | `delete` | 2 reads, 2 writes | 4 |
//! | a logout | 2 reads, 2 writes | 4 |
//!
//! A tombstone takes about as much room as an empty session.

#[cfg(feature = "v0_14")]
pub mod v0_14;
#[cfg(feature = "v0_15")]
pub mod v0_15;

#[cfg(all(doctest, feature = "v0_14"))]
#[doc = include_str!("../../../docs/recipes/tower-sessions.md")]
struct Recipe;
