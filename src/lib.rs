#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

//! Logout for any [Tower] stack: **after the 200, nothing of that login works any more, and the
//! browser holds nothing of it.**
//!
//! [`LogoutLayer`] answers `POST /auth/logout`. It reads the token in the `refreshToken` cookie, ends the
//! session of the token through your [`TokenStore`], and removes the `accessToken` and `refreshToken`
//! cookies. The answer is
//!
//! - `200 {"message":"Logged out successfully"}`, or
//! - `500 {"error":"Error logging out"}` if the store could not confirm that the token is dead.
//!
//! Every other request reaches your service untouched.
//!
//! If your cookies have other names, or there is only one, describe them: [`AuthCookies`]. A request
//! without a token ends nothing, and gets a `200` too. The log then has a warning.
//! [`require_token`](LogoutLayerBuilder::require_token) rejects such a request.
//!
//! # Add it
//!
//! A store is one method over your own table. The table holds digests of the tokens, so a leaked table
//! logs nobody in. [`RequireSessionLayer`](require::RequireSessionLayer) asks the table for each request, so
//! an access token dies with its session. The example also needs `axum` 0.8, `sqlx` 0.9 with SQLite, and
//! `sha2` 0.11. [`guide::recipes`] has complete pages, with the login and the verification of the token.
//!
//! ```
//! use axum::{Extension, Router, routing::get};
//! use sha2::{Digest, Sha256};
//! use sqlx::SqlitePool;
//! use tower_logout::require::{RequireSessionLayer, session_fn_with};
//! use tower_logout::{async_trait, BoxError, LogoutLayer, Revocation, Token, TokenStore};
//!
//! struct Sessions(SqlitePool);
//!
//! #[async_trait]
//! impl TokenStore for Sessions {
//!     async fn revoke(&self, token: &Token) -> Result<Revocation, BoxError> {
//!         let digest = Sha256::digest(token.expose()).to_vec();
//!         let delete = sqlx::query("DELETE FROM sessions WHERE token_digest = ?").bind(&digest);
//!         if delete.execute(&self.0).await?.rows_affected() > 0 {
//!             return Ok(Revocation::Revoked);
//!         }
//!         // Look before you say that there is none: a trigger can keep a row without an error.
//!         let select = sqlx::query("SELECT 1 FROM sessions WHERE token_digest = ?").bind(&digest);
//!         match select.fetch_optional(&self.0).await? {
//!             Some(_) => Err("the session was not deleted".into()),
//!             None => Ok(Revocation::NotFound),
//!         }
//!     }
//! }
//!
//! /// The claims of your access token.
//! #[derive(Clone)]
//! struct Claims {
//!     sid: String,
//! }
//!
//! #[derive(Clone)]
//! struct User(i64);
//!
//! fn app(pool: SqlitePool) -> Router {
//!     let sessions = session_fn_with(pool.clone(), |pool, sid| async move {
//!         let select = sqlx::query_scalar("SELECT user_id FROM sessions WHERE id = ?");
//!         Ok(select.bind(sid.as_str()).fetch_optional(&pool).await?.map(User))
//!     });
//!     Router::new()
//!         .route("/me", get(|Extension(User(id)): Extension<User>| async move { id.to_string() }))
//!         .layer(RequireSessionLayer::asking(sessions, |claims: &Claims| &claims.sid))
//!         // .layer(your middleware that verifies the access token, and adds its Claims to the request)
//!         .route_service("/auth/logout", LogoutLayer::new(Sessions(pool)).endpoint())
//! }
//! ```
//!
//! Send the logout from a page of the same origin, or as JSON:
//!
//! ```js
//! await fetch("/auth/logout", { method: "POST" });
//! ```
//!
//! # Where to go from here
//!
//! | you want to | read |
//! |---|---|
//! | know what the endpoint answers | [`guide::endpoint`] |
//! | put the layer around a whole service | [`guide::placement`] |
//! | serve forms, gRPC, gRPC-Web or a single-page app | [`guide::clients`], [`reply`] |
//! | end access tokens and streams with their session | [`require`], [`ended`], [`guide::access_tokens`] |
//! | describe your cookies | [`AuthCookies`], [`guide::cookies_and_tokens`] |
//! | read tokens from headers or gRPC metadata | [`TokenSource`] |
//! | read a token from the request body | [`body_token`] |
//! | see the whole change for your stack | [`guide::recipes`] |
//! | choose a store, or write one | [`store`], [`guide::stores`] |
//! | log out everywhere, or all other devices | [`Scope`] |
//! | run it: metrics, alerts, shutdown, limits | [`Outcome`], [`guide::operations`] |
//! | know the security defaults | [`guide::security`] |
//! | know what it costs | [`guide::performance`] |
//! | know what a browser still shows | [`guide::browsers`] |
//!
//! Complete stores are separate crates: `tower-logout-sqlx` for SQLite, Postgres, MySQL and MariaDB, and
//! `tower-logout-redis` for Redis and Valkey. [`MemoryStore`] is part of this crate.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `tokio` | yes | the timeout, and revocations that outlive their connection |
//! | `tracing` | yes | one event per logout |
//! | `metrics` | no | a counter and a histogram of logouts, through the crate `metrics` |
//! | `ended` | no | `ended::EndedSessions`: access tokens and streams end with their session on every node, without a look-up per request; needs `tokio` |
//! | `retry` | no | `store::RetryStore`, which needs `tokio` |
//! | `testing` | no | `testing::Conformance`, the test suite for a store, which needs `tokio` |
//! | `signed` | no | `CookieEncoding::signed` |
//! | `private` | no | `CookieEncoding::private` |
//!
//! Without `tokio`, or on another executor, a revocation has no timeout and stops when its request is
//! dropped.
//!
//! [Tower]: https://docs.rs/tower

pub mod body;
pub mod body_token;
mod builder;
pub mod cookies;
pub mod csrf;
mod detach;
pub mod ended;
mod endpoint;
mod error;
pub mod future;
#[cfg(any(doc, doctest))]
pub mod guide;
mod in_time;
mod layer;
#[cfg(feature = "metrics")]
mod metrics;
mod observe;
pub mod outcome;
pub mod reply;
pub mod require;
mod revoke;
mod route;
mod service;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;
pub mod token;

pub use async_trait::async_trait;
pub use cookie;

pub use self::builder::LogoutLayerBuilder;
pub use self::cookies::AuthCookies;
pub use self::endpoint::LogoutEndpoint;
pub use self::error::ConfigError;
pub use self::layer::LogoutLayer;
pub use self::outcome::Outcome;
pub use self::service::Logout;
pub use self::store::{
    BoxError, MemoryStore, Revocation, Scope, TokenStore, store_fn, store_fn_with,
};
pub use self::token::{Token, TokenSource};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
