//! Tells the operator what became of a logout.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::{CredentialKinds, Outcome, Scope};

pub(crate) type Hook = Arc<dyn Fn(&Outcome, Duration) + Send + Sync>;

/// Watches one logout, from its start.
#[derive(Clone)]
pub(crate) struct Observer {
    started: Instant,
    hook: Option<Hook>,
    /// What the request presented.
    pub(crate) credentials: CredentialKinds,
    pub(crate) scope: Scope,
}

impl Observer {
    pub(crate) fn start(hook: Option<&Hook>, credentials: CredentialKinds, scope: Scope) -> Self {
        Self {
            started: Instant::now(),
            hook: hook.cloned(),
            credentials,
            scope,
        }
    }

    /// Once per logout.
    pub(crate) fn report(&self, outcome: &Outcome) {
        #[cfg(feature = "tracing")]
        if is_traced() {
            event(outcome, self.started);
        }
        #[cfg(feature = "metrics")]
        crate::measure::measure(outcome, self.started.elapsed());
        self.call_hook(outcome);
    }

    /// For a revocation that ended after its logout had been answered. The deadline was its event, and
    /// counted.
    pub(crate) fn report_late(&self, outcome: &Outcome) {
        self.call_hook(outcome);
    }

    fn call_hook(&self, outcome: &Outcome) {
        if let Some(hook) = &self.hook {
            let took = self.started.elapsed();
            // The session is ended, whatever becomes of its record.
            let _ = catch_unwind(AssertUnwindSafe(|| hook(outcome, took)));
        }
    }
}

/// Whether anybody listens to any event: where nobody does, a logout need not look for its span.
#[cfg(feature = "tracing")]
pub(crate) fn is_traced() -> bool {
    use tracing::level_filters::LevelFilter;
    LevelFilter::current() != LevelFilter::OFF
}

#[cfg(feature = "tracing")]
fn event(outcome: &Outcome, started: Instant) {
    let name = outcome.name();
    let status = outcome.status().as_u16();
    let credentials = outcome.credentials();
    let scope = outcome.scope().name();
    match outcome {
        Outcome::Failed(failure) => {
            tracing::error!(outcome = name, http.response.status_code = status, took = ?started.elapsed(), scope, %credentials, sessions = ?outcome.sessions(), error = %failure, "logout");
        }
        Outcome::Refused { reason, .. } => {
            tracing::warn!(outcome = name, http.response.status_code = status, took = ?started.elapsed(), scope, %credentials, %reason, "logout");
        }
        Outcome::Revoked { sessions, .. } => {
            tracing::info!(outcome = name, http.response.status_code = status, took = ?started.elapsed(), scope, %credentials, ?sessions, "logout");
        }
        Outcome::AlreadyEnded { .. } | Outcome::NoCredential => {
            tracing::info!(outcome = name, http.response.status_code = status, took = ?started.elapsed(), scope, %credentials, "logout");
        }
    }
}
