//! What the direct predecessor may do within the leeway.

use super::{Broken, Check, Suite, expect};
use crate::store::Revocation;
use crate::testing::Report;

impl Suite {
    pub(super) async fn leeway(&self, report: &mut Report) {
        report
            .check(
                "within the leeway a token is rotated once more, and both next ones live until one \
                 of them is rotated",
                self.both_next_tokens_live(),
            )
            .await;
        report
            .check(
                "within the leeway a token is rotated no third time, nor is one further back",
                self.the_leeway_is_for_one_rotation(),
            )
            .await;
        report
            .check(
                "of a token that was rotated twice and both next ones, each ends all",
                self.each_of_three_ends_all(),
            )
            .await;
    }

    fn asks_for_leeway(&self) -> Check {
        if self.has_leeway() {
            Ok(())
        } else {
            Err(Broken::NotAsked("there is no leeway"))
        }
    }

    async fn both_next_tokens_live(&self) -> Check {
        self.asks_for_leeway()?;
        for rotated in [1, 2] {
            let family = self.rotated_twice("alice").await?;
            expect(family[1].expose() != family[2].expose(), || {
                "a token was rotated twice to the same".into()
            })?;
            self.expect_dead(&family[0], "the token that was rotated twice")
                .await?;
            for next in &family[1..] {
                self.expect_live(next, "a next token of two").await?;
            }
            let other = &family[3 - rotated];
            let Some(last) = self.application.refresh(&family[rotated]).await? else {
                return Err(Broken::Seen("a next token of two was not rotated".into()));
            };
            self.expect_live(&last, "its successor").await?;
            self.expect_dead(other, "a next token of two, after the other was rotated,")
                .await?;
            self.expect_refused(other, "a next token of two, after the other was,")
                .await?;
            self.expect_dead(&last, "the successor of the other")
                .await?;
        }
        Ok(())
    }

    async fn the_leeway_is_for_one_rotation(&self) -> Check {
        self.asks_for_leeway()?;
        let [first, second, third] = self.rotated_twice("alice").await?;
        self.expect_refused(&first, "a token, for the third time,")
            .await?;
        for next in [second, third] {
            self.expect_dead(&next, "a next token, after the third time,")
                .await?;
        }

        let [first, second, _] = self.rotated_twice("alice").await?;
        let last = self.refresh(&second).await?;
        self.expect_refused(&first, "a token, for the third time,")
            .await?;
        self.expect_dead(&last, "the last token, after the third time,")
            .await?;

        let first = self.log_in("alice").await?;
        let second = self.refresh(&first).await?;
        let third = self.refresh(&second).await?;
        self.expect_refused(&first, "the predecessor of the predecessor")
            .await?;
        self.expect_dead(&third, "the last token, after the first was used again,")
            .await
    }

    async fn each_of_three_ends_all(&self) -> Check {
        self.asks_for_leeway()?;
        for member in 0..3 {
            let family = self.rotated_twice("alice").await?;
            let revoked = self.tokens.revoke(&family[member]).await?;
            expect(revoked != Revocation::NotFound, || {
                format!("the {}. of them was NotFound", member + 1)
            })?;
            for token in &family {
                self.expect_dead(token, "one of them, after a logout by another,")
                    .await?;
            }
            // Not before, since it would be the re-use that ends the session as well.
            for token in &family {
                self.expect_refused(token, "one of them, after a logout by another,")
                    .await?;
            }
        }
        Ok(())
    }
}
