//! The promises of the store for tower-sessions 0.14.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub
)]

use tower_logout_tower_sessions::v0_14::RevocableStore;
use tower_sessions_0_14 as tower_sessions;

mod promises;
