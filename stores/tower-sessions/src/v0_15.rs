//! The store for tower-sessions 0.15.

use tower_sessions_core_0_15 as tower_sessions_core;

#[path = "store.rs"]
mod store;

pub use self::store::RevocableStore;
