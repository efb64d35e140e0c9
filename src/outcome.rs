//! What became of a logout: for the operator, never for the client.

use std::fmt;
use std::sync::Arc;

use http::StatusCode;

use crate::Token;
use crate::store::{BoxError, Sessions};

/// What became of a logout.
///
/// The client sees the same `200` for the first three, so that it cannot be used to guess tokens.
/// The operator finds the outcome in the response's extensions, in the hook
/// ([`LogoutLayerBuilder::hook`](crate::LogoutLayerBuilder::hook)) and, with the feature `tracing`,
/// in an event.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// At least one session was ended, and the store names those that it knows by id.
    Revoked(Sessions),
    /// A token was presented, but none that was alive.
    AlreadyEnded,
    /// No token was presented. If these climb, the cookie does not reach the endpoint.
    NoCredential,
    /// The request did not prove that it is no forgery. The store was not called.
    Refused(Refusal),
    /// A token may still work: the store did not confirm that it was ended.
    Failed(Failure),
}

impl Outcome {
    /// A name for logs and metrics: `"revoked"`, `"already_ended"`, `"no_credential"`,
    /// `"refused"` or `"failed"`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Revoked(_) => "revoked",
            Self::AlreadyEnded => "already_ended",
            Self::NoCredential => "no_credential",
            Self::Refused(_) => "refused",
            Self::Failed(_) => "failed",
        }
    }

    /// The status that the contract answers it with.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Revoked(_) | Self::AlreadyEnded | Self::NoCredential => StatusCode::OK,
            Self::Refused(Refusal::NotJson) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Refused(Refusal::CrossOrigin) => StatusCode::FORBIDDEN,
            Self::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The sessions that were ended, as far as the store names them. Each is named once, however
    /// many logouts present one of its tokens.
    pub fn sessions(&self) -> &[crate::SessionId] {
        match self {
            Self::Revoked(sessions) => sessions,
            _ => &[],
        }
    }
}

/// Why a logout was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Its `Content-Type` is not `application/json`: `415`.
    NotJson,
    /// It came from another origin that is not trusted: `403`.
    CrossOrigin,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotJson => "Content-Type must be application/json",
            Self::CrossOrigin => "Cross-origin logout is not allowed",
        })
    }
}

/// Why it is not known whether the tokens still work.
///
/// `Display` gives the store's own error for the operator. The tokens of the request are cut out of
/// it, should the store have put one in.
#[derive(Clone, Debug)]
pub struct Failure {
    kind: FailureKind,
    detail: Option<Arc<str>>,
}

/// The category of a [`Failure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// The store returned an error.
    Store,
    /// The store panicked.
    Panic,
    /// The store had not answered when the deadline passed. The revocation goes on.
    Deadline,
}

impl Failure {
    /// The category.
    pub fn kind(&self) -> FailureKind {
        self.kind
    }

    pub(crate) fn panic() -> Self {
        Self {
            kind: FailureKind::Panic,
            detail: None,
        }
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn deadline() -> Self {
        Self {
            kind: FailureKind::Deadline,
            detail: None,
        }
    }

    pub(crate) fn store(error: &BoxError, tokens: &[Token]) -> Self {
        let mut detail = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            detail = format!("{detail}: {error}");
            source = error.source();
        }
        for token in tokens {
            detail = detail.replace(token.expose(), &token.to_string());
        }
        Self {
            kind: FailureKind::Store,
            detail: Some(detail.into()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, &self.detail) {
            (FailureKind::Store, Some(detail)) => write!(f, "the store failed: {detail}"),
            (FailureKind::Store, None) => f.write_str("the store failed"),
            (FailureKind::Panic, _) => f.write_str("the store panicked"),
            (FailureKind::Deadline, _) => f.write_str("the store did not answer in time"),
        }
    }
}

impl std::error::Error for Failure {}
