//! The operation of a logout: it revokes every presented token.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::FutureExt;

#[cfg(feature = "ended")]
use crate::ended::EndedSessions;
use crate::outcome::{Failure, FailureKind, Outcome, Rejection};
use crate::route::Action;
use crate::store::{BoxError, Incomplete, Revocation, Scope, SessionIds, SubjectStore, TokenStore};
use crate::token::{Presented, Token};

/// Revokes each presented token. An error for one token does not stop the others.
pub(crate) async fn revoke_all<T: TokenStore>(
    store: &T,
    action: Action<T>,
    tokens: &[Token],
) -> Revoked {
    let mut revoked = Revoked::default();
    match action.revoke_subjects {
        None => {
            for token in tokens {
                let result = caught(async { store.revoke(token).await }).await;
                revoked.add(result, tokens);
            }
        }
        Some(revoke_subjects) => revoke_subjects(store, tokens, action.scope, &mut revoked).await,
    }
    revoked
}

/// Revokes the sessions of the subjects of the tokens.
pub(crate) async fn revoke_subjects<T: SubjectStore>(
    store: &T,
    tokens: &[Token],
    scope: Scope,
    revoked: &mut Revoked,
) {
    let mut subjects = Vec::new();
    for token in tokens {
        let result = caught(async { store.subject(token).await }).await;
        if let Some(Some(subject)) = revoked.unless_failed(result, tokens) {
            if !subjects.contains(&subject) {
                subjects.push(subject);
            }
        }
    }
    revoked.names_no_subject = subjects.is_empty();
    #[cfg(feature = "ended")]
    {
        // Of the sessions of a subject, the store names those that this call has ended.
        revoked.unnamed.by_another_node = true;
    }
    for subject in &subjects {
        let result = caught(async { store.revoke_subject(subject, tokens).await }).await;
        revoked.add(result, tokens);
    }
    if subjects.is_empty() || revoked.failure.is_some() {
        // The presented tokens stay alive, so that they still name the subject when the client tries again.
        return;
    }
    if scope == Scope::All {
        for token in tokens {
            let result = caught(async { store.revoke(token).await }).await;
            revoked.add(result, tokens);
        }
    } else {
        revoked.kept_none = true;
        for token in tokens {
            let result = caught(async { store.subject(token).await }).await;
            if !matches!(revoked.unless_failed(result, tokens), Some(None)) {
                revoked.kept_none = false;
            }
        }
    }
}

/// The result of a call to a store, or its panic.
type Caught<R> = Result<Result<R, BoxError>, Box<dyn Any + Send>>;

/// Catches a panic. `call` has to call the store when it is polled, because a store can panic before it
/// returns a future.
fn caught<R>(call: impl Future<Output = Result<R, BoxError>>) -> impl Future<Output = Caught<R>> {
    AssertUnwindSafe(call).catch_unwind()
}

/// The results of the store calls of one logout.
#[derive(Default)]
pub(crate) struct Revoked {
    ended: SessionIds,
    any_ended: bool,
    failure: Option<Failure>,
    names_no_subject: bool,
    /// No presented token was live, so there was no session to keep.
    kept_none: bool,
    #[cfg(feature = "ended")]
    unnamed: Unnamed,
}

/// Who may have ended a session that has no name in [`Revoked`].
#[cfg(feature = "ended")]
#[derive(Default)]
struct Unnamed {
    by_store: bool,
    by_another_node: bool,
}

impl Revoked {
    fn add(&mut self, result: Caught<Revocation>, tokens: &[Token]) {
        match self.unless_failed(result, tokens) {
            None => {}
            Some(Revocation::NotFound) => {
                #[cfg(feature = "ended")]
                {
                    self.unnamed.by_another_node = true;
                }
            }
            Some(Revocation::Revoked) => {
                self.any_ended = true;
                #[cfg(feature = "ended")]
                {
                    self.unnamed.by_store = true;
                }
            }
            Some(Revocation::Sessions(sessions)) => {
                self.any_ended = true;
                self.ended.append(sessions);
            }
        }
    }

    fn unless_failed<R>(&mut self, result: Caught<R>, tokens: &[Token]) -> Option<R> {
        match result {
            Ok(Ok(result)) => return Some(result),
            Ok(Err(error)) => self.fail(error, tokens),
            Err(_panic) => self.failure = Some(Failure::new(FailureKind::Panic)),
        }
        None
    }

    /// Catches a panic here too: `source` and `Display` of the error are code of the store.
    #[inline(never)]
    fn fail(&mut self, error: BoxError, tokens: &[Token]) {
        let read = AssertUnwindSafe(move || {
            let failure = Failure::store(&*error, tokens);
            (failure, Incomplete::ended_by(&*error))
        });
        match catch_unwind(read) {
            Ok((failure, ended)) => {
                self.failure = Some(failure);
                if let Revocation::Sessions(sessions) = ended {
                    self.ended.append(sessions);
                }
            }
            Err(_panic) => self.failure = Some(Failure::new(FailureKind::Panic)),
        }
    }

    /// Ends the sessions on this node. Without a failure, no access token of theirs is accepted here afterwards.
    #[cfg(feature = "ended")]
    pub(crate) async fn end_on(mut self, ended: &EndedSessions) -> Self {
        for session in &self.ended {
            ended.end(session);
        }
        if self.failure.is_some() {
            return self;
        }
        if self.unnamed.by_store {
            self.failure = Some(Failure::new(FailureKind::SessionNotNamed));
        } else if self.unnamed.by_another_node && ended.catch_up().await.is_err() {
            self.failure = Some(Failure::new(FailureKind::LogNotRead));
        }
        self
    }

    pub(crate) fn outcome(self, presented: &Presented, scope: Scope) -> Outcome {
        let (sessions, token_sources) = (self.ended, presented.kinds);
        let scope = if self.kept_none { Scope::All } else { scope };
        let unread = || presented.unread.map(Failure::new);
        if let Some(failure) = self.failure.or_else(unread) {
            Outcome::Failed(failure.after(sessions).in_logout(token_sources, scope))
        } else if self.names_no_subject {
            Outcome::Rejected {
                rejection: Rejection::NoSubject,
                token_sources,
                scope,
            }
        } else if self.any_ended {
            Outcome::Revoked {
                sessions,
                token_sources,
                scope,
            }
        } else {
            Outcome::Inactive {
                token_sources,
                scope,
            }
        }
    }
}
