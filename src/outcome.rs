//! What became of a logout: for the operator, never for the client.

use std::error::Error;
use std::fmt;

use http::StatusCode;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

use crate::store::Sessions;
use crate::{CredentialKinds, Scope, Token};

/// Bounds what a request can make an error write to a log.
const MAX_DETAIL_LEN: usize = 1024;
/// What is shorter is no token that anybody would trust.
const MIN_SECRET_LEN: usize = 8;
/// What stands for itself in a URL (RFC 3986 §2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

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
        /// Which sessions were to end.
        scope: Scope,
    },
    /// A token was presented, and there was nothing left to end.
    #[non_exhaustive]
    AlreadyEnded {
        /// Where the request had its tokens.
        credentials: CredentialKinds,
        /// Which sessions were to end.
        scope: Scope,
    },
    /// No token was presented. If these climb, the cookie does not reach the endpoint.
    NoCredential,
    /// The request did not prove what it has to prove. No session was ended.
    #[non_exhaustive]
    Refused {
        /// What it did not prove.
        reason: Refusal,
        /// Where the request had its tokens. None for a forgery, which was not searched.
        credentials: CredentialKinds,
        /// Which sessions were to end.
        scope: Scope,
    },
    /// A token may still work: it was not shown that it was ended.
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
            Self::Refused { .. } => "refused",
            Self::Failed(_) => "failed",
        }
    }

    /// The status that the contract answers it with.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Revoked { .. } | Self::AlreadyEnded { .. } | Self::NoCredential => StatusCode::OK,
            Self::Refused { reason, .. } => reason.status(),
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
    /// the store failed after it had ended them.
    pub fn sessions(&self) -> &[crate::SessionId] {
        match self {
            Self::Revoked { sessions, .. } => sessions,
            Self::Failed(failure) => &failure.0.ended,
            Self::AlreadyEnded { .. } | Self::NoCredential | Self::Refused { .. } => &[],
        }
    }

    /// Where the request had tokens, dead ones and malformed ones included. None for a forgery, which
    /// was not searched.
    pub fn credentials(&self) -> CredentialKinds {
        match self {
            Self::Revoked { credentials, .. }
            | Self::AlreadyEnded { credentials, .. }
            | Self::Refused { credentials, .. } => *credentials,
            Self::Failed(failure) => failure.0.credentials,
            Self::NoCredential => CredentialKinds::default(),
        }
    }

    /// Which sessions the logout was to end. [`Scope::Others`] is [`Scope::All`] in the outcome if no
    /// presented token was live: there was no session to keep, and the cookies are removed.
    pub fn scope(&self) -> Scope {
        match self {
            Self::Revoked { scope, .. }
            | Self::AlreadyEnded { scope, .. }
            | Self::Refused { scope, .. } => *scope,
            Self::Failed(failure) => failure.0.scope,
            // A wider scope needs a token.
            Self::NoCredential => Scope::This,
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
    /// It was to end the sessions of a subject, and none of its tokens names one: `401`.
    NoSubject,
}

impl Refusal {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::CrossOrigin => StatusCode::FORBIDDEN,
            Self::NoSubject => StatusCode::UNAUTHORIZED,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotJson => {
                "Content-Type must be application/json: send a JSON body, {} will do \
                 (fetch and axios drop the header of a request without a body)"
            }
            Self::CrossOrigin => "Cross-origin logout is not allowed",
            Self::NoSubject => "Log in again to end other sessions: this one has ended",
        })
    }
}

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
    ended: Sessions,
    credentials: CredentialKinds,
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
    /// The store had not answered when the deadline passed. The revocation goes on.
    Deadline,
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
            ended: Sessions::default(),
            credentials: CredentialKinds::default(),
            scope: Scope::This,
        }))
    }

    /// With the sessions that were ended all the same.
    pub(crate) fn after(mut self, ended: Sessions) -> Self {
        self.0.ended = ended;
        self
    }

    pub(crate) fn of(mut self, credentials: CredentialKinds, scope: Scope) -> Self {
        self.0.credentials = credentials;
        self.0.scope = scope;
        self
    }
}

/// In one pass and the longest first: what the client chose as one token must not uncover a part of
/// another, and no replacement is searched again.
fn redact(detail: &str, tokens: &[Token]) -> String {
    let mut secrets: Vec<_> = tokens
        .iter()
        .filter(|token| token.expose().len() >= MIN_SECRET_LEN)
        .flat_map(spellings)
        .collect();
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    let mut redacted = String::new();
    let mut rest = detail;
    while let Some(next) = rest.chars().next() {
        if redacted.len() > MAX_DETAIL_LEN {
            redacted.push('…');
            break;
        }
        let secret = secrets
            .iter()
            .find_map(|secret| rest.strip_prefix(secret.as_str()));
        if let Some(after) = secret {
            redacted.push_str("[redacted]");
            rest = after;
        } else {
            if next.is_control() {
                redacted.extend(next.escape_default());
            } else {
                redacted.push(next);
            }
            rest = &rest[next.len_utf8()..];
        }
    }
    redacted
}

/// How a store may have put a token into an error.
fn spellings(token: &Token) -> impl Iterator<Item = Zeroizing<String>> {
    let token = token.expose();
    let hex = |digits: fn(u8) -> String| token.bytes().map(digits).collect::<String>();
    let encoded = |reserved, digits: fn(&str) -> String| -> String {
        utf8_percent_encode(token, reserved)
            .map(|piece| {
                if piece.starts_with('%') {
                    digits(piece)
                } else {
                    piece.to_owned()
                }
            })
            .collect()
    };
    [
        token.to_owned(),
        token.escape_debug().to_string(),
        token.escape_default().to_string(),
        encoded(NON_ALPHANUMERIC, str::to_ascii_uppercase),
        encoded(NON_ALPHANUMERIC, str::to_ascii_lowercase),
        encoded(UNRESERVED, str::to_ascii_uppercase),
        encoded(UNRESERVED, str::to_ascii_lowercase),
        hex(|byte| format!("{byte:02x}")),
        hex(|byte| format!("{byte:02X}")),
    ]
    .into_iter()
    .map(Zeroizing::new)
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0.kind {
            FailureKind::Store => "the store failed",
            FailureKind::Panic => "the store panicked",
            FailureKind::Deadline => "the store did not answer in time",
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
    fn a_token_is_cut_out_however_it_is_spelt() {
        let token = "to\"ken+/\u{e9}=";
        let hex = "746f226b656e2b2fc3a93d";
        let spelt = [
            token.to_owned(),
            format!("{token:?}").trim_matches('"').to_owned(),
            "to%22ken%2B%2F%C3%A9%3D".to_owned(),
            "to%22ken%2b%2f%c3%a9%3d".to_owned(),
            hex.to_uppercase(),
            hex.to_owned(),
        ];
        for spelling in spelt {
            let detail = format!("no row for '{spelling}'");
            assert_eq!(redacted(&detail, &[token]), "no row for '[redacted]'");
        }
    }

    #[test]
    fn a_token_that_begins_another_uncovers_nothing_of_it() {
        for tokens in [["abcdefgh", "abcdefghijk"], ["abcdefghijk", "abcdefgh"]] {
            assert_eq!(redacted("no abcdefghijk", &tokens), "no [redacted]");
        }
        assert_eq!(
            redacted("no abcdefgh", &["abcdefgh", "[redacted]"]),
            "no [redacted]"
        );
    }

    #[test]
    fn short_tokens_are_cut_out_of_no_word_and_do_not_blow_up_the_log() {
        assert_eq!(redacted("no session", &["session", "no"]), "no session");
        let detail = "e".repeat(1_000_000);
        assert!(redacted(&detail, &["e"]).len() < 1100);
        assert!(redacted(&detail, &["eeeeeeee"]).len() < 1100);
    }

    #[test]
    fn an_error_is_one_line_of_a_log() {
        assert_eq!(
            redacted("no\r\nlogout outcome=revoked\u{1b}[2J", &[]),
            r"no\r\nlogout outcome=revoked\u{1b}[2J"
        );
    }
}
