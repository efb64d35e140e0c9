//! What became of a logout: for the operator, never for the client.

mod failure;
mod redact;

use std::fmt;

use http::StatusCode;

pub use self::failure::{Failure, FailureKind};

use crate::store::{Scope, SessionId, SessionIds};
use crate::token::TokenSourceKinds;

/// What became of a logout.
///
/// The client sees the same `200` for the first three, so that it cannot be used to guess tokens.
/// The operator finds the outcome in the response's extensions, in the callback
/// ([`LogoutLayerBuilder::on_outcome`](crate::builder::LogoutLayerBuilder::on_outcome)) and, with the feature `tracing`,
/// in an event; the feature `metrics` counts it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// At least one session was ended.
    #[non_exhaustive]
    Revoked {
        /// Those that the store knows by id.
        sessions: SessionIds,
        /// Where the request had its tokens.
        token_sources: TokenSourceKinds,
        /// Which sessions were to end.
        scope: Scope,
    },
    /// A token was presented, and there was nothing left to end.
    #[non_exhaustive]
    Inactive {
        /// Where the request had its tokens.
        token_sources: TokenSourceKinds,
        /// Which sessions were to end.
        scope: Scope,
    },
    /// No token was presented. If these climb, the cookie does not reach the endpoint.
    NoToken,
    /// The request did not prove what it has to prove. No session was ended.
    #[non_exhaustive]
    Rejected {
        /// What it did not prove.
        rejection: Rejection,
        /// Where the request had its tokens. None for a forgery, which was not searched.
        token_sources: TokenSourceKinds,
        /// Which sessions were to end.
        scope: Scope,
    },
    /// A token may still work: it was not shown that it was ended.
    Failed(Failure),
}

impl Outcome {
    /// A name for logs and metrics: `"revoked"`, `"inactive"`, `"no_token"`,
    /// `"rejected"` or `"failed"`.
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

    /// Whether the client is told that it is logged out: nothing that it presented works any more.
    pub fn is_logged_out(&self) -> bool {
        matches!(
            self,
            Self::Revoked { .. } | Self::Inactive { .. } | Self::NoToken
        )
    }

    /// The sessions that were ended, as far as the store names them. Each is named once, however
    /// many logouts present one of its tokens. A [`Failed`](Self::Failed) logout may name some too:
    /// the store failed after it had ended them.
    pub fn sessions(&self) -> &[SessionId] {
        match self {
            Self::Revoked { sessions, .. } => sessions,
            Self::Failed(failure) => failure.ended(),
            Self::Inactive { .. } | Self::NoToken | Self::Rejected { .. } => &[],
        }
    }

    /// Where the request had tokens, dead ones and malformed ones included. None for a forgery, which
    /// was not searched.
    pub fn token_sources(&self) -> TokenSourceKinds {
        match self {
            Self::Revoked { token_sources, .. }
            | Self::Inactive { token_sources, .. }
            | Self::Rejected { token_sources, .. } => *token_sources,
            Self::Failed(failure) => failure.token_sources(),
            Self::NoToken => TokenSourceKinds::default(),
        }
    }

    /// Which sessions the logout was to end. [`Scope::Others`] is [`Scope::All`] in the outcome if no
    /// presented token was live: there was no session to keep, and the cookies are removed.
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
    /// Its `Content-Type` is not `application/json`: `415`.
    UnsupportedMediaType,
    /// It came from another origin that is not trusted: `403`.
    CrossOrigin,
    /// It was to end the sessions of a subject, and none of its tokens names one: `401`.
    NoSubject,
}

impl Rejection {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::CrossOrigin => StatusCode::FORBIDDEN,
            Self::NoSubject => StatusCode::UNAUTHORIZED,
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnsupportedMediaType => {
                "Content-Type must be application/json: send a JSON body, {} will do \
                 (fetch and axios drop the header of a request without a body)"
            }
            Self::CrossOrigin => "Cross-origin logout is not allowed",
            Self::NoSubject => "Log in again to end other sessions: this one has ended",
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
