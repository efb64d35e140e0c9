//! What becomes of a token that was rotated away.

use futures_util::future::try_join;

use super::{Broken, Check, Suite, expect};
use crate::store::Revocation;
use crate::testing::Report;
use crate::token::Token;

impl Suite {
    pub(super) async fn family(&self, report: &mut Report) {
        report
            .check(
                "a token that was rotated away ends the session of its successors",
                self.any_member_ends_the_family(),
            )
            .await;
        report
            .check(
                "a token that was rotated away is accepted no more, and used again it ends the \
                 session",
                self.reuse_ends_the_family(),
            )
            .await;
        report
            .check(
                "however often a session is rotated, its first token is not forgotten",
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
        self.expect_dead(&first, "the token that was rotated away")
            .await?;
        self.expect_live(&second, "its successor").await?;
        let again = if self.has_leeway() {
            Some(self.rotated_twice("alice").await?)
        } else {
            None
        };
        self.wait_the_leeway_out().await;
        self.expect_refused(&first, "the token that was rotated away")
            .await?;
        self.expect_dead(&second, "the successor of a token that was used again")
            .await?;
        if let Some([first, second, third]) = again {
            self.expect_live(&second, "the first of two live tokens")
                .await?;
            self.expect_live(&third, "the second of two live tokens")
                .await?;
            self.expect_refused(&first, "the predecessor, after the leeway,")
                .await?;
            for next in [second, third] {
                self.expect_dead(&next, "a successor of a token that was used again")
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
                "the last token of a session that was logged out by its first",
            )
            .await
        };
        let by_reuse = async {
            let (first, last) = self.chain().await?;
            self.expect_refused(&first, "a token that was rotated away")
                .await?;
            self.expect_dead(
                &last,
                "the last token of a session of which the first was used again",
            )
            .await
        };
        try_join(by_logout, by_reuse).await.map(drop)
    }

    /// The first and the last token of a session that is rotated many times.
    async fn chain(&self) -> Result<(Token, Token), Broken> {
        let first = self.log_in("alice").await?;
        let mut last = self.refresh(&first).await?;
        for rotation in 1..self.rotations {
            last = match self.application.refresh(&last).await? {
                Some(next) => next,
                None => {
                    return Err(Broken::Seen(format!(
                        "a live token was refused after {rotation} rotations"
                    )));
                }
            };
        }
        Ok((first, last))
    }
}
