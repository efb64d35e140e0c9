//! The promises, one function each.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt;
use futures::future::try_join_all;

use super::{Application, Probe, Report, Verdict};
use crate::{
    BoxError, Revocation, Rotation, SessionId, SessionStore, SubjectStore, Token, TokenStore,
};

/// How many revocations of one token run at once.
const CROWD: usize = 200;

/// How many tokens are refreshed at once while one of them is logged out.
const CHAINS: usize = 3;

/// How often each of them is refreshed, unless the logout ends it before.
const LONG_CHAIN: usize = 500;

/// Subjects that a careless comparison takes for one.
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

/// Tokens that no store has ever seen.
const ODD_TOKENS: [&str; 8] = [
    "",
    "unknown",
    "' OR 1=1 --",
    "%",
    "*",
    "a\0b",
    "{tag}\r\nDEL x",
    "\u{fc}\u{1f4a5}",
];

/// What was seen in place of what was promised.
pub(super) enum Broken {
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
}

impl Suite {
    pub(super) async fn run(&self, report: &mut Report) {
        report
            .check(
                "a revoked token is accepted no more, and revoking it again finds nothing",
                self.is_idempotent(),
            )
            .await;
        report
            .check(
                "a revocation ends no other session, of the same subject or of another",
                self.is_isolated(),
            )
            .await;
        report
            .check(
                "tokens that are unknown, huge or odd are not found, which is no error",
                self.odd_tokens_are_not_found(),
            )
            .await;
        report
            .check(
                "of many revocations of one token at once, a single one reports it",
                self.one_of_a_crowd_reports(),
            )
            .await;
        report
            .check(
                "a token that was rotated away ends the session of its successors",
                self.any_member_ends_the_family(),
            )
            .await;
        report
            .check(
            "a token that was rotated away is accepted no more, and used again it ends the session",
            self.reuse_ends_the_family(),
            )
            .await;
        report
            .check(
                "of many rotations of one token at once, at most one succeeds",
                self.one_rotation_succeeds(),
            )
            .await;
        report
            .check(
            "when a revocation has returned, no refresh that was in flight brings the session back",
            self.no_refresh_brings_it_back(),
            )
            .await;
    }

    async fn log_in(&self, subject: &str) -> Result<Token, Broken> {
        let token = self.application.log_in(subject).await?;
        let accepted = self.application.accepts(&token).await?;
        expect(accepted, || {
            "the token of a login was not accepted right after it".into()
        })?;
        Ok(token)
    }

    async fn refresh(&self, token: &Token) -> Result<Token, Broken> {
        match self.application.refresh(token).await? {
            Some(next) => Ok(next),
            None => Err(Broken::NotAsked("the application does not refresh")),
        }
    }

    async fn is_idempotent(&self) -> Check {
        let token = self.log_in("alice").await?;
        let first = self.tokens.revoke(&token).await?;
        expect(first != Revocation::NotFound, || {
            "the revocation of a live token was NotFound".into()
        })?;
        if let Revocation::Sessions(sessions) = &first {
            expect(sessions.len() == 1, || {
                format!("one session was to end, and {} were named", sessions.len())
            })?;
        }
        expect(!self.application.accepts(&token).await?, || {
            "the token was accepted after it had been revoked".into()
        })?;
        for _ in 0..3 {
            let again = self.tokens.revoke(&token).await?;
            expect(again == Revocation::NotFound, || {
                format!("revoked again, it was {again:?}")
            })?;
        }
        Ok(())
    }

    async fn is_isolated(&self) -> Check {
        let token = self.log_in("alice").await?;
        let mut others = vec![self.log_in("alice").await?];
        for subject in LOOKALIKES {
            others.push(self.log_in(subject).await?);
        }
        self.tokens.revoke(&token).await?;
        for (index, other) in others.iter().enumerate() {
            expect(self.application.accepts(other).await?, || {
                format!(
                    "another session ended: the {}. of {:?}",
                    index + 1,
                    others.len()
                )
            })?;
        }
        Ok(())
    }

    async fn odd_tokens_are_not_found(&self) -> Check {
        let live = self.log_in("alice").await?;
        let huge = "x".repeat(1 << 20);
        let upper = live.expose().to_uppercase() + " ";
        let odd = ODD_TOKENS.into_iter().chain([&*huge, &*upper]);
        for token in odd {
            let name = || token.chars().take(20).collect::<String>();
            let token = Token::new(token);
            match self.tokens.revoke(&token).await {
                Ok(Revocation::NotFound) => {}
                Ok(other) => {
                    return Err(Broken::Seen(format!("{:?} was {other:?}", name())));
                }
                Err(error) => {
                    return Err(Broken::Seen(format!("{:?} was an error: {error}", name())));
                }
            }
            expect(!self.application.accepts(&token).await?, || {
                format!("{:?} was accepted", name())
            })?;
        }
        expect(self.application.accepts(&live).await?, || {
            "they ended a session that none of them belongs to".into()
        })
    }

    async fn one_of_a_crowd_reports(&self) -> Check {
        let token = self.log_in("alice").await?;
        let crowd = (0..CROWD).map(|_| {
            let (tokens, token) = (Arc::clone(&self.tokens), token.clone());
            tokio::spawn(async move { tokens.revoke(&token).await })
        });
        let mut reported = 0;
        for revoked in try_join_all(crowd).await? {
            reported += usize::from(revoked? != Revocation::NotFound);
        }
        expect(reported == 1, || {
            format!("{reported} of {CROWD} reported that they had ended it")
        })?;
        expect(!self.application.accepts(&token).await?, || {
            "the token was accepted afterwards".into()
        })
    }

    async fn any_member_ends_the_family(&self) -> Check {
        for member in 0..3 {
            let first = self.log_in("alice").await?;
            let second = self.refresh(&first).await?;
            let third = self.refresh(&second).await?;
            let family = [first, second, third];
            let revoked = self.tokens.revoke(&family[member]).await?;
            expect(revoked != Revocation::NotFound, || {
                format!("of three tokens in a row, the {}. was NotFound", member + 1)
            })?;
            for (index, token) in family.iter().enumerate() {
                expect(!self.application.accepts(token).await?, || {
                    format!(
                        "of three tokens in a row, the {}. was revoked and the {}. accepted",
                        member + 1,
                        index + 1
                    )
                })?;
            }
        }
        Ok(())
    }

    async fn reuse_ends_the_family(&self) -> Check {
        let first = self.log_in("alice").await?;
        let second = self.refresh(&first).await?;
        expect(!self.application.accepts(&first).await?, || {
            "the token that was rotated away was accepted".into()
        })?;
        expect(self.application.accepts(&second).await?, || {
            "its successor was not".into()
        })?;
        let again = self.application.refresh(&first).await?;
        expect(again.is_none(), || {
            "the token that was rotated away was rotated again".into()
        })?;
        expect(!self.application.accepts(&second).await?, || {
            "the successor was accepted after the re-use".into()
        })
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
            expect(succeeded == 1, || format!("{succeeded} of 8 succeeded"))?;
        }
        Ok(())
    }

    async fn no_refresh_brings_it_back(&self) -> Check {
        self.refresh(&self.log_in("alice").await?).await?;
        for round in 0..self.rounds {
            let first = self.log_in("alice").await?;
            // Several, now and then: their re-use of the first token is a race of its own.
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
            // The logout meets them earlier or later.
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
                        format!("the {}. token of a refresh outlived the logout", index + 1)
                    })?;
                }
            }
        }
        Ok(())
    }

    pub(super) async fn sessions(&self, report: &mut Report, store: Option<Arc<dyn SessionStore>>) {
        let Some(store) = store else {
            return;
        };
        report
            .check(
                "a session is found by its live token and by its id, until it ends",
                sessions_are_found(&*store),
            )
            .await;
        report
            .check(
                "a token that is known already opens no session and follows no other token",
                taken_tokens_are_refused(&*store),
            )
            .await;
    }

    pub(super) async fn subjects(&self, report: &mut Report, store: Option<Arc<dyn SubjectStore>>) {
        report.check(
            "the sessions of a subject end all at once, with the exception of one where it is asked \
             for, and nobody else's do",
            async {
                match store {
                    Some(store) => self.subjects_end(&*store).await,
                    None => Err(Broken::NotAsked("with_subjects was not called")),
                }
            },
        ).await;
    }

    async fn subjects_end(&self, store: &dyn SubjectStore) -> Check {
        let (alice, rest) = (LOOKALIKES[0], &LOOKALIKES[1..]);
        let mut others = Vec::new();
        for subject in rest {
            others.push((*subject, self.log_in(subject).await?));
        }
        for keeps in [true, false] {
            let mut sessions = Vec::new();
            for _ in 0..60 {
                sessions.push(self.log_in(alice).await?);
            }
            let kept = sessions.swap_remove(7);
            let subject = store.subject(&kept).await?;
            expect(subject.as_deref() == Some(alice), || {
                format!("the subject of {alice:?}'s token was {subject:?}")
            })?;
            let revoked = store
                .revoke_subject(
                    alice,
                    if keeps {
                        std::slice::from_ref(&kept)
                    } else {
                        &[]
                    },
                )
                .await?;
            expect(revoked != Revocation::NotFound, || {
                "the revocation of live sessions was NotFound".into()
            })?;
            if let Revocation::Sessions(named) = &revoked {
                // A session that an earlier check left behind may be among them.
                expect(named.len() >= sessions.len(), || {
                    format!("{} ended, and {} were named", sessions.len(), named.len())
                })?;
            }
            for token in &sessions {
                expect(!self.application.accepts(token).await?, || {
                    "a session of the subject went on".into()
                })?;
            }
            let went_on = self.application.accepts(&kept).await?;
            expect(went_on == keeps, || {
                if keeps {
                    "the session that was to be kept ended".into()
                } else {
                    "a session of the subject went on".into()
                }
            })?;
            for (subject, token) in &others {
                expect(self.application.accepts(token).await?, || {
                    format!("ending the sessions of {alice:?} ended one of {subject:?}")
                })?;
            }
        }
        let nobody = store.subject(&Token::new("unknown")).await?;
        expect(nobody.is_none(), || {
            format!("the subject of an unknown token was {nobody:?}")
        })?;
        let none = store.revoke_subject("nobody", &[]).await?;
        expect(none == Revocation::NotFound, || {
            format!("ending the sessions of a subject without any was {none:?}")
        })
    }

    pub(super) async fn expired(&self, report: &mut Report, store: Option<Arc<dyn SessionStore>>) {
        report
            .check(
                "a session that has expired is found nowhere, and ending it is no error",
                async {
                    match store {
                        Some(store) => expired_sessions_are_dead(&*store).await,
                        None => Err(Broken::NotAsked("with_expiring was not called")),
                    }
                },
            )
            .await;
    }

    pub(super) async fn at_rest(&self, report: &mut Report, probe: Option<Probe>) {
        report
            .check("no token is at rest in clear", async {
                match probe {
                    Some(probe) => self.no_token_is_at_rest(probe).await,
                    None => Err(Broken::NotAsked("with_at_rest was not called")),
                }
            })
            .await;
    }

    async fn no_token_is_at_rest(&self, probe: Probe) -> Check {
        let mut tokens = vec![self.log_in("alice").await?];
        if let Some(next) = self.application.refresh(&tokens[0]).await? {
            tokens.push(next);
        }
        let dump = probe().await?;
        expect(!dump.is_empty(), || "the dump is empty".into())?;
        for token in &tokens {
            let found = memchr::memmem::find(&dump, token.expose().as_bytes());
            expect(found.is_none(), || {
                format!(
                    "a token is at byte {} of the dump",
                    found.unwrap_or_default()
                )
            })?;
        }
        Ok(())
    }
}

/// Refreshes until it is refused, and returns all tokens that it had.
async fn refresh_on(
    application: Arc<dyn Application>,
    first: Token,
    progress: Arc<AtomicUsize>,
) -> Result<Vec<Token>, BoxError> {
    let mut made = vec![first];
    // Without end, where the revocation does nothing.
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

async fn sessions_are_found(store: &dyn SessionStore) -> Check {
    let (first, second) = (Token::generate()?, Token::generate()?);
    let session = store.open("alice", &first).await?;
    expect(session.subject == "alice", || {
        format!(
            "a session of \"alice\" was opened for {:?}",
            session.subject
        )
    })?;
    let by_token = store.find(&first).await?;
    expect(by_token.as_ref() == Some(&session), || {
        format!("{session:?} was opened, and {by_token:?} found by its token")
    })?;
    let by_id = store.find_session(&session.id).await?;
    expect(by_id.as_ref() == Some(&session), || {
        format!("{session:?} was opened, and {by_id:?} found by its id")
    })?;
    match store.rotate(&first, &second).await? {
        Rotation::Rotated(rotated) => expect(
            rotated.id == session.id && rotated.expires_at >= session.expires_at,
            || format!("{session:?} was rotated to {rotated:?}"),
        )?,
        other => return Err(Broken::Seen(format!("its rotation was {other:?}"))),
    }
    expect(store.find(&first).await?.is_none(), || {
        "a session was found by a token that was rotated away".into()
    })?;
    expect(store.find(&second).await?.is_some(), || {
        "a session was not found by its live token".into()
    })?;
    store.revoke(&second).await?;
    let after = (
        store.find(&second).await?,
        store.find_session(&session.id).await?,
    );
    expect(after == (None, None), || {
        format!("after it had ended, {after:?} was found")
    })?;
    let unknown = store.find_session(&SessionId::new("unknown")).await?;
    expect(unknown.is_none(), || {
        format!("the id \"unknown\" was that of {unknown:?}")
    })
}

async fn taken_tokens_are_refused(store: &dyn SessionStore) -> Check {
    let (alice, bob) = (Token::generate()?, Token::generate()?);
    store.open("alice", &alice).await?;
    store.open("bob", &bob).await?;
    expect(store.open("mallory", &alice).await.is_err(), || {
        "a second session was opened with a token".into()
    })?;
    expect(store.rotate(&bob, &alice).await.is_err(), || {
        "a token was rotated to one of another session".into()
    })?;
    expect(store.rotate(&bob, &bob).await.is_err(), || {
        "a token was rotated to itself".into()
    })?;
    for (subject, token) in [("alice", &alice), ("bob", &bob)] {
        let found = store.find(token).await?;
        expect(
            found.as_ref().is_some_and(|found| found.subject == subject),
            || format!("what was refused changed the session of {subject:?} to {found:?}"),
        )?;
    }
    Ok(())
}

async fn expired_sessions_are_dead(store: &dyn SessionStore) -> Check {
    let token = Token::generate()?;
    let session = store.open("alice", &token).await?;
    let found = (
        store.find(&token).await?,
        store.find_session(&session.id).await?,
    );
    expect(found == (None, None), || {
        format!("after it had expired, {found:?} was found")
    })?;
    let rotated = store.rotate(&token, &Token::generate()?).await?;
    expect(rotated == Rotation::NotFound, || {
        format!("its rotation was {rotated:?}")
    })?;
    let revoked = store.revoke(&token).await?;
    expect(revoked == Revocation::NotFound, || {
        format!("its revocation was {revoked:?}")
    })?;
    for _ in 0..5 {
        store.open("alice", &Token::generate()?).await?;
    }
    for _ in 0..1000 {
        if store.drop_expired(2).await? < 2 {
            break;
        }
    }
    let left = store.drop_expired(2).await?;
    expect(left == 0, || {
        format!("after all that had expired was dropped, {left} more were")
    })
}
