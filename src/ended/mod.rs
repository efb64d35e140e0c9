//! Access tokens that end with their session, without a question to the store per request.
//!
//! `EndedSessions` (feature `ended`) is a set in the memory of a node. The set follows the [`EndedLog`] that the
//! store writes in the commit of each revocation. `RequireSessionLayer::new` checks each request against the set.
//! [`guide::access_tokens`](crate::guide::access_tokens) says when to use the set, and when to ask the store.

#[cfg(feature = "ended")]
mod builder;
#[cfg(feature = "ended")]
mod clock;
#[cfg(feature = "ended")]
mod follow;
mod log;
mod migration;
#[cfg(feature = "ended")]
mod observe;
#[cfg(feature = "ended")]
mod open;
#[cfg(feature = "ended")]
mod reader;
#[cfg(feature = "ended")]
mod refused;
#[cfg(feature = "ended")]
mod sessions;
#[cfg(feature = "ended")]
mod set;

#[cfg(feature = "ended")]
pub use self::builder::EndedSessionsBuilder;
#[cfg(feature = "ended")]
pub use self::follow::Following;
pub use self::log::{Cursor, EndedLog, Page};
pub use self::migration::MigrationLog;
#[cfg(feature = "ended")]
pub use self::open::SessionEnded;
#[cfg(feature = "ended")]
pub use self::refused::Refused;
#[cfg(feature = "ended")]
pub use self::sessions::EndedSessions;
