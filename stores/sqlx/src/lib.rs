#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
// Nothing makes a pool without the feature of a database, so that most of the crate is unused.
#![cfg_attr(
    not(any(feature = "sqlite", feature = "postgres", feature = "mysql")),
    allow(unused, clippy::unused_async)
)]

//! Stores for [`tower_logout`] in SQLite, Postgres, MySQL and MariaDB, through [sqlx](https://docs.rs/sqlx).
//!
//! - [`SqlStore`] keeps sessions in tables of its own: it opens, rotates and ends them.
//! - [`TableStore`] ends and finds the sessions of an existing table of refresh tokens.
//!
//! ```
//! # #[cfg(feature = "sqlite")]
//! # async fn example() -> Result<(), tower_logout::BoxError> {
//! use tower_logout::LogoutLayer;
//! use tower_logout_sqlx::SqlStore;
//!
//! let store = SqlStore::connect("sqlite:sessions.sqlite").await?;
//! let layer = LogoutLayer::new(store.clone()); // your login uses the store as well
//! # Ok(())
//! # }
//! ```
//!
//! # Versions of sqlx
//!
//! | sqlx | crate |
//! |---|---|
//! | 0.9, as in sea-orm 2 | `tower-logout-sqlx` |
//! | 0.8, as in sea-orm 1 | `tower-logout-sqlx08` |
//!
//! Both crates have the same sources, and their library has the same name. An application with another driver lets
//! the store open a pool of its own, by [`SqlStore::connect`] or [`TableStoreBuilder::connect_url`].
//!
//! # Features
//!
//! | feature | brings |
//! |---|---|
//! | `sqlite` | SQLite, built in |
//! | `postgres` | Postgres |
//! | `mysql` | MySQL and MariaDB |
//! | `tls` | TLS to Postgres, MySQL and MariaDB, with the root certificates of the system |
//!
//! No feature is on by default. Without the feature of a database, nothing makes a [`SqlPool`].

mod dialect;
mod digest;
mod encoding;
mod ended;
mod migrations;
mod millis;
mod names;
mod pool;
mod queries;
#[cfg(all(test, feature = "sqlite"))]
mod query_plan;
mod row_security;
mod sql_text;
mod store;
mod table;

pub use self::digest::{ShortKey, TokenDigest};
pub use self::ended::SqlEndedLog;
pub use self::pool::SqlPool;
pub use self::store::{SqlStore, SqlStoreBuilder};
pub use self::table::{
    Expiry, Live, Mark, TableError, TableSession, TableStatement, TableStore, TableStoreBuilder,
    WithSubjects,
};
