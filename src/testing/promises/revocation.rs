//! Revocations and their effect on other sessions.

use std::sync::Arc;

use futures_util::future::try_join_all;

use super::{Broken, Check, LOOKALIKES, Suite, expect};
use crate::store::Revocation;
use crate::testing::Report;
use crate::token::Token;

/// How many revocations of one session run at once.
const CROWD: usize = 200;

/// Tokens that no store knows.
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

impl Suite {
    pub(super) async fn revocation(&self, report: &mut Report) {
        report
            .check(
                "a revoked token is no longer accepted, and revoking it again finds nothing",
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
                "an unknown, huge or odd token is NotFound, not an error",
                self.odd_tokens_are_not_found(),
            )
            .await;
        report
            .check(
                "of many revocations of one session at once, exactly one reports the session",
                self.one_of_a_crowd_reports(),
            )
            .await;
    }

    async fn is_idempotent(&self) -> Check {
        let token = self.log_in("alice").await?;
        let first = self.tokens.revoke(&token).await?;
        expect(first != Revocation::NotFound, || {
            "the revocation of a live token was NotFound".into()
        })?;
        if let Revocation::Sessions(sessions) = &first {
            expect(sessions.len() == 1, || {
                format!("one session had to end, and {} were named", sessions.len())
            })?;
        }
        expect(!self.application.accepts(&token).await?, || {
            "a revoked token was accepted".into()
        })?;
        for _ in 0..3 {
            let again = self.tokens.revoke(&token).await?;
            expect(again == Revocation::NotFound, || {
                format!("the second revocation of a token was {again:?}")
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
                    "another session ended: number {} of {:?}",
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
            "an odd token ended the session of another token".into()
        })
    }

    async fn one_of_a_crowd_reports(&self) -> Check {
        let token = self.log_in("alice").await?;
        let mut family = vec![token.clone()];
        family.extend(self.application.refresh(&token).await?);
        let crowd = family.iter().cycle().take(CROWD).map(|token| {
            let (tokens, token) = (Arc::clone(&self.tokens), token.clone());
            tokio::spawn(async move { tokens.revoke(&token).await })
        });
        let mut reported = 0;
        for revoked in try_join_all(crowd).await? {
            reported += usize::from(revoked? != Revocation::NotFound);
        }
        expect(reported == 1, || {
            format!("{reported} of {CROWD} revocations reported the session")
        })?;
        for token in &family {
            self.expect_dead(token, "a token of a revoked session")
                .await?;
        }
        Ok(())
    }
}
