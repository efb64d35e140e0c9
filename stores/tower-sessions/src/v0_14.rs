//! The store for tower-sessions 0.14, the version of axum-login 0.18.

use tower_sessions_core_0_14 as tower_sessions_core;

#[path = "store.rs"]
mod store;

pub use self::store::RevocableStore;
