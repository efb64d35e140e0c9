//! What became of a logout: for the operator, never for the client.

use std::error::Error;
use std::fmt;

use http::StatusCode;

use crate::store::Sessions;
use crate::{CredentialKinds, Token};

/// Bounds what a request can make an error write to a log.
const MAX_DETAIL_LEN: usize = 1024;

/// What became of a logout.
///
/// The client sees the same `200` for the first three, so that it cannot be used to guess tokens.
/// The operator finds the outcome in the response's extensions, in the hook
/// ([`LogoutLayerBuilder::hook`](crate::LogoutLayerBuilder::hook)) and, with the feature `tracing`,
/// in an event; the feature `metrics` counts it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// At least one session was ended.
    #[non_exhaustive]
    Revoked {
        /// Those that the store knows by id.
        sessions: Sessions,
        /// Where the request had its tokens.
        credentials: CredentialKinds,
    },
    /// A token was presented, but none that was alive.
    #[non_exhaustive]
    AlreadyEnded {
        /// Where the request had its tokens.
        credentials: CredentialKinds,
    },
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
            Self::Revoked { .. } => "revoked",
            Self::AlreadyEnded { .. } => "already_ended",
            Self::NoCredential => "no_credential",
            Self::Refused(_) => "refused",
            Self::Failed(_) => "failed",
        }
    }

    /// The status that the contract answers it with.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Revoked { .. } | Self::AlreadyEnded { .. } | Self::NoCredential => StatusCode::OK,
            Self::Refused(refusal) => refusal.status(),
            Self::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Whether the client is told that it is logged out: nothing that it presented works any more.
    pub fn is_logged_out(&self) -> bool {
        matches!(
            self,
            Self::Revoked { .. } | Self::AlreadyEnded { .. } | Self::NoCredential
        )
    }

    /// The sessions that were ended, as far as the store names them. Each is named once, however
    /// many logouts present one of its tokens. A [`Failed`](Self::Failed) logout may name some too:
    /// it presented several tokens, and the store failed at another one.
    pub fn sessions(&self) -> &[crate::SessionId] {
        match self {
            Self::Revoked { sessions, .. } => sessions,
            Self::Failed(failure) => &failure.0.ended,
            Self::AlreadyEnded { .. } | Self::NoCredential | Self::Refused(_) => &[],
        }
    }

    /// Where the request had tokens, dead ones and malformed ones included. None for
    /// [`Refused`](Self::Refused), which was not searched.
    pub fn credentials(&self) -> CredentialKinds {
        match self {
            Self::Revoked { credentials, .. } | Self::AlreadyEnded { credentials } => *credentials,
            Self::Failed(failure) => failure.0.credentials,
            Self::NoCredential | Self::Refused(_) => CredentialKinds::default(),
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

impl Refusal {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::CrossOrigin => StatusCode::FORBIDDEN,
        }
    }
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
/// `Display` gives the store's own error for the operator, cut after 1,024 bytes. The tokens of the
/// request are cut out of it, should the store have put one in, as it is or as `Debug` escapes it.
#[derive(Clone, Debug)]
pub struct Failure(
    // Boxed, lest every outcome is as large as the rarest.
    Box<Cause>,
);

#[derive(Clone, Debug)]
struct Cause {
    kind: FailureKind,
    detail: Option<String>,
    ended: Sessions,
    credentials: CredentialKinds,
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
        self.0.kind
    }

    pub(crate) fn panic() -> Self {
        Self::new(FailureKind::Panic, None)
    }

    pub(crate) fn deadline() -> Self {
        Self::new(FailureKind::Deadline, None)
    }

    pub(crate) fn store(error: &(dyn Error + 'static), tokens: &[Token]) -> Self {
        let chain = std::iter::successors(Some(error), |&error| error.source());
        let detail: Vec<_> = chain.map(ToString::to_string).collect();
        Self::new(FailureKind::Store, Some(redact(&detail.join(": "), tokens)))
    }

    fn new(kind: FailureKind, detail: Option<String>) -> Self {
        Self(Box::new(Cause {
            kind,
            detail,
            ended: Sessions::default(),
            credentials: CredentialKinds::default(),
        }))
    }

    /// With the sessions that were ended all the same.
    pub(crate) fn after(mut self, ended: Sessions) -> Self {
        self.0.ended = ended;
        self
    }

    pub(crate) fn of(mut self, credentials: CredentialKinds) -> Self {
        self.0.credentials = credentials;
        self
    }
}

/// In one pass and the longest first: what the client chose as one token must not uncover a part of
/// another, and no replacement is searched again.
fn redact(detail: &str, tokens: &[Token]) -> String {
    let mut secrets: Vec<_> = tokens
        .iter()
        .flat_map(|token| {
            let escaped = token.expose().escape_debug().to_string();
            [token.clone(), Token::new(escaped)]
        })
        .collect();
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
    let mut redacted = String::new();
    let mut rest = detail;
    while let Some(next) = rest.chars().next() {
        if redacted.len() > MAX_DETAIL_LEN {
            redacted.push('…');
            break;
        }
        let secret = secrets
            .iter()
            .find_map(|secret| rest.strip_prefix(secret.expose()));
        if let Some(after) = secret {
            redacted.push_str("[redacted]");
            rest = after;
        } else {
            redacted.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    redacted
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0.kind {
            FailureKind::Store => "the store failed",
            FailureKind::Panic => "the store panicked",
            FailureKind::Deadline => "the store did not answer in time",
        })?;
        match &self.0.detail {
            Some(detail) => write!(f, ": {detail}"),
            None => Ok(()),
        }
    }
}

impl Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(detail: &str, tokens: &[&str]) -> String {
        let tokens: Vec<_> = tokens.iter().map(|&token| Token::new(token)).collect();
        redact(detail, &tokens)
    }

    #[test]
    fn the_kinds_of_credential_make_an_outcome_no_larger() {
        assert_eq!(size_of::<Outcome>(), size_of::<Sessions>() + 8);
    }

    #[test]
    fn a_token_is_cut_out_as_it_is_and_as_debug_escapes_it() {
        let detail = format!(r#"no row for a"b, {:?}"#, r#"a"b"#);
        assert_eq!(
            redacted(&detail, &[r#"a"b"#]),
            r#"no row for [redacted], "[redacted]""#
        );
    }

    #[test]
    fn a_token_that_begins_another_uncovers_nothing_of_it() {
        for tokens in [["abc", "abcdef"], ["abcdef", "abc"]] {
            assert_eq!(redacted("no abcdef", &tokens), "no [redacted]");
        }
        assert_eq!(
            redacted("no abc", &["abc", "redacted", "e"]),
            "no [redacted]"
        );
    }

    #[test]
    fn short_tokens_do_not_blow_up_the_log() {
        let detail = "e".repeat(1_000_000);
        assert!(redacted(&detail, &["e"]).len() < 1100);
        assert!(redacted(&detail, &[]).len() < 1100);
    }
}
