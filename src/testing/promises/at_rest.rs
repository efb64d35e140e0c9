//! The data at rest.

use super::{Broken, Check, Suite, expect};
use crate::testing::{Probe, Report};

impl Suite {
    pub(in crate::testing) async fn at_rest(&self, report: &mut Report, probe: Option<Probe>) {
        report
            .check("no token is stored in plain text", async {
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
                    "a token in plain text is at byte {} of the dump",
                    found.unwrap_or_default()
                )
            })?;
        }
        Ok(())
    }
}
