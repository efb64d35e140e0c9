//! What a store that knows its subjects is asked.

use std::sync::Arc;

use super::{Broken, Check, LOOKALIKES, Suite, expect};
use crate::store::{Revocation, SubjectStore};
use crate::testing::Report;
use crate::token::Token;

impl Suite {
    pub(in crate::testing) async fn subjects(
        &self,
        report: &mut Report,
        store: Option<Arc<dyn SubjectStore>>,
    ) {
        let store = store.ok_or("with_subjects was not called");
        report
            .check(
                "the sessions of a subject end all at once, with the exception of one where it is \
                 asked for, and nobody else's do",
                async {
                    let store = store.as_ref().map_err(|why| Broken::NotAsked(why))?;
                    self.subjects_end(&**store).await
                },
            )
            .await;
        report
            .check(
                "each session is kept of which a live token is shown, and a token that was rotated \
                 away keeps none",
                async {
                    let store = store.as_ref().map_err(|why| Broken::NotAsked(why))?;
                    self.live_tokens_keep_their_sessions(&**store).await
                },
            )
            .await;
        report
            .check(
                "a token that was rotated away names the subject of its session, until that ends",
                async {
                    let store = store.as_ref().map_err(|why| Broken::NotAsked(why))?;
                    self.rotated_tokens_name_their_subject(&**store).await
                },
            )
            .await;
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

    async fn live_tokens_keep_their_sessions(&self, store: &dyn SubjectStore) -> Check {
        // Nobody else's, so that the sessions can be counted.
        let subject = format!("subject {}", Token::generate()?.expose());
        let somebody_else = self.log_in("bob").await?;
        let (mut keep, mut live, mut ended) = (
            vec![Token::new("unknown"), somebody_else.clone()],
            vec![somebody_else],
            Vec::new(),
        );
        let (mut kept_sessions, mut ended_sessions) = (2, 3);
        for _ in 0..kept_sessions {
            let token = self.log_in(&subject).await?;
            keep.push(token.clone());
            live.push(token);
        }
        for _ in 0..ended_sessions {
            ended.push(self.log_in(&subject).await?);
        }
        if self.refreshes().await? {
            let rotated = self.log_in(&subject).await?;
            ended.push(self.refresh(&rotated).await?);
            keep.push(rotated);
            ended_sessions += 1;
        }
        if self.has_leeway() {
            for shown in 0..3 {
                let family = self.rotated_twice(&subject).await?;
                keep.push(family[shown].clone());
                let [_, next, sibling] = family;
                if shown == 0 {
                    ended.extend([next, sibling]);
                    ended_sessions += 1;
                } else {
                    live.extend([next, sibling]);
                    kept_sessions += 1;
                }
            }
        }

        let revoked = store.revoke_subject(&subject, &keep).await?;
        for token in &ended {
            self.expect_dead(token, "a token whose session was not to be kept")
                .await?;
        }
        for token in &live {
            self.expect_live(token, "a token whose session was to be kept")
                .await?;
        }
        expect_named(&revoked, ended_sessions)?;
        let revoked = store.revoke_subject(&subject, &[]).await?;
        expect_named(&revoked, kept_sessions)?;
        let again = store.revoke_subject(&subject, &[]).await?;
        expect(again == Revocation::NotFound, || {
            format!("ended again, they were {again:?}")
        })
    }

    async fn rotated_tokens_name_their_subject(&self, store: &dyn SubjectStore) -> Check {
        let first = self.log_in("alice").await?;
        let second = self.refresh(&first).await?;
        let third = self.refresh(&second).await?;
        for token in [&first, &second, &third] {
            let subject = store.subject(token).await?;
            expect(subject.as_deref() == Some("alice"), || {
                format!("the subject of a token of \"alice\" was {subject:?}")
            })?;
        }
        store.revoke(&second).await?;
        for token in [&first, &second, &third] {
            let subject = store.subject(token).await?;
            expect(subject.is_none(), || {
                format!("the subject of a token whose session had ended was {subject:?}")
            })?;
        }
        Ok(())
    }
}

/// That so many sessions were ended, and each of them named if the store does that.
fn expect_named(revoked: &Revocation, sessions: usize) -> Check {
    let right = match revoked {
        Revocation::Sessions(named) => named.len() == sessions,
        Revocation::Revoked => true,
        Revocation::NotFound => false,
    };
    expect(right, || {
        format!("{sessions} sessions were to end, and it was {revoked:?}")
    })
}
