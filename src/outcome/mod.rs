//! The outcome of a logout: for the operator, never for the client.

mod failure;
mod redact;

use std::fmt;

use http::StatusCode;

pub use self::failure::{Failure, FailureKind};

use crate::store::{Scope, SessionId, SessionIds};
use crate::token::TokenSourceKinds;

/// The outcome of a logout.
///
/// The client gets the same `200` for [`Revoked`](Self::Revoked), [`Inactive`](Self::Inactive) and
/// [`NoToken`](Self::NoToken), so that nobody can use the endpoint to guess tokens.
///
/// You find the outcome
///
/// - in the callback
///   [`LogoutLayerBuilder::on_outcome`](crate::builder::LogoutLayerBuilder::on_outcome),
/// - in the extensions of the response,
/// - in an event (feature `tracing`),
/// - in the metrics (feature `metrics`).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// At least one session was ended.
    #[non_exhaustive]
    Revoked {
        /// The ended sessions. Empty if the store has no ids for its sessions.
        sessions: SessionIds,
        /// Where the request presented tokens.
        token_sources: TokenSourceKinds,
        /// Which sessions the logout was to end.
        scope: Scope,
    },
    /// The request presented a token, and no session was left to end.
    #[non_exhaustive]
    Inactive {
        /// Where the request presented tokens.
        token_sources: TokenSourceKinds,
        /// Which sessions the logout was to end.
        scope: Scope,
    },
    /// The request presented no token. If this outcome becomes frequent, the cookie does not reach the
    /// endpoint.
    NoToken,
    /// The request failed a check. No session was ended.
    #[non_exhaustive]
    Rejected {
        /// The check that failed.
        rejection: Rejection,
        /// Where the request presented tokens. Empty for a request that may be forged, because its tokens
        /// were not read.
        token_sources: TokenSourceKinds,
        /// Which sessions the logout was to end.
        scope: Scope,
    },
    /// The logout failed. A presented token may still work.
    Failed(Failure),
}

impl Outcome {
    /// The name for logs and metrics: `"revoked"`, `"inactive"`, `"no_token"`, `"rejected"` or `"failed"`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Revoked { .. } => "revoked",
            Self::Inactive { .. } => "inactive",
            Self::NoToken => "no_token",
            Self::Rejected { .. } => "rejected",
            Self::Failed(_) => "failed",
        }
    }

    /// The status of the default answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Revoked { .. } | Self::Inactive { .. } | Self::NoToken => StatusCode::OK,
            Self::Rejected { rejection, .. } => rejection.status(),
            Self::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Whether the client is logged out: no token that the request presented works any more.
    pub fn is_logged_out(&self) -> bool {
        matches!(
            self,
            Self::Revoked { .. } | Self::Inactive { .. } | Self::NoToken
        )
    }

    /// The ended sessions. Empty if the store has no ids for its sessions.
    ///
    /// Each session is named once, even if several logouts present its tokens. A [`Failed`](Self::Failed)
    /// logout can name sessions too, because the store can fail after it has ended some.
    pub fn sessions(&self) -> &[SessionId] {
        match self {
            Self::Revoked { sessions, .. } => sessions,
            Self::Failed(failure) => failure.ended(),
            Self::Inactive { .. } | Self::NoToken | Self::Rejected { .. } => &[],
        }
    }

    /// Where the request presented tokens, including dead and malformed tokens.
    ///
    /// Empty for a request that may be forged, because its tokens were not read.
    pub fn token_sources(&self) -> TokenSourceKinds {
        match self {
            Self::Revoked { token_sources, .. }
            | Self::Inactive { token_sources, .. }
            | Self::Rejected { token_sources, .. } => *token_sources,
            Self::Failed(failure) => failure.token_sources(),
            Self::NoToken => TokenSourceKinds::default(),
        }
    }

    /// Which sessions the logout was to end.
    ///
    /// [`Scope::Others`] becomes [`Scope::All`] if no presented token was live: there was no session to
    /// keep, and the cookies were removed.
    pub fn scope(&self) -> Scope {
        match self {
            Self::Revoked { scope, .. }
            | Self::Inactive { scope, .. }
            | Self::Rejected { scope, .. } => *scope,
            Self::Failed(failure) => failure.scope(),
            // A wider scope needs a token.
            Self::NoToken => Scope::This,
        }
    }
}

/// Why a logout was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejection {
    /// The `Content-Type` is not `application/json`, and the request does not show that it comes from the
    /// same origin. The status is `415`.
    UnsupportedMediaType,
    /// The `Content-Type` is not `application/json`, which
    /// [`strict_json`](crate::builder::LogoutLayerBuilder::strict_json) requires. The status is `415`.
    NotJson,
    /// The request came from another origin that is not trusted. The status is `403`.
    CrossOrigin,
    /// The scope is wider than one session, and no presented token names a subject. The status is `401`.
    NoSubject,
    /// The request presented no token, which
    /// [`require_token`](crate::builder::LogoutLayerBuilder::require_token) requires. The status is `401`.
    NoToken,
}

impl Rejection {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::UnsupportedMediaType | Self::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::CrossOrigin => StatusCode::FORBIDDEN,
            Self::NoSubject | Self::NoToken => StatusCode::UNAUTHORIZED,
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnsupportedMediaType => {
                "Content-Type must be application/json: send a JSON body, {} will do \
                 (fetch and axios drop the header of a request without a body), or send the logout \
                 from a page of the same origin"
            }
            Self::NotJson => {
                "Content-Type must be application/json: send a JSON body, {} will do \
                 (fetch and axios drop the header of a request without a body)"
            }
            Self::CrossOrigin => "Cross-origin logout is not allowed",
            Self::NoSubject => "Log in again to end other sessions: this one has ended",
            Self::NoToken => "Present the token of the session that has to end",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kinds_of_token_source_make_an_outcome_no_larger() {
        assert_eq!(size_of::<Outcome>(), size_of::<SessionIds>() + 8);
    }
}
