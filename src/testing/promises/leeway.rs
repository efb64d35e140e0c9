//! The reuse leeway of the direct predecessor.

use super::{Broken, Check, Suite, expect};
use crate::store::Revocation;
use crate::testing::Report;

impl Suite {
    pub(super) async fn leeway(&self, report: &mut Report) {
        report
            .check(
                "within the leeway, a token can be rotated a second time, and both successors live \
                 until one of them is rotated",
                self.both_next_tokens_live(),
            )
            .await;
        report
            .check(
                "within the leeway, no token can be rotated a third time, and no older token again",
                self.the_leeway_is_for_one_rotation(),
            )
            .await;
        report
            .check(
                "after two rotations of one token, that token and either successor ends the session",
                self.each_of_three_ends_the_session(),
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
                "two rotations of a token had the same successor".into()
            })?;
            self.expect_dead(&family[0], "the token that was rotated twice")
                .await?;
            for next in &family[1..] {
                self.expect_live(next, "one of two successors").await?;
            }
            let other = &family[3 - rotated];
            let Some(last) = self.application.refresh(&family[rotated]).await? else {
                return Err(Broken::Seen("one of two successors was not rotated".into()));
            };
            self.expect_live(&last, "the successor of a rotated successor")
                .await?;
            self.expect_dead(other, "one of two successors, after the other was rotated,")
                .await?;
            self.expect_rejected(other, "one of two successors, after the other was rotated,")
                .await?;
            self.expect_dead(&last, "the last token, after the reuse of an older one,")
                .await?;
        }
        Ok(())
    }

    async fn the_leeway_is_for_one_rotation(&self) -> Check {
        self.asks_for_leeway()?;
        let [first, second, third] = self.rotated_twice("alice").await?;
        self.expect_rejected(&first, "a token, for the third time,")
            .await?;
        for next in [second, third] {
            self.expect_dead(&next, "a successor, after a third use of its predecessor,")
                .await?;
        }

        let [first, second, _] = self.rotated_twice("alice").await?;
        let last = self.refresh(&second).await?;
        self.expect_rejected(&first, "a token, for the third time,")
            .await?;
        self.expect_dead(&last, "the last token, after a third use of the first,")
            .await?;

        let first = self.log_in("alice").await?;
        let second = self.refresh(&first).await?;
        let third = self.refresh(&second).await?;
        self.expect_rejected(&first, "the predecessor of the predecessor")
            .await?;
        self.expect_dead(&third, "the last token, after the reuse of the first,")
            .await
    }

    async fn each_of_three_ends_the_session(&self) -> Check {
        self.asks_for_leeway()?;
        for member in 0..3 {
            let family = self.rotated_twice("alice").await?;
            let revoked = self.tokens.revoke(&family[member]).await?;
            expect(revoked != Revocation::NotFound, || {
                format!("token {} of three was NotFound", member + 1)
            })?;
            for token in &family {
                self.expect_dead(token, "one of three tokens, after a logout with another,")
                    .await?;
            }
            // In a second loop, because a rotation before could end the session as reuse.
            for token in &family {
                self.expect_rejected(token, "one of three tokens, after a logout with another,")
                    .await?;
            }
        }
        Ok(())
    }
}
