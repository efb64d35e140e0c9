//! The failure of a logout.

use std::error::Error;
use std::fmt;

use super::redact::redact;
use crate::store::{Scope, SessionId, SessionIds};
use crate::token::{Token, TokenSourceKinds};

/// Why a logout failed. The presented tokens may still work.
///
/// `Display` contains the error of the store, for the operator. The text is cut after 1,024 bytes, and
/// control characters are escaped.
///
/// Tokens of the request are redacted in the text: as they are, escaped as in `Debug`, percent-encoded, or
/// as hexadecimal digits. A token of less than 8 bytes is not redacted, because it is no secret, and
/// ordinary words could contain it.
#[derive(Clone, Debug)]
pub struct Failure(
    // Boxed, because failures are rare and would make every outcome larger.
    Box<Cause>,
);

#[derive(Clone, Debug)]
struct Cause {
    kind: FailureKind,
    detail: Option<String>,
    ended: SessionIds,
    token_sources: TokenSourceKinds,
    scope: Scope,
}

/// The category of a [`Failure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// The store returned an error.
    Store,
    /// The store panicked.
    Panic,
    /// The store did not answer within
    /// [`timeout`](crate::builder::LogoutLayerBuilder#method.timeout). The revocation continues.
    TimedOut,
    /// The revocation continued in the background and did not end within
    /// [`detached_timeout`](crate::builder::LogoutLayerBuilder#method.detached_timeout).
    GivenUp,
    /// [`max_in_flight`](crate::builder::LogoutLayerBuilder#method.max_in_flight) revocations were running.
    /// The store was not called.
    Overloaded,
    /// The request presented more values than
    /// [`max_tokens`](crate::builder::LogoutLayerBuilder::max_tokens). The sessions of the values within
    /// the limit were ended.
    TooManyTokens,
    /// The request presented a token longer than
    /// [`max_cookie_len`](crate::builder::LogoutLayerBuilder::max_cookie_len) or
    /// [`max_token_len`](crate::builder::LogoutLayerBuilder::max_token_len). The sessions of the other
    /// tokens were ended.
    TokenTooLong,
    /// The request body that may hold a token
    /// ([`BodyToken`](crate::body_token::BodyToken)) is longer than
    /// [`with_max_len`](crate::body_token::BodyToken::with_max_len) allows. The sessions of the other
    /// tokens were ended.
    BodyTooLong,
    /// The request body that may hold a token did not arrive in full within
    /// [`with_timeout`](crate::body_token::BodyToken::with_timeout), or the connection broke. The sessions
    /// of the other tokens were ended.
    BodyIncomplete,
    /// The request body that may hold a token is neither JSON nor a form, or the field is not text. The
    /// sessions of the other tokens were ended.
    BodyMalformed,
    /// The store ended a session without naming it
    /// ([`Revocation::Revoked`](crate::store::Revocation::Revoked)), so that
    /// [`EndedSessions`](crate::ended) cannot refuse its access tokens.
    SessionNotNamed,
    /// The store has no session for the token, and this node does not follow the log of ended sessions
    /// ([`EndedSessions`](crate::ended)). The access tokens of the session may still be accepted.
    LogNotRead,
}

impl Failure {
    /// Returns the category of the failure.
    pub fn kind(&self) -> FailureKind {
        self.0.kind
    }

    pub(super) fn ended(&self) -> &[SessionId] {
        &self.0.ended
    }

    pub(super) fn token_sources(&self) -> TokenSourceKinds {
        self.0.token_sources
    }

    pub(super) fn scope(&self) -> Scope {
        self.0.scope
    }

    pub(crate) fn store(error: &(dyn Error + 'static), tokens: &[Token]) -> Self {
        let chain = std::iter::successors(Some(error), |&error| error.source());
        let detail: Vec<_> = chain.map(ToString::to_string).collect();
        let detail = redact(&detail.join(": "), tokens);
        Self::with(FailureKind::Store, Some(detail))
    }

    pub(crate) fn new(kind: FailureKind) -> Self {
        Self::with(kind, None)
    }

    fn with(kind: FailureKind, detail: Option<String>) -> Self {
        Self(Box::new(Cause {
            kind,
            detail,
            ended: SessionIds::default(),
            token_sources: TokenSourceKinds::default(),
            scope: Scope::This,
        }))
    }

    /// Adds the sessions that the store ended before it failed.
    pub(crate) fn after(mut self, ended: SessionIds) -> Self {
        self.0.ended = ended;
        self
    }

    pub(crate) fn in_logout(mut self, token_sources: TokenSourceKinds, scope: Scope) -> Self {
        self.0.token_sources = token_sources;
        self.0.scope = scope;
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0.kind {
            FailureKind::Store => "the store failed",
            FailureKind::Panic => "the store panicked",
            FailureKind::TimedOut => {
                "the store did not answer within the timeout: check the store; the revocation \
                 continues"
            }
            FailureKind::GivenUp => {
                "the revocation did not end within detached_timeout: check the store"
            }
            FailureKind::Overloaded => {
                "too many revocations are running: check whether the store answers, or raise \
                 max_in_flight"
            }
            FailureKind::TooManyTokens => {
                "the request presented more tokens than max_tokens allows: check which hosts set \
                 cookies of this name"
            }
            FailureKind::TokenTooLong => {
                "the request presented a token longer than max_cookie_len or max_token_len allows: \
                 raise the limit if your tokens are that long"
            }
            FailureKind::BodyTooLong => {
                "the request body is longer than the max_len of the body token allows: send the \
                 token in a shorter body, or raise the limit"
            }
            FailureKind::BodyIncomplete => {
                "the request body did not arrive in full within the timeout of the body token: \
                 check the client and the network"
            }
            FailureKind::BodyMalformed => {
                "the request body is neither JSON nor a form, or the field of the token is not \
                 text: send {\"refresh_token\":\"…\"} with the name of your field"
            }
            FailureKind::SessionNotNamed => {
                "the store ended a session and did not name it: return Revocation::Sessions from \
                 the store"
            }
            FailureKind::LogNotRead => {
                "nothing reads the log of ended sessions: spawn the future of \
                 EndedSessionsBuilder::follow"
            }
        })?;
        match &self.0.detail {
            Some(detail) => write!(f, ": {detail}"),
            None => Ok(()),
        }
    }
}

impl Error for Failure {}
