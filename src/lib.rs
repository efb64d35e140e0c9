#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

//! Logout for any [Tower] stack: **after the 200, nothing of that login works any more, and the
//! browser holds nothing of it.**
//!
//! [`LogoutLayer`] takes `POST /auth/logout` out of a stack of services, ends the session through your
//! [`TokenStore`], removes the `accessToken` and `refreshToken` cookies, and answers
//!
//! - `200 {"message":"Logged out successfully"}`, or
//! - `500 {"error":"Error logging out"}` when the store could not confirm that the token is dead.
//!
//! Everything else reaches the inner service as if the layer were not there.
//!
//! # Adopt it
//!
//! One line in an existing app, and one method over your own table:
//!
//! ```
//! use axum::{Router, routing::get};
//! use tower_logout::{async_trait, BoxError, LogoutLayer, Revocation, Token, TokenStore};
//! # struct Pool;
//! # impl Pool {
//! #     async fn execute(&self, _: &str, _: &str) -> Result<u64, BoxError> { Ok(1) }
//! # }
//!
//! struct Sessions {
//!     pool: Pool,
//! }
//!
//! #[async_trait]
//! impl TokenStore for Sessions {
//!     async fn revoke(&self, token: &Token) -> Result<Revocation, BoxError> {
//!         let deleted = self
//!             .pool
//!             .execute("delete from sessions where token = $1", token.expose())
//!             .await?;
//!         Ok(if deleted == 0 {
//!             Revocation::NotFound
//!         } else {
//!             Revocation::Revoked
//!         })
//!     }
//! }
//!
//! # let sessions = Sessions { pool: Pool };
//! let app: Router = Router::new()
//!     .route("/me", get(|| async { "me" }))
//!     .layer(LogoutLayer::new(sessions));
//! ```
//!
//! A closure will do as well ([`store_fn`]). `ExistingTable` makes a store of a table by its
//! description, and `MemoryStore`, `SqlStore` and `RedisStore` are complete stores that open, rotate
//! and end sessions ([`SessionStore`]). `testing::Conformance` proves any of them, yours too.
//!
//! # Place it
//!
//! The layer decides by the raw path, so it has to be where the request still has it and where no
//! route has taken it. In Axum: the last `.layer(…)` of the outermost router, or around the router
//! altogether. A `route_layer`, and a layer inside `nest`, do not see a path that is not routed; there
//! use [`LogoutLayer::endpoint`]. Put CORS outside, and `ConcurrencyLimit` too: one inside gives a
//! logout a permit that it holds until its service is dropped.
//!
//! # What a logout has to prove
//!
//! A form on another site can send a `POST`, and browsers honour the clearing `Set-Cookie` of its
//! answer. A logout must therefore have `Content-Type: application/json`, which no form can send
//! across sites without a preflight. [`LogoutLayerBuilder::origin_check`] checks `Sec-Fetch-Site` and
//! `Origin`, besides or instead. A refusal is a `415` or a `403`, without a store call, and without a
//! `Set-Cookie`.
//!
//! # Other clients
//!
//! [`forms`](LogoutLayerBuilder::forms) lets HTML forms log out that prove where they come from, and
//! redirects them; [`grpc`](LogoutLayerBuilder::grpc) answers gRPC calls in gRPC;
//! [`reply_with`](LogoutLayerBuilder::reply_with) takes any other [`Reply`](reply::Reply).
//!
//! # Where the token is
//!
//! In the refresh cookie, unless the builder says otherwise:
//! [`bearer`](LogoutLayerBuilder::bearer), [`token_header`](LogoutLayerBuilder::token_header),
//! [`token_metadata`](LogoutLayerBuilder::token_metadata) and
//! [`token_fn`](LogoutLayerBuilder::token_fn) look elsewhere as well, and [`CookieEncoding`] reads
//! cookies that the login signs or encrypts. All that a request presents is ended.
//!
//! # What became of it
//!
//! A client cannot tell an unknown token from a live one. The operator can: the [`Outcome`] is in the
//! response's extensions, in an event (feature `tracing`), in a
//! [hook](LogoutLayerBuilder::hook) for audit logs, and counted (feature `metrics`):
//!
//! | metric | kind | labels |
//! |---|---|---|
//! | `logouts_total` | counter | `outcome` ([`Outcome::name`]), `credentials` ([`TokenSourceKinds`], as text) |
//! | `logout_duration_seconds` | histogram | `outcome` |
//!
//! # Disconnects, deadlines and panics
//!
//! With the feature `tokio`, and on a tokio runtime, a revocation that has begun ends whatever the
//! client does: when the response future is dropped, or the
//! [deadline](LogoutLayerBuilder::deadline) passes, it is handed to the runtime, for 30 seconds at most
//! ([`detached_timeout`](LogoutLayerBuilder::detached_timeout)). At most 1,024 are under way at once
//! ([`max_in_flight`](LogoutLayerBuilder::max_in_flight)). Without that feature, or on another executor,
//! the crate works minus these. A panic of the store is a `500` either way.
//!
//! # Features
//!
//! | feature | default | what it brings |
//! |---|---|---|
//! | `tokio` | yes | the deadline, and revocations that outlive their connection |
//! | `tracing` | no | one event per logout |
//! | `metrics` | no | a counter and a histogram of logouts, through the `metrics` crate |
//! | `memory` | no | `MemoryStore` |
//! | `sqlite` | no | `SqlStore` and `ExistingTable` on SQLite, built in |
//! | `postgres` | no | `SqlStore` and `ExistingTable` on Postgres |
//! | `mysql` | no | `SqlStore` and `ExistingTable` on MySQL and MariaDB |
//! | `redis` | no | `RedisStore`, on Redis and Valkey, alone or as a cluster; and `tokio` |
//! | `sqlx-tls` | no | TLS to Postgres, MySQL and MariaDB, by rustls |
//! | `redis-tls` | no | TLS to Redis and Valkey, by rustls; and `redis` |
//! | `retry` | no | `RetryStore`; and `tokio` |
//! | `testing` | no | `testing::Conformance`, the suite that proves a store; and `tokio` |
//! | `signed` | no | `CookieEncoding::signed` |
//! | `private` | no | `CookieEncoding::private` |
//!
//! `Token::generate` comes with each of the stores and with `testing`.
//!
//! [Tower]: https://docs.rs/tower

pub mod body;
mod builder;
pub mod cookies;
pub mod csrf;
mod detach;
mod error;
pub mod future;
mod layer;
#[cfg(feature = "metrics")]
mod metrics;
mod observe;
pub mod outcome;
pub mod reply;
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
pub use self::error::ConfigError;
pub use self::layer::LogoutLayer;
pub use self::outcome::Outcome;
pub use self::service::{Logout, LogoutEndpoint};
pub use self::store::{BoxError, MemoryStore, Revocation, Scope, TokenStore, store_fn};
pub use self::token::{Token, TokenSource};
