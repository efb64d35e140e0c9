//! The operation of a logout: it ends all that was presented.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures::FutureExt;

use crate::credential::Credentials;
use crate::outcome::Failure;
use crate::route::Action;
use crate::store::{Sessions, ended_before};
use crate::{
    BoxError, FailureKind, Outcome, Refusal, Revocation, Scope, SubjectStore, Token, TokenStore,
};

/// Ends what all presented tokens stand for. One that fails keeps none of the others from ending.
pub(crate) async fn revoke_all<T: TokenStore>(
    store: &T,
    action: Action<T>,
    presented: &Credentials,
) -> Outcome {
    let credentials = presented.kinds;
    let mut scope = action.scope;
    let revoked = match action.revoke_subjects {
        None => revoke_each(store, &presented.tokens).await,
        Some(revoke_subjects) => revoke_subjects(store, &presented.tokens, scope).await,
    };
    if revoked.kept_none {
        scope = Scope::All;
    }
    let sessions = revoked.ended;
    let unread = || presented.unread.map(Failure::new);
    if let Some(failure) = revoked.failure.or_else(unread) {
        Outcome::Failed(failure.after(sessions).of(credentials, scope))
    } else if revoked.names_no_subject {
        Outcome::Refused {
            reason: Refusal::NoSubject,
            credentials,
            scope,
        }
    } else if revoked.any_ended {
        Outcome::Revoked {
            sessions,
            credentials,
            scope,
        }
    } else {
        Outcome::AlreadyEnded { credentials, scope }
    }
}

async fn revoke_each<T: TokenStore>(store: &T, tokens: &[Token]) -> Revoked {
    let mut revoked = Revoked::default();
    for token in tokens {
        let call = async { store.revoke(token).await };
        revoked.add(call, tokens).await;
    }
    revoked
}

/// Ends the sessions of the subjects that the tokens name.
pub(crate) async fn revoke_subjects<T: SubjectStore>(
    store: &T,
    tokens: &[Token],
    scope: Scope,
) -> Revoked {
    let mut revoked = Revoked::default();
    let mut subjects = Vec::new();
    for token in tokens {
        let call = async { store.subject(token).await };
        if let Some(Some(subject)) = revoked.result(call, tokens).await
            && !subjects.contains(&subject)
        {
            subjects.push(subject);
        }
    }
    revoked.names_no_subject = subjects.is_empty();
    for subject in &subjects {
        let call = async { store.revoke_subject(subject, tokens).await };
        revoked.add(call, tokens).await;
    }
    if scope == Scope::All && !subjects.is_empty() && revoked.failure.is_none() {
        // Last: until all others have ended, the tokens name the subject for another attempt.
        for token in tokens {
            let call = async { store.revoke(token).await };
            revoked.add(call, tokens).await;
        }
    }
    if scope == Scope::Others && !subjects.is_empty() {
        revoked.kept_none = true;
        for token in tokens {
            let call = async { store.subject(token).await };
            if !matches!(revoked.result(call, tokens).await, Some(None)) {
                revoked.kept_none = false;
            }
        }
    }
    revoked
}

/// What became of the calls to a store.
#[derive(Default)]
pub(crate) struct Revoked {
    ended: Sessions,
    any_ended: bool,
    failure: Option<Failure>,
    names_no_subject: bool,
    /// No presented token was live, so the session that was to be kept has ended with the others.
    kept_none: bool,
}

impl Revoked {
    async fn add(
        &mut self,
        call: impl Future<Output = Result<Revocation, BoxError>>,
        tokens: &[Token],
    ) {
        match self.result(call, tokens).await {
            None | Some(Revocation::NotFound) => {}
            Some(Revocation::Revoked) => self.any_ended = true,
            Some(Revocation::Sessions(sessions)) => {
                self.any_ended = true;
                self.ended.append(sessions);
            }
        }
    }

    /// What a call came to, unless it failed or panicked. The store is called in it, since it may panic
    /// before it returns a future.
    async fn result<R>(
        &mut self,
        call: impl Future<Output = Result<R, BoxError>>,
        tokens: &[Token],
    ) -> Option<R> {
        match AssertUnwindSafe(call).catch_unwind().await {
            Ok(Ok(result)) => Some(result),
            Ok(Err(error)) => {
                self.fail(error, tokens);
                None
            }
            Err(_panic) => {
                self.failure = Some(Failure::new(FailureKind::Panic));
                None
            }
        }
    }

    /// It is the store's code that says what the error is made of, and puts it into words.
    #[inline(never)]
    fn fail(&mut self, error: BoxError, tokens: &[Token]) {
        let read = AssertUnwindSafe(move || {
            let failure = Failure::store(&*error, tokens);
            (failure, ended_before(&*error))
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
}
