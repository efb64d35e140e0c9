//! Why a check refuses a session.

use std::fmt;

/// Why a check refuses a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// The session has ended.
    Ended,
    /// The node has not read the log for too long. The session may be live: answer `503`, and not `401`.
    Stale,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ended => "the session has ended",
            Self::Stale => {
                "this node has not read the log of ended sessions for too long: try again"
            }
        })
    }
}

impl std::error::Error for Refused {}
