//! Counts the logouts and measures their latency, through the recorder of the crate `metrics`.

use std::time::Duration;

#[cfg(feature = "ended")]
use metrics::gauge;
use metrics::{counter, histogram};

use crate::outcome::Outcome;
use crate::token::{TokenSourceKind, TokenSourceKinds};

/// Label values are literals where possible, because a literal needs no allocation.
macro_rules! measure {
    ($outcome:literal, $token_sources:expr, $latency:expr) => {{
        count!($outcome, $token_sources);
        histogram!("logout_duration_seconds", "outcome" => $outcome).record($latency);
    }};
}

macro_rules! count {
    ($outcome:literal, $token_sources:expr) => {{
        let token_sources: TokenSourceKinds = $token_sources;
        let mut kinds = token_sources.iter();
        match (kinds.next(), kinds.next()) {
            (None, _) => count!(@one $outcome, "none"),
            (Some(TokenSourceKind::Cookie), None) => count!(@one $outcome, "cookie"),
            (Some(TokenSourceKind::AccessCookie), None) => count!(@one $outcome, "access_cookie"),
            (Some(TokenSourceKind::Bearer), None) => count!(@one $outcome, "bearer"),
            (Some(TokenSourceKind::Header), None) => count!(@one $outcome, "header"),
            (Some(TokenSourceKind::Metadata), None) => count!(@one $outcome, "metadata"),
            (Some(TokenSourceKind::Custom), None) => count!(@one $outcome, "custom"),
            (Some(TokenSourceKind::Body), None) => count!(@one $outcome, "body"),
            (Some(_), Some(_)) => count!(@one $outcome, token_sources.to_string()),
        }
    }};
    (@one $outcome:literal, $token_sources:literal) => {
        counter!("logouts_total", "outcome" => $outcome, "token_sources" => $token_sources).increment(1)
    };
    (@one $outcome:literal, $token_sources:expr) => {
        counter!("logouts_total", "outcome" => $outcome, "token_sources" => $token_sources).increment(1)
    };
}

/// Counts a check of [`RequireSessionLayer`](crate::require::RequireSessionLayer).
pub(crate) fn count_check(outcome: &'static str) {
    /// A label that is a literal needs no allocation.
    macro_rules! counter_of {
        ($($literal:literal)*) => {
            match outcome {
                $($literal => counter!("session_checks_total", "outcome" => $literal),)*
                _ => counter!("session_checks_total", "outcome" => outcome),
            }
        };
    }
    counter_of!("live" "ended" "no_session" "stale" "unavailable").increment(1);
}

/// Sets how many ended sessions this node knows, and how long ago it read the log.
#[cfg(feature = "ended")]
pub(crate) fn set_ended_sessions(len: usize, age: Option<Duration>) {
    // Exact up to 2^53 sessions.
    #[allow(clippy::cast_precision_loss)]
    gauge!("ended_sessions").set(len as f64);
    set_age(age);
}

/// Sets how long ago this node read the log of ended sessions. A node that never did has an infinite age.
#[cfg(feature = "ended")]
pub(crate) fn set_age(age: Option<Duration>) {
    let age = age.map_or(f64::INFINITY, |age| age.as_secs_f64());
    gauge!("ended_sessions_age_seconds").set(age);
}

pub(crate) fn count(outcome: &Outcome, latency: Duration) {
    let token_sources = outcome.token_sources();
    match outcome {
        Outcome::Revoked { .. } => measure!("revoked", token_sources, latency),
        Outcome::Inactive { .. } => measure!("inactive", token_sources, latency),
        Outcome::NoToken => measure!("no_token", token_sources, latency),
        Outcome::Rejected { .. } => measure!("rejected", token_sources, latency),
        Outcome::Failed(_) => measure!("failed", token_sources, latency),
    }
}
