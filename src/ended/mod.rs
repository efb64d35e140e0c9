//! Access tokens that end with their session, without a look-up per request.

mod log;

pub use self::log::{Cursor, EndedLog, Page};
