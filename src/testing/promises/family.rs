//! Rotated tokens.

use futures_util::future::try_join;

use super::{Broken, Check, Suite, expect};
use crate::store::Revocation;
use crate::testing::Report;
use crate::token::Token;

impl Suite {
    pub(super) async fn family(&self, report: &mut Report) {
        report
            .check(
                "revoking a rotated token ends the session of its successors",
                self.any_member_ends_the_family(),
            )
            .await;
        report
            .check(
                "a rotated token is no longer accepted, and its reuse ends the session",
                self.reuse_ends_the_family(),
            )
            .await;
        report
            .check(
                "the first token of a session is remembered, however often the session is rotated",
                self.no_member_is_forgotten(),
            )
            .await;
    }

    async fn any_member_ends_the_family(&self) -> Check {
        for member in 0..3 {
            let first = self.log_in("alice").await?;
            let second = self.refresh(&first).await?;
            let third = self.refresh(&second).await?;
            let family = [first, second, third];
            let revoked = self.tokens.revoke(&family[member]).await?;
            expect(revoked != Revocation::NotFound, || {
                format!("token {} of three in a row was NotFound", member + 1)
            })?;
            for (index, token) in family.iter().enumerate() {
                expect(!self.application.accepts(token).await?, || {
                    format!(
                        "of three tokens in a row, token {} was revoked and token {} was accepted",
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
        self.expect_dead(&first, "a rotated token").await?;
        self.expect_live(&second, "the successor of a rotated token")
            .await?;
        let again = if self.has_leeway() {
            Some(self.rotated_twice("alice").await?)
        } else {
            None
        };
        self.wait_the_leeway_out().await;
        self.expect_rejected(&first, "a rotated token").await?;
        self.expect_dead(&second, "the successor of a reused token")
            .await?;
        if let Some([first, second, third]) = again {
            self.expect_live(&second, "the first of two successors")
                .await?;
            self.expect_live(&third, "the second of two successors")
                .await?;
            self.expect_rejected(&first, "the predecessor, after the leeway,")
                .await?;
            for next in [second, third] {
                self.expect_dead(&next, "a successor of a reused token")
                    .await?;
            }
        }
        Ok(())
    }

    async fn no_member_is_forgotten(&self) -> Check {
        let by_logout = async {
            let (first, last) = self.chain().await?;
            let revoked = self.tokens.revoke(&first).await?;
            expect(revoked != Revocation::NotFound, || {
                format!(
                    "after {} rotations, the first token was NotFound",
                    self.rotations
                )
            })?;
            self.expect_dead(
                &last,
                "the last token of a session, after a logout with the first,",
            )
            .await
        };
        let by_reuse = async {
            let (first, last) = self.chain().await?;
            self.expect_rejected(&first, "a rotated token").await?;
            self.expect_dead(
                &last,
                "the last token of a session, after the reuse of the first,",
            )
            .await
        };
        try_join(by_logout, by_reuse).await.map(drop)
    }

    /// Rotates a session many times, and returns its first and its last token.
    async fn chain(&self) -> Result<(Token, Token), Broken> {
        let first = self.log_in("alice").await?;
        let mut last = self.refresh(&first).await?;
        for rotation in 1..self.rotations {
            last = match self.application.refresh(&last).await? {
                Some(next) => next,
                None => {
                    return Err(Broken::Seen(format!(
                        "a live token was rejected after {rotation} rotations"
                    )));
                }
            };
        }
        Ok((first, last))
    }
}
