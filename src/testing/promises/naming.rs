//! The names of the ended sessions.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::try_join_all;

use super::{ATTEMPTS, Broken, Check, Suite, expect};
use crate::store::{BoxError, Incomplete, Revocation, SessionId, SubjectStore, TokenStore};
use crate::testing::Report;
use crate::token::Token;

/// How many sessions end at once, each by several logouts.
const SESSIONS: usize = 12;

/// How many logouts of all sessions run at the same time.
const LOGOUTS_OF_ALL: usize = 3;

impl Suite {
    pub(in crate::testing) async fn naming(
        &self,
        report: &mut Report,
        store: Option<Arc<dyn SubjectStore>>,
    ) {
        report
            .check(
                "each ended session is named once, however many logouts end it at the same time",
                self.each_is_named_once(store),
            )
            .await;
    }

    async fn each_is_named_once(&self, store: Option<Arc<dyn SubjectStore>>) -> Check {
        // A subject of its own, so that the check can count the sessions.
        let subject = format!("subject {}", Token::generate()?.expose());
        let mut logouts = Vec::new();
        for _ in 0..SESSIONS {
            let token = self.log_in(&subject).await?;
            let next = self.application.refresh(&token).await?;
            for token in [token].into_iter().chain(next) {
                logouts.push(Logout::One(Arc::clone(&self.tokens), token));
            }
        }
        if let Some(store) = store {
            self.none_is_named_again(&*store).await?;
            let all = || Logout::All(Arc::clone(&store), subject.clone());
            logouts.extend(std::iter::repeat_with(all).take(LOGOUTS_OF_ALL));
        }
        let logouts = logouts
            .into_iter()
            .map(|logout| tokio::spawn(logout.named()));
        let mut times: HashMap<SessionId, usize> = HashMap::new();
        for ended in try_join_all(logouts).await? {
            for revocation in ended? {
                match revocation {
                    Revocation::Sessions(ids) => {
                        for id in &ids {
                            *times.entry(id.clone()).or_default() += 1;
                        }
                    }
                    Revocation::Revoked => {
                        return Err(Broken::NotAsked("the store does not name its sessions"));
                    }
                    Revocation::NotFound => {}
                }
            }
        }
        expect(times.values().all(|times| *times == 1), || {
            let most = times.values().max().copied().unwrap_or_default();
            format!("a session was named {most} times")
        })?;
        expect(times.len() == SESSIONS, || {
            format!("{SESSIONS} sessions ended, and {} were named", times.len())
        })
    }

    /// Ends sessions without a race, so that a repeated name is always seen.
    async fn none_is_named_again(&self, store: &dyn SubjectStore) -> Check {
        let subject = format!("subject {}", Token::generate()?.expose());
        let mut tokens = Vec::new();
        for _ in 0..SESSIONS {
            tokens.push(self.log_in(&subject).await?);
        }
        store.revoke_subject(&subject, &[]).await?;
        let mut again = vec![store.revoke_subject(&subject, &[]).await?];
        for token in &tokens {
            again.push(self.tokens.revoke(token).await?);
        }
        expect(
            again.iter().all(|again| *again == Revocation::NotFound),
            || "a session was named again after its end".into(),
        )
    }
}

enum Logout {
    One(Arc<dyn TokenStore>, Token),
    All(Arc<dyn SubjectStore>, String),
}

impl Logout {
    async fn attempt(&self) -> Result<Revocation, BoxError> {
        match self {
            Self::One(store, token) => store.revoke(token).await,
            Self::All(store, subject) => store.revoke_subject(subject, &[]).await,
        }
    }

    /// Returns the result of each attempt. A database may reject one of two concurrent logouts.
    async fn named(self) -> Result<Vec<Revocation>, BoxError> {
        let mut named = Vec::new();
        for _ in 1..ATTEMPTS {
            match self.attempt().await {
                Ok(ended) => {
                    named.push(ended);
                    return Ok(named);
                }
                Err(error) => named.push(Incomplete::ended_by(&*error)),
            }
        }
        named.push(self.attempt().await?);
        Ok(named)
    }
}
