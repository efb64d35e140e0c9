//! The checks of the suite, with one file per group of promises.

mod age;
mod at_rest;
mod ended_log;
mod family;
mod leeway;
mod naming;
mod races;
mod revocation;
mod sessions;
mod subjects;

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;

use super::{Application, Report, Verdict};
use crate::store::{BoxError, TokenStore};
use crate::token::Token;

/// Subjects that a careless comparison treats as equal.
const LOOKALIKES: [&str; 9] = [
    "alice",
    "Alice",
    "alice ",
    " alice",
    "al_ce",
    "al%",
    "a\u{301}lice",
    "\u{e1}lice",
    "alicé",
];

/// How often a check is repeated that can fail only because the store is slow.
const ATTEMPTS: usize = 5;

/// The tolerance for clocks that count in milliseconds or are read one after the other.
const MARGIN: Duration = Duration::from_millis(30);

/// Why a check did not succeed.
enum Broken {
    Seen(String),
    NotAsked(&'static str),
}

impl From<BoxError> for Broken {
    fn from(error: BoxError) -> Self {
        Self::Seen(format!("the store failed: {error}"))
    }
}

impl From<tokio::task::JoinError> for Broken {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::Seen(format!("the store panicked: {error}"))
    }
}

type Check = Result<(), Broken>;

fn expect(holds: bool, otherwise: impl FnOnce() -> String) -> Check {
    if holds {
        Ok(())
    } else {
        Err(Broken::Seen(otherwise()))
    }
}

impl Report {
    async fn check(&mut self, promise: &'static str, check: impl Future<Output = Check>) {
        let verdict = match AssertUnwindSafe(check).catch_unwind().await {
            Ok(Ok(())) => Verdict::Kept,
            Ok(Err(Broken::Seen(seen))) => Verdict::Broken(seen),
            Ok(Err(Broken::NotAsked(why))) => Verdict::NotAsked(why),
            Err(_panic) => Verdict::Broken("the store panicked".into()),
        };
        self.enter(promise, verdict);
    }
}

#[derive(Clone)]
pub(super) struct Suite {
    pub(super) tokens: Arc<dyn TokenStore>,
    pub(super) application: Arc<dyn Application>,
    pub(super) rounds: usize,
    pub(super) rotations: usize,
}

impl Suite {
    /// Runs the checks for every store.
    pub(super) async fn run(&self, report: &mut Report) {
        self.revocation(report).await;
        self.family(report).await;
        self.leeway(report).await;
        self.races(report).await;
    }

    async fn log_in(&self, subject: &str) -> Result<Token, Broken> {
        let token = self.application.log_in(subject).await?;
        let accepted = self.application.accepts(&token).await?;
        expect(accepted, || {
            "the token of a login was not accepted right after it".into()
        })?;
        Ok(token)
    }

    /// Refreshes a token for the first time. Not every application has a refresh.
    async fn refresh(&self, token: &Token) -> Result<Token, Broken> {
        match self.application.refresh(token).await? {
            Some(next) => Ok(next),
            None => Err(Broken::NotAsked("the application does not refresh")),
        }
    }

    /// Whether the application refreshes at all.
    async fn refreshes(&self) -> Result<bool, Broken> {
        let token = self.log_in("alice").await?;
        Ok(self.application.refresh(&token).await?.is_some())
    }

    async fn expect_rejected(&self, token: &Token, which: &str) -> Check {
        let refreshed = self.application.refresh(token).await?;
        expect(refreshed.is_none(), || format!("{which} was rotated"))
    }

    async fn expect_dead(&self, token: &Token, which: &str) -> Check {
        let accepted = self.application.accepts(token).await?;
        expect(!accepted, || format!("{which} was accepted"))
    }

    async fn expect_live(&self, token: &Token, which: &str) -> Check {
        let accepted = self.application.accepts(token).await?;
        expect(accepted, || format!("{which} was not accepted"))
    }

    fn has_leeway(&self) -> bool {
        !self.application.reuse_leeway().is_zero()
    }

    async fn wait_the_leeway_out(&self) {
        if self.has_leeway() {
            tokio::time::sleep(self.application.reuse_leeway() + MARGIN).await;
        }
    }

    /// Returns a token that was rotated twice within the leeway, and its two successors.
    async fn rotated_twice(&self, subject: &str) -> Result<[Token; 3], Broken> {
        let leeway = self.application.reuse_leeway();
        for _ in 0..ATTEMPTS {
            let token = self.log_in(subject).await?;
            let start = Instant::now();
            let next = self.refresh(&token).await?;
            if let Some(sibling) = self.application.refresh(&token).await? {
                return Ok([token, next, sibling]);
            }
            expect(start.elapsed() >= leeway, || {
                format!("within the leeway of {leeway:?}, a token was not rotated a second time")
            })?;
        }
        Err(Broken::Seen(format!(
            "two rotations took longer than the leeway of {leeway:?}, {ATTEMPTS} times: use a store with \
             a longer leeway"
        )))
    }
}
