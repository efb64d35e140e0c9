//! Reports the outcome of a logout: the event, the metrics and the callback.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::outcome::Outcome;
use crate::store::Scope;
use crate::token::TokenSourceKinds;

pub(crate) type OnOutcome = Arc<dyn Fn(&Outcome, Duration) + Send + Sync>;

/// Observes one logout from its start.
#[derive(Clone)]
pub(crate) struct Observer {
    started: Instant,
    on_outcome: Option<OnOutcome>,
    /// Where the request presented tokens.
    pub(crate) token_sources: TokenSourceKinds,
    pub(crate) scope: Scope,
}

impl Observer {
    pub(crate) fn start(
        on_outcome: Option<&OnOutcome>,
        token_sources: TokenSourceKinds,
        scope: Scope,
    ) -> Self {
        Self {
            started: Instant::now(),
            on_outcome: on_outcome.cloned(),
            token_sources,
            scope,
        }
    }

    /// Reports the outcome. Called once per logout.
    pub(crate) fn report(&self, outcome: &Outcome) {
        #[cfg(feature = "tracing")]
        if is_traced() {
            event(outcome, self.started);
        }
        #[cfg(feature = "metrics")]
        crate::metrics::count(outcome, self.started.elapsed());
        self.call_back(outcome);
    }

    /// Reports a revocation that ended after the timeout. Only the callback is called, because the timeout
    /// already had an event and was counted.
    pub(crate) fn report_late(&self, outcome: &Outcome) {
        self.call_back(outcome);
    }

    fn call_back(&self, outcome: &Outcome) {
        if let Some(on_outcome) = &self.on_outcome {
            let latency = self.started.elapsed();
            // A panic of the callback must not turn an ended session into a failed logout.
            let _ = catch_unwind(AssertUnwindSafe(|| on_outcome(outcome, latency)));
        }
    }
}

/// Whether any subscriber is interested in events. If not, a logout does not look up its span.
#[cfg(feature = "tracing")]
pub(crate) fn is_traced() -> bool {
    use tracing::level_filters::LevelFilter;
    LevelFilter::current() != LevelFilter::OFF
}

#[cfg(feature = "tracing")]
fn event(outcome: &Outcome, started: Instant) {
    let name = outcome.name();
    let status = outcome.status().as_u16();
    let token_sources = outcome.token_sources();
    let scope = outcome.scope().name();
    match outcome {
        Outcome::Failed(failure) => {
            tracing::error!(outcome = name, http.response.status_code = status, latency = ?started.elapsed(), scope, %token_sources, sessions = ?outcome.sessions(), error = %failure, "logout");
        }
        Outcome::Rejected { rejection, .. } => {
            tracing::warn!(outcome = name, http.response.status_code = status, latency = ?started.elapsed(), scope, %token_sources, %rejection, "logout");
        }
        Outcome::Revoked { sessions, .. } => {
            tracing::info!(outcome = name, http.response.status_code = status, latency = ?started.elapsed(), scope, %token_sources, ?sessions, "logout");
        }
        // A client that holds a session and presents no token is a mistake of the set-up.
        Outcome::NoToken => {
            tracing::warn!(outcome = name, http.response.status_code = status, latency = ?started.elapsed(), scope, %token_sources, "logout");
        }
        Outcome::Inactive { .. } => {
            tracing::info!(outcome = name, http.response.status_code = status, latency = ?started.elapsed(), scope, %token_sources, "logout");
        }
    }
}
