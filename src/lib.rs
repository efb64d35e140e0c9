#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
//! crate docs
mod body;
mod cookies;
mod credential;
mod csrf;
mod error;
mod future;
mod layer;
mod observe;
mod outcome;
mod reply;
mod revoke;
mod route;
mod service;
mod store;

pub use async_trait::async_trait;
pub use cookie;

pub use body::ResponseBody;
pub use cookies::{AuthCookies, AuthCookiesBuilder};
pub use credential::Token;
pub use csrf::OriginCheck;
pub use error::ConfigError;
pub use future::ResponseFuture;
pub use layer::{LogoutLayer, LogoutLayerBuilder};
pub use outcome::{Failure, FailureKind, Outcome, Refusal};
pub use service::{Logout, LogoutEndpoint};
#[cfg(feature = "memory")]
pub use store::MemoryStore;
#[cfg(feature = "sqlite")]
pub use store::SqliteStore;
pub use store::{
    BoxError, Revocation, Rotation, Session, SessionId, SessionStore, Sessions, StoreFn,
    TokenStore, store_fn,
};
