//! The conformance suite finds and reports the faults of a store.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tower_logout::store::{
    Rotation, Session, SessionId, SessionPolicy, SessionStore, SubjectStore,
};
use tower_logout::testing::{Application, Conformance, Report, Verdict};
use tower_logout::{BoxError, MemoryStore, Revocation, Token, TokenStore, async_trait};

use support::*;

use crate::caught::assert_breaks;

/// The fault of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    RevokesNothing,
    ReportsEveryCall,
    DoesNotReport,
    NamesTwoSessions,
    FailsOnUnknown,
    PanicsOnHuge,
    EndsTheSubjectsSessions,
    EndsThePresentedTokenAlone,
    ToleratesReuse,
    RotatesInTwoSteps,
    AcceptsRotatedTokens,
    ForgetsTheCase,
    KeepsNothing,
    EndsTheFirstSessionAlone,
    KnowsNobody,
    IgnoresExpiry,
    FailsOnExpired,
    FindsEndedSessions,
    ChangesTheId,
    TakesTakenTokens,
}

/// A memory store with a fault.
#[derive(Clone)]
struct Faulty {
    store: MemoryStore,
    fault: Fault,
    ended: Arc<Mutex<Vec<Session>>>,
    crowd: Arc<Mutex<Vec<String>>>,
}

impl Faulty {
    fn new(store: MemoryStore, fault: Fault) -> Self {
        Self {
            store,
            fault,
            ended: Arc::default(),
            crowd: Arc::default(),
        }
    }
}

#[async_trait]
impl TokenStore for Faulty {
    async fn revoke(&self, token: &Token) -> Result<Revocation, BoxError> {
        let found = self.store.find(token).await?;
        self.ended.lock().unwrap().extend(found.clone());
        match (self.fault, found) {
            (Fault::RevokesNothing, Some(found)) => {
                return Ok(Revocation::Sessions(found.id.into()));
            }
            (Fault::EndsTheSubjectsSessions, Some(found)) => {
                return self.store.revoke_subject(&found.subject, &[]).await;
            }
            (Fault::EndsThePresentedTokenAlone, None) => return Ok(Revocation::NotFound),
            (Fault::FailsOnUnknown, None) => return Err("no such token".into()),
            (Fault::FailsOnExpired, None) if self.store.subject(token).await?.is_none() => {
                let known = self.crowd.lock().unwrap().contains(&token.expose().into());
                if known && self.ended.lock().unwrap().is_empty() {
                    return Err("the session has expired".into());
                }
            }
            (Fault::PanicsOnHuge, _) => assert!(token.expose().len() < 10_000, "too long"),
            _ => {}
        }
        let revoked = self.store.revoke(token).await?;
        Ok(match (self.fault, revoked) {
            (Fault::ReportsEveryCall, _) => Revocation::Revoked,
            (Fault::DoesNotReport, _) => Revocation::NotFound,
            (Fault::NamesTwoSessions, Revocation::Sessions(sessions)) => {
                let another = [SessionId::new("another")];
                sessions.iter().cloned().chain(another).collect()
            }
            (_, revoked) => revoked,
        })
    }
}

#[async_trait]
impl SubjectStore for Faulty {
    async fn subject(&self, token: &Token) -> Result<Option<String>, BoxError> {
        match self.fault {
            Fault::KnowsNobody => Ok(None),
            _ => self.store.subject(token).await,
        }
    }

    async fn revoke_subject(&self, subject: &str, keep: &[Token]) -> Result<Revocation, BoxError> {
        match self.fault {
            Fault::KeepsNothing => self.store.revoke_subject(subject, &[]).await,
            Fault::ForgetsTheCase => {
                self.store.revoke_subject("Alice", keep).await?;
                self.store.revoke_subject(subject, keep).await
            }
            Fault::EndsTheFirstSessionAlone if keep.is_empty() => Ok(Revocation::Revoked),
            _ => self.store.revoke_subject(subject, keep).await,
        }
    }
}

#[async_trait]
impl SessionStore for Faulty {
    async fn open(&self, subject: &str, token: &Token) -> Result<Session, BoxError> {
        self.crowd.lock().unwrap().push(token.expose().into());
        if self.fault == Fault::TakesTakenTokens {
            self.store.revoke(token).await?;
        }
        self.store.open(subject, token).await
    }

    async fn rotate(&self, presented: &Token, next: &Token) -> Result<Rotation, BoxError> {
        match self.fault {
            Fault::ToleratesReuse if self.store.find(presented).await?.is_none() => {
                Ok(Rotation::NotFound)
            }
            Fault::RotatesInTwoSteps => {
                let Some(session) = self.store.find(presented).await? else {
                    return self.store.rotate(presented, next).await;
                };
                tokio::time::sleep(Duration::from_millis(2)).await;
                self.store.revoke(presented).await?;
                Ok(Rotation::Rotated(
                    self.store.open(&session.subject, next).await?,
                ))
            }
            Fault::ChangesTheId => match self.store.rotate(presented, next).await? {
                Rotation::Rotated(mut session) => {
                    session.id = SessionId::new("another");
                    Ok(Rotation::Rotated(session))
                }
                other => Ok(other),
            },
            _ => self.store.rotate(presented, next).await,
        }
    }

    async fn find(&self, token: &Token) -> Result<Option<Session>, BoxError> {
        let found = self.store.find(token).await?;
        Ok(match self.fault {
            Fault::AcceptsRotatedTokens => {
                let subject = self.store.subject(token).await?;
                let id = SessionId::new("of-the-family");
                let session = subject.map(|subject| Session::new(id, subject, SystemTime::now()));
                found.or(session)
            }
            Fault::IgnoresExpiry if found.is_none() => {
                let known = self.crowd.lock().unwrap().contains(&token.expose().into());
                let id = SessionId::new("expired");
                (known && self.ended.lock().unwrap().is_empty())
                    .then(|| Session::new(id, "alice", SystemTime::now()))
            }
            _ => found,
        })
    }

    async fn find_session(&self, id: &SessionId) -> Result<Option<Session>, BoxError> {
        if self.fault == Fault::FindsEndedSessions {
            let ended = self.ended.lock().unwrap();
            if let Some(session) = ended.iter().find(|session| session.id == *id) {
                return Ok(Some(session.clone()));
            }
        }
        self.store.find_session(id).await
    }

    async fn delete_expired(&self, at_most: u32) -> Result<u32, BoxError> {
        self.store.delete_expired(at_most).await
    }
}

async fn verdict(fault: Fault) -> Result<Report, Report> {
    let policy = SessionPolicy::new().with_reuse_leeway(Duration::ZERO);
    let store = MemoryStore::new().with_policy(policy);
    let expiring = store
        .clone()
        .with_policy(policy.with_lifetime(Duration::ZERO));
    Conformance::new(Faulty::new(store, fault))
        .with_subjects()
        .with_expiring(Faulty::new(expiring, fault))
        .run()
        .await
}

/// The promise that each fault breaks, as a part of its text.
const CAUGHT: [(Fault, &str); 20] = [
    (
        Fault::RevokesNothing,
        "a revoked token is no longer accepted",
    ),
    (Fault::ReportsEveryCall, "revoking it again finds nothing"),
    (
        Fault::DoesNotReport,
        "a revoked token is no longer accepted",
    ),
    (
        Fault::NamesTwoSessions,
        "a revoked token is no longer accepted",
    ),
    (Fault::FailsOnUnknown, "unknown, huge or odd"),
    (Fault::PanicsOnHuge, "unknown, huge or odd"),
    (Fault::EndsTheSubjectsSessions, "ends no other session"),
    (
        Fault::EndsThePresentedTokenAlone,
        "ends the session of its successors",
    ),
    (Fault::ToleratesReuse, "its reuse ends the session"),
    (Fault::RotatesInTwoSteps, "no refresh in flight"),
    (
        Fault::AcceptsRotatedTokens,
        "a rotated token is no longer accepted",
    ),
    (Fault::ForgetsTheCase, "no session of anybody else"),
    (Fault::KeepsNothing, "except a kept one"),
    (Fault::EndsTheFirstSessionAlone, "of a subject end at once"),
    (Fault::KnowsNobody, "all sessions of a subject"),
    (Fault::IgnoresExpiry, "an expired session is not found"),
    (Fault::FailsOnExpired, "revoking it is not an error"),
    (Fault::FindsEndedSessions, "by its id until it ends"),
    (Fault::ChangesTheId, "by its id until it ends"),
    (Fault::TakesTakenTokens, "a known token opens no session"),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_breaks_its_promise() {
    for (fault, promise) in CAUGHT {
        assert_breaks(fault, promise, verdict(fault).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_stored_in_plain_text_is_found_and_not_shown() {
    let store =
        MemoryStore::new().with_policy(SessionPolicy::new().with_reuse_leeway(Duration::ZERO));
    let store = Faulty::new(store, Fault::ToleratesReuse);
    let written = Arc::clone(&store.crowd);
    let report = Conformance::new(store)
        .with_at_rest(move || {
            let tokens = written.lock().unwrap().concat().into_bytes();
            async move { Ok(tokens) }
        })
        .run()
        .await
        .unwrap_err();
    assert!(
        report
            .broken()
            .any(|(promise, _)| promise.contains("plain text")),
        "{report}"
    );
}

/// An application without refreshes, around a store without sessions.
struct Plain(MemoryStore);

#[async_trait]
impl Application for Plain {
    async fn log_in(&self, subject: &str) -> Result<Token, BoxError> {
        Ok(open(&self.0, subject).await)
    }

    async fn accepts(&self, token: &Token) -> Result<bool, BoxError> {
        Ok(is_live(&self.0, token).await)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promise_that_does_not_apply_is_not_checked_and_the_report_says_so() {
    let store = MemoryStore::new();
    let app = Plain(store.clone());
    let report = Conformance::for_application(store, app)
        .run()
        .await
        .unwrap();
    let not_asked = report
        .verdicts()
        .filter(|(_, verdict)| matches!(verdict, Verdict::NotAsked(_)))
        .count();
    assert_eq!(not_asked, 14, "{report}");
    assert!(
        report
            .to_string()
            .contains("the application does not refresh")
    );
    assert!(report.to_string().contains("with_at_rest was not called"));
}
