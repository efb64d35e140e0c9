//! Counts the logouts, and how long they took, for whoever has installed a recorder of `metrics`.

use std::time::Duration;

use metrics::{counter, histogram};

use crate::{CredentialKind, CredentialKinds, Outcome};

/// Labels that are literals cost no allocation, so each outcome and each kind is spelt out.
macro_rules! measure {
    ($outcome:literal, $credentials:expr, $took:expr) => {{
        count!($outcome, $credentials);
        histogram!("logout_duration_seconds", "outcome" => $outcome).record($took);
    }};
}

macro_rules! count {
    ($outcome:literal, $credentials:expr) => {{
        let credentials: CredentialKinds = $credentials;
        let mut kinds = credentials.iter();
        match (kinds.next(), kinds.next()) {
            (None, _) => count!(@one $outcome, "none"),
            (Some(CredentialKind::Cookie), None) => count!(@one $outcome, "cookie"),
            (Some(CredentialKind::Bearer), None) => count!(@one $outcome, "bearer"),
            (Some(CredentialKind::Header), None) => count!(@one $outcome, "header"),
            (Some(CredentialKind::Metadata), None) => count!(@one $outcome, "metadata"),
            (Some(CredentialKind::Custom), None) => count!(@one $outcome, "custom"),
            (Some(_), Some(_)) => count!(@one $outcome, credentials.to_string()),
        }
    }};
    (@one $outcome:literal, $credentials:literal) => {
        counter!("logouts_total", "outcome" => $outcome, "credentials" => $credentials).increment(1)
    };
    (@one $outcome:literal, $credentials:expr) => {
        counter!("logouts_total", "outcome" => $outcome, "credentials" => $credentials).increment(1)
    };
}

pub(crate) fn measure(outcome: &Outcome, took: Duration) {
    let credentials = outcome.credentials();
    match outcome {
        Outcome::Revoked { .. } => measure!("revoked", credentials, took),
        Outcome::AlreadyEnded { .. } => measure!("already_ended", credentials, took),
        Outcome::NoCredential => measure!("no_credential", credentials, took),
        Outcome::Refused { .. } => measure!("refused", credentials, took),
        Outcome::Failed(_) => measure!("failed", credentials, took),
    }
}
