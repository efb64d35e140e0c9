//! The checks of a [`SubjectStore`].

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
                "all sessions of a subject end at once, except a kept one, and no session of \
                 anybody else",
                async {
                    let store = store.as_ref().map_err(|why| Broken::NotAsked(why))?;
                    self.subjects_end(&**store).await
                },
            )
            .await;
        report
            .check(
                "each session with a presented live token is kept, and a rotated token keeps none",
                async {
                    let store = store.as_ref().map_err(|why| Broken::NotAsked(why))?;
                    self.live_tokens_keep_their_sessions(&**store).await
                },
            )
            .await;
        report
            .check(
                "a rotated token names the subject of its session until the session ends",
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
                format!("the subject of a token of {alice:?} was {subject:?}")
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
                // An earlier check may have left a session of this subject.
                expect(named.len() >= sessions.len(), || {
                    format!("{} ended, and {} were named", sessions.len(), named.len())
                })?;
            }
            for token in &sessions {
                expect(!self.application.accepts(token).await?, || {
                    "a session of the subject did not end".into()
                })?;
            }
            let went_on = self.application.accepts(&kept).await?;
            expect(went_on == keeps, || {
                if keeps {
                    "the kept session ended".into()
                } else {
                    "a session of the subject did not end".into()
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
            format!("the revocation of a subject without sessions was {none:?}")
        })
    }

    async fn live_tokens_keep_their_sessions(&self, store: &dyn SubjectStore) -> Check {
        // A subject of its own, so that the check can count the sessions.
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
            self.expect_dead(token, "the token of a session that was not kept")
                .await?;
        }
        for token in &live {
            self.expect_live(token, "the token of a kept session")
                .await?;
        }
        expect_named(&revoked, ended_sessions)?;
        let revoked = store.revoke_subject(&subject, &[]).await?;
        expect_named(&revoked, kept_sessions)?;
        let again = store.revoke_subject(&subject, &[]).await?;
        expect(again == Revocation::NotFound, || {
            format!("the second revocation of a subject was {again:?}")
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
                format!("the subject of a token of an ended session was {subject:?}")
            })?;
        }
        Ok(())
    }
}

/// Checks that this number of sessions ended, and that each is named if the store names sessions.
fn expect_named(revoked: &Revocation, sessions: usize) -> Check {
    let right = match revoked {
        Revocation::Sessions(named) => named.len() == sessions,
        Revocation::Revoked => true,
        Revocation::NotFound => false,
    };
    expect(right, || {
        format!("{sessions} sessions had to end, and the revocation was {revoked:?}")
    })
}
