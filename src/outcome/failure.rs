//! A logout that failed.

use std::error::Error;
use std::fmt;

use super::redact::redact;
use crate::store::{Scope, SessionId, SessionIds};
use crate::token::{Token, TokenSourceKinds};

/// Why it is not known whether the tokens still work.
///
/// `Display` gives the store's own error for the operator, cut after 1,024 bytes, with control
/// characters escaped. A token of the request that the store has put in is cut out: as it is, as
/// `Debug` escapes it, percent-encoded, or in hexadecimal digits. What is shorter than 8 bytes stays: it is
/// no secret, and would be cut out of words.
#[derive(Clone, Debug)]
pub struct Failure(
    // Boxed, so that not every outcome is as large as the rarest.
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
    /// The store had not answered when the timeout passed. The revocation goes on.
    TimedOut,
    /// The revocation went on in the background, and had not ended when its time there was over.
    GivenUp,
    /// As many revocations are under way as are allowed. The store was not called.
    Overloaded,
    /// The request presents more tokens than are looked at. Those that were are ended.
    TooManyTokens,
    /// The request presents a token that is longer than what is looked at. The others are ended.
    TokenTooLong,
}

impl Failure {
    /// The category.
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

    /// With the sessions that the store ended before it failed.
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
            FailureKind::TimedOut => "the store did not answer in time",
            FailureKind::GivenUp => "the store did not answer in the background either",
            FailureKind::Overloaded => {
                "too many revocations are under way: see whether the store answers, or raise \
                 max_in_flight"
            }
            FailureKind::TooManyTokens => {
                "the request presents more tokens than max_tokens allows: see who sets cookies of \
                 this name"
            }
            FailureKind::TokenTooLong => {
                "the request presents a token that is longer than max_cookie_len or max_token_len \
                 allows"
            }
        })?;
        match &self.0.detail {
            Some(detail) => write!(f, ": {detail}"),
            None => Ok(()),
        }
    }
}

impl Error for Failure {}
