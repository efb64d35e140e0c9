//! The log of ended sessions.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, try_join_all};

use super::{Broken, Check, Suite, expect};
use crate::ended::{Cursor, EndedLog};
use crate::store::{BoxError, Revocation, SessionId, SubjectStore, TokenStore};
use crate::testing::{Application, Report};
use crate::token::Token;

/// How many clients log out at the same time.
const CLIENTS: usize = 16;

/// How many pages a read has at most. A log that never says that a page is complete has an endless read.
const PAGES: usize = 100_000;

/// A reader of a log, and what it has seen.
struct Reading<'l> {
    log: &'l dyn EndedLog,
    cursor: Option<Cursor>,
    seen: HashSet<SessionId>,
}

impl Suite {
    pub(in crate::testing) async fn ended_log(
        &self,
        report: &mut Report,
        log: Option<Arc<dyn EndedLog>>,
        subjects: Option<Arc<dyn SubjectStore>>,
    ) {
        let Some(log) = log else { return };
        let log = &*log;
        report
            .check(
                "a session is in the log when its revocation returns, and not before",
                self.a_revocation_is_logged(log),
            )
            .await;
        report
            .check(
                "each session that ends with its subject is in the log, and a kept one is not",
                self.subjects_are_logged(log, subjects),
            )
            .await;
        report
            .check(
                "a session that ends by reuse of a rotated token is in the log",
                self.reuse_is_logged(log),
            )
            .await;
        report
            .check(
                "a read without a cursor, or with a cursor of another log, returns all that matters",
                self.a_read_starts_again(log),
            )
            .await;
        report
            .check(
                "a reader that goes on from its cursor misses no session of many logouts at once",
                self.no_end_is_missed(log),
            )
            .await;
    }

    async fn revoked(&self, token: &Token) -> Result<SessionId, Broken> {
        only_session(self.tokens.revoke(token).await?)
    }

    async fn a_revocation_is_logged(&self, log: &dyn EndedLog) -> Check {
        expect(!log.retention().is_zero(), || {
            "the log remembers nothing: its retention is zero".into()
        })?;
        let mut reading = Reading::new(log);
        reading.read().await?;
        let [live, ended] = [self.log_in("alice").await?, self.log_in("alice").await?];
        let news = reading.read().await?;
        expect(news.is_empty(), || "a login was in the log".into())?;
        let id = self.revoked(&ended).await?;
        let news = reading.read().await?;
        let Some((_, matters)) = news.iter().find(|(session, _)| *session == id) else {
            return Err(Broken::Seen("the session was not in the log".into()));
        };
        let retention = log.retention();
        expect(*matters <= retention && *matters > retention / 2, || {
            format!("of the {retention:?} that a session matters, {matters:?} were left at its end")
        })?;
        self.expect_live(&live, "the token of another session")
            .await?;
        let live = self.revoked(&live).await?;
        expect(!reading.seen.contains(&live), || {
            "a live session was in the log".into()
        })
    }

    async fn subjects_are_logged(
        &self,
        log: &dyn EndedLog,
        subjects: Option<Arc<dyn SubjectStore>>,
    ) -> Check {
        let Some(subjects) = subjects else {
            return Err(Broken::NotAsked("call with_subjects"));
        };
        let subject = format!("subject {}", Token::generate()?.expose());
        let mut tokens = Vec::new();
        for _ in 0..3 {
            tokens.push(self.log_in(&subject).await?);
        }
        let mut reading = Reading::new(log);
        let ended = subjects.revoke_subject(&subject, &tokens[..1]).await?;
        reading.read().await?;
        reading.expect_seen(&ended, 2)?;
        let kept = self.revoked(&tokens[0]).await?;
        expect(!reading.seen.contains(&kept), || {
            "the kept session was in the log".into()
        })
    }

    async fn reuse_is_logged(&self, log: &dyn EndedLog) -> Check {
        let first = self.log_in("alice").await?;
        let mut reading = Reading::new(log);
        reading.read().await?;
        let next = self.refresh(&first).await?;
        let news = reading.read().await?;
        expect(news.is_empty(), || "a refresh was in the log".into())?;
        self.wait_the_leeway_out().await;
        self.expect_rejected(&first, "a rotated token").await?;
        self.expect_dead(&next, "the successor of a reused token")
            .await?;
        let news = reading.read().await?;
        expect(!news.is_empty(), || "the session was not in the log".into())
    }

    async fn a_read_starts_again(&self, log: &dyn EndedLog) -> Check {
        let id = self.revoked(&self.log_in("alice").await?).await?;
        for cursor in [None, Some(Cursor::new("a cursor of another log"))] {
            let mut reading = Reading::new(log);
            reading.cursor = cursor;
            reading.read().await?;
            expect(reading.seen.contains(&id), || {
                "a session that had ended was not returned".into()
            })?;
        }
        Ok(())
    }

    async fn no_end_is_missed(&self, log: &dyn EndedLog) -> Check {
        // A store that does not name its sessions is found before the race.
        self.revoked(&self.log_in("alice").await?).await?;
        let rounds = self.rounds;
        let clients = (0..CLIENTS).map(|_| {
            let (store, application) = (Arc::clone(&self.tokens), Arc::clone(&self.application));
            tokio::spawn(log_in_and_out(store, application, rounds))
        });
        let clients = try_join_all(clients);
        let done = tokio::sync::Notify::new();
        let clients = async {
            let ended = clients.await;
            done.notify_one();
            ended
        };
        let follow = async {
            let mut reading = Reading::new(log);
            let mut done = std::pin::pin!(done.notified());
            loop {
                reading.read().await?;
                let pause = std::pin::pin!(tokio::time::sleep(Duration::from_millis(1)));
                if let futures_util::future::Either::Left(_) =
                    futures_util::future::select(&mut done, pause).await
                {
                    reading.read().await?;
                    return Ok::<_, Broken>(reading.seen);
                }
            }
        };
        let (ended, seen) = join(clients, follow).await;
        let seen = seen?;
        let ended: Vec<SessionId> = ended?.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
        let missed = ended.iter().filter(|id| !seen.contains(*id)).count();
        expect(missed == 0, || {
            format!(
                "of {} sessions that ended, {missed} were missed",
                ended.len()
            )
        })
    }
}

async fn log_in_and_out(
    store: Arc<dyn TokenStore>,
    application: Arc<dyn Application>,
    rounds: usize,
) -> Result<Vec<SessionId>, BoxError> {
    let mut ended = Vec::new();
    for _ in 0..rounds {
        let token = application.log_in("alice").await?;
        if let Revocation::Sessions(sessions) = store.revoke(&token).await? {
            ended.extend(sessions.iter().cloned());
        }
    }
    Ok(ended)
}

fn only_session(revocation: Revocation) -> Result<SessionId, Broken> {
    match revocation {
        Revocation::Sessions(sessions) if sessions.len() == 1 => Ok(sessions[0].clone()),
        Revocation::Sessions(_) | Revocation::NotFound => Err(Broken::Seen(
            "the logout of one session did not end one session".into(),
        )),
        Revocation::Revoked => Err(Broken::Seen(
            "the store does not name the session that it ended, so that no log can be checked"
                .into(),
        )),
    }
}

impl<'l> Reading<'l> {
    fn new(log: &'l dyn EndedLog) -> Self {
        Self {
            log,
            cursor: None,
            seen: HashSet::new(),
        }
    }

    /// Reads all that came since the last read.
    async fn read(&mut self) -> Result<Vec<(SessionId, Duration)>, Broken> {
        let mut ended = Vec::new();
        for _ in 0..PAGES {
            let page = self.log.read(self.cursor.as_ref()).await?;
            self.cursor = Some(page.cursor);
            let sessions = page.ended.iter().map(|(session, _)| session.clone());
            self.seen.extend(sessions);
            ended.extend(page.ended);
            if page.is_complete {
                return Ok(ended);
            }
        }
        Err(Broken::Seen(format!(
            "after {PAGES} pages, no page was complete"
        )))
    }

    fn expect_seen(&self, ended: &Revocation, number: usize) -> Check {
        let Revocation::Sessions(sessions) = ended else {
            return Err(Broken::Seen(
                "the store does not name the sessions that it ended".into(),
            ));
        };
        let seen = sessions.iter().filter(|id| self.seen.contains(*id)).count();
        expect(seen == number && sessions.len() == number, || {
            format!("{number} sessions ended, and {seen} were in the log")
        })
    }
}
