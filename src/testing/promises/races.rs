//! Rotations that race with other rotations or with a revocation.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::try_join_all;

use super::{Broken, Check, Suite, expect};
use crate::store::BoxError;
use crate::testing::{Application, Report};
use crate::token::Token;

/// How many chains of refreshes start with the same token, during its logout.
const CHAINS: usize = 3;

/// How many tokens a chain has at most, unless the logout ends it before.
const LONG_CHAIN: usize = 500;

impl Suite {
    pub(super) async fn races(&self, report: &mut Report) {
        report
            .check(
                "of many rotations of one token at once, at most one succeeds, or two within the \
                 leeway",
                self.one_rotation_succeeds(),
            )
            .await;
        report
            .check(
                "after a revocation has returned, no refresh in flight brings the session back",
                self.no_refresh_brings_it_back(),
            )
            .await;
    }

    async fn one_rotation_succeeds(&self) -> Check {
        for _ in 0..self.rounds {
            let token = self.log_in("alice").await?;
            let rotations = (0..8).map(|_| {
                let (application, token) = (Arc::clone(&self.application), token.clone());
                tokio::spawn(async move { application.refresh(&token).await })
            });
            let mut succeeded = 0;
            for rotated in try_join_all(rotations).await? {
                succeeded += usize::from(rotated?.is_some());
            }
            if succeeded == 0 {
                return Err(Broken::NotAsked("the application does not refresh"));
            }
            let most = if self.has_leeway() { 2 } else { 1 };
            expect(succeeded <= most, || format!("{succeeded} of 8 succeeded"))?;
        }
        Ok(())
    }

    async fn no_refresh_brings_it_back(&self) -> Check {
        self.refresh(&self.log_in("alice").await?).await?;
        for round in 0..self.rounds {
            let first = self.log_in("alice").await?;
            // In every fourth round several chains, because their reuse of the first token is another race.
            let chains = if round % 4 == 3 { CHAINS } else { 1 };
            let progress = Arc::new(AtomicUsize::new(0));
            let refreshes: Vec<_> = (0..chains)
                .map(|_| {
                    let chain = refresh_on(
                        Arc::clone(&self.application),
                        first.clone(),
                        Arc::clone(&progress),
                    );
                    tokio::spawn(chain)
                })
                .collect();
            // The logout starts earlier or later, depending on the round.
            while progress.load(Ordering::Relaxed) < round % 5
                && !refreshes.iter().all(tokio::task::JoinHandle::is_finished)
            {
                tokio::task::yield_now().await;
            }
            for _ in 0..round * 3 {
                tokio::task::yield_now().await;
            }
            self.tokens.revoke(&first).await?;
            expect(self.application.refresh(&first).await?.is_none(), || {
                "a token was rotated after its revocation had returned".into()
            })?;
            for made in try_join_all(refreshes).await? {
                for (index, token) in made?.iter().enumerate() {
                    expect(!self.application.accepts(token).await?, || {
                        format!(
                            "token {} of a chain of refreshes outlived the logout",
                            index + 1
                        )
                    })?;
                }
            }
        }
        Ok(())
    }
}

/// Refreshes until a refresh is rejected, and returns all tokens.
async fn refresh_on(
    application: Arc<dyn Application>,
    first: Token,
    progress: Arc<AtomicUsize>,
) -> Result<Vec<Token>, BoxError> {
    let mut made = vec![first];
    // If the revocation does nothing, the chain would never end.
    while made.len() < LONG_CHAIN {
        let refreshed = match made.last() {
            Some(token) => application.refresh(token).await,
            None => Ok(None),
        };
        let ended = !matches!(refreshed, Ok(Some(_)));
        progress.fetch_add(if ended { LONG_CHAIN } else { 1 }, Ordering::Relaxed);
        match refreshed? {
            Some(next) => made.push(next),
            None => break,
        }
    }
    Ok(made)
}
