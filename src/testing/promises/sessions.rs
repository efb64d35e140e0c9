//! What a store of sessions is asked beside.

use std::sync::Arc;

use super::{Broken, Check, Suite, expect};
use crate::store::{Rotation, SessionId, SessionStore};
use crate::testing::Report;
use crate::token::Token;

impl Suite {
    pub(in crate::testing) async fn sessions(
        &self,
        report: &mut Report,
        store: Option<Arc<dyn SessionStore>>,
    ) {
        let Some(store) = store else {
            return;
        };
        report
            .check(
                "a session is found by its live token and by its id, until it ends",
                sessions_are_found(&*store),
            )
            .await;
        report
            .check(
                "a token that is known already opens no session and follows no other token",
                taken_tokens_are_refused(&*store),
            )
            .await;
    }
}

async fn sessions_are_found(store: &dyn SessionStore) -> Check {
    let (first, second) = (Token::generate()?, Token::generate()?);
    let session = store.open("alice", &first).await?;
    expect(session.subject == "alice", || {
        format!(
            "a session of \"alice\" was opened for {:?}",
            session.subject
        )
    })?;
    let by_token = store.find(&first).await?;
    expect(by_token.as_ref() == Some(&session), || {
        format!("{session:?} was opened, and {by_token:?} found by its token")
    })?;
    let by_id = store.find_session(&session.id).await?;
    expect(by_id.as_ref() == Some(&session), || {
        format!("{session:?} was opened, and {by_id:?} found by its id")
    })?;
    match store.rotate(&first, &second).await? {
        Rotation::Rotated(rotated) => expect(
            rotated.id == session.id && rotated.expires_at >= session.expires_at,
            || format!("{session:?} was rotated to {rotated:?}"),
        )?,
        other => return Err(Broken::Seen(format!("its rotation was {other:?}"))),
    }
    expect(store.find(&first).await?.is_none(), || {
        "a session was found by a token that was rotated away".into()
    })?;
    expect(store.find(&second).await?.is_some(), || {
        "a session was not found by its live token".into()
    })?;
    store.revoke(&second).await?;
    let after = (
        store.find(&second).await?,
        store.find_session(&session.id).await?,
    );
    expect(after == (None, None), || {
        format!("after it had ended, {after:?} was found")
    })?;
    let unknown = store.find_session(&SessionId::new("unknown")).await?;
    expect(unknown.is_none(), || {
        format!("the id \"unknown\" was that of {unknown:?}")
    })
}

async fn taken_tokens_are_refused(store: &dyn SessionStore) -> Check {
    let (alice, bob) = (Token::generate()?, Token::generate()?);
    store.open("alice", &alice).await?;
    store.open("bob", &bob).await?;
    expect(store.open("mallory", &alice).await.is_err(), || {
        "a second session was opened with a token".into()
    })?;
    expect(store.rotate(&bob, &alice).await.is_err(), || {
        "a token was rotated to one of another session".into()
    })?;
    expect(store.rotate(&bob, &bob).await.is_err(), || {
        "a token was rotated to itself".into()
    })?;
    for (subject, token) in [("alice", &alice), ("bob", &bob)] {
        let found = store.find(token).await?;
        expect(
            found.as_ref().is_some_and(|found| found.subject == subject),
            || format!("what was refused changed the session of {subject:?} to {found:?}"),
        )?;
    }
    Ok(())
}
