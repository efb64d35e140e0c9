//! What has expired, and what has not.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{ATTEMPTS, Broken, Check, MARGIN, Suite, expect};
use crate::store::{Revocation, Rotation, SessionStore};
use crate::testing::Report;
use crate::token::Token;

/// A shorter life is over before anything can be asked.
const SHORTEST_LIFE: Duration = Duration::from_millis(500);

impl Suite {
    pub(in crate::testing) async fn expired(
        &self,
        report: &mut Report,
        store: Option<Arc<dyn SessionStore>>,
    ) {
        report
            .check(
                "a session that has expired is found nowhere, and ending it is no error",
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
                "a token that was rotated away is known until it would have expired by itself, and \
                 no longer where its session lives on",
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
        format!("after it had expired, {found:?} was found")
    })?;
    let rotated = store.rotate(&token, &Token::generate()?).await?;
    expect(rotated == Rotation::NotFound, || {
        format!("its rotation was {rotated:?}")
    })?;
    let revoked = store.revoke(&token).await?;
    expect(revoked == Revocation::NotFound, || {
        format!("its revocation was {revoked:?}")
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
        format!("after all that had expired was dropped, {left} more were")
    })
}

async fn tokens_are_known_by_their_age(store: &dyn SessionStore) -> Check {
    for _ in 0..ATTEMPTS {
        if is_known_by_its_age(store).await? {
            return Ok(());
        }
    }
    Err(Broken::Seen(format!(
        "its sessions had expired before they could be asked for, {ATTEMPTS} times: show a store \
         whose sessions live longer"
    )))
}

/// `false` where the store was slower than its clock, so that nothing was seen.
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
        "a token that was rotated away was NotFound before it would have expired by itself".into()
    })?;
    expect(store.find(&after_young).await?.is_none(), || {
        "its successor was found after the logout".into()
    })?;

    // The clock may be that of another machine.
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
        format!("the rotation of a token that had expired by itself was {rotated:?}")
    })?;
    expect(revoked == Revocation::NotFound, || {
        format!("the revocation of a token that had expired by itself was {revoked:?}")
    })?;
    let Some((last, _)) = last.filter(|_| found.is_some()) else {
        return Err(Broken::Seen(
            "a session ended with a token that was rotated away and had expired by itself".into(),
        ));
    };
    expect(revoked_by_rotated != Revocation::NotFound, || {
        "of two tokens that were rotated away, the younger was forgotten with the older".into()
    })?;
    expect(store.find(&last).await?.is_none(), || {
        "its successor was found after the logout".into()
    })?;
    Ok(true)
}

/// The next token and when it expires, if the rotation succeeds.
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
