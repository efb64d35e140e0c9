//! The expiry of sessions and of rotated tokens.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{ATTEMPTS, Broken, Check, MARGIN, Suite, expect};
use crate::store::{Revocation, Rotation, SessionStore};
use crate::testing::Report;
use crate::token::Token;

/// With a shorter lifetime, a session expires before the suite can check anything.
const SHORTEST_LIFE: Duration = Duration::from_millis(500);

impl Suite {
    pub(in crate::testing) async fn expired(
        &self,
        report: &mut Report,
        store: Option<Arc<dyn SessionStore>>,
    ) {
        report
            .check(
                "an expired session is not found, and revoking it is not an error",
                async {
                    match store {
                        Some(store) => expired_sessions_are_dead(&*store).await,
                        None => Err(Broken::NotAsked("with_expiring was not called")),
                    }
                },
            )
            .await;
    }

    pub(in crate::testing) async fn short_lived(
        &self,
        report: &mut Report,
        store: Option<Arc<dyn SessionStore>>,
    ) {
        report
            .check(
                "a rotated token is known until its own expiry, and no longer, even if its session \
                 lives on",
                async {
                    match store {
                        Some(store) => tokens_are_known_by_their_age(&*store).await,
                        None => Err(Broken::NotAsked("with_short_lived was not called")),
                    }
                },
            )
            .await;
    }
}

async fn expired_sessions_are_dead(store: &dyn SessionStore) -> Check {
    let token = Token::generate()?;
    let session = store.open("alice", &token).await?;
    let found = (
        store.find(&token).await?,
        store.find_session(&session.id).await?,
    );
    expect(found == (None, None), || {
        format!("{found:?} was found after its expiry")
    })?;
    let rotated = store.rotate(&token, &Token::generate()?).await?;
    expect(rotated == Rotation::NotFound, || {
        format!("the rotation of an expired token was {rotated:?}")
    })?;
    let revoked = store.revoke(&token).await?;
    expect(revoked == Revocation::NotFound, || {
        format!("the revocation of an expired token was {revoked:?}")
    })?;
    for _ in 0..5 {
        store.open("alice", &Token::generate()?).await?;
    }
    for _ in 0..1000 {
        if store.delete_expired(2).await? < 2 {
            break;
        }
    }
    let left = store.delete_expired(2).await?;
    expect(left == 0, || {
        format!("after all expired sessions were deleted, {left} more were deleted")
    })
}

async fn tokens_are_known_by_their_age(store: &dyn SessionStore) -> Check {
    for _ in 0..ATTEMPTS {
        if is_known_by_its_age(store).await? {
            return Ok(());
        }
    }
    Err(Broken::Seen(format!(
        "the sessions expired before they could be checked, {ATTEMPTS} times: use a store whose \
         sessions live longer"
    )))
}

/// Returns `false` if the store was too slow for a verdict.
async fn is_known_by_its_age(store: &dyn SessionStore) -> Result<bool, Broken> {
    let opened_at = SystemTime::now();
    let young = Token::generate()?;
    let expires_at = store.open("alice", &young).await?.expires_at;
    let old = Token::generate()?;
    store.open("alice", &old).await?;
    let lifetime = expires_at.duration_since(opened_at).unwrap_or_default();
    if lifetime < SHORTEST_LIFE {
        return Ok(false);
    }
    wait_until(expires_at - lifetime / 2).await;
    let (Some((after_young, _)), Some((after_old, lives_until))) =
        (rotate(store, &young).await?, rotate(store, &old).await?)
    else {
        return Ok(false);
    };

    wait_until(expires_at - lifetime / 4).await;
    let revoked = store.revoke(&young).await?;
    if SystemTime::now() >= expires_at {
        return Ok(false);
    }
    expect(revoked != Revocation::NotFound, || {
        "a rotated token was NotFound before its own expiry".into()
    })?;
    expect(store.find(&after_young).await?.is_none(), || {
        "the successor of a revoked token was found".into()
    })?;

    // The clock of the store may be on another machine.
    wait_until(expires_at + lifetime / 8 + MARGIN).await;
    let rotated = store.rotate(&old, &Token::generate()?).await?;
    let revoked = store.revoke(&old).await?;
    let found = store.find(&after_old).await?;
    let last = rotate(store, &after_old).await?;
    let revoked_by_rotated = store.revoke(&after_old).await?;
    if SystemTime::now() >= lives_until {
        return Ok(false);
    }
    expect(rotated == Rotation::NotFound, || {
        format!("the rotation of a rotated token after its own expiry was {rotated:?}")
    })?;
    expect(revoked == Revocation::NotFound, || {
        format!("the revocation of a rotated token after its own expiry was {revoked:?}")
    })?;
    let Some((last, _)) = last.filter(|_| found.is_some()) else {
        return Err(Broken::Seen(
            "a rotated token ended its session after its own expiry".into(),
        ));
    };
    expect(revoked_by_rotated != Revocation::NotFound, || {
        "of two rotated tokens, the younger one was forgotten together with the older one".into()
    })?;
    expect(store.find(&last).await?.is_none(), || {
        "the successor of a revoked token was found".into()
    })?;
    Ok(true)
}

/// Returns the next token and the expiry of its session, if the rotation succeeds.
async fn rotate(
    store: &dyn SessionStore,
    token: &Token,
) -> Result<Option<(Token, SystemTime)>, Broken> {
    let next = Token::generate()?;
    Ok(match store.rotate(token, &next).await? {
        Rotation::Rotated(session) => Some((next, session.expires_at)),
        _ => None,
    })
}

async fn wait_until(time: SystemTime) {
    if let Ok(left) = time.duration_since(SystemTime::now()) {
        tokio::time::sleep(left).await;
    }
}
