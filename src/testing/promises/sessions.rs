//! The checks that only a [`SessionStore`] has.

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
                "a session is found by its live token and by its id until it ends",
                sessions_are_found(&*store),
            )
            .await;
        report
            .check(
                "a known token opens no session and replaces no other token",
                taken_tokens_are_rejected(&*store),
            )
            .await;
    }
}

async fn sessions_are_found(store: &dyn SessionStore) -> Check {
    let (first, second) = (Token::generate()?, Token::generate()?);
    let session = store.open("alice", &first).await?;
    expect(session.subject == "alice", || {
        format!(
            "a session was opened for \"alice\", and its subject was {:?}",
            session.subject
        )
    })?;
    let by_token = store.find(&first).await?;
    expect(by_token.as_ref() == Some(&session), || {
        format!("{session:?} was opened, and its token found {by_token:?}")
    })?;
    let by_id = store.find_session(&session.id).await?;
    expect(by_id.as_ref() == Some(&session), || {
        format!("{session:?} was opened, and its id found {by_id:?}")
    })?;
    match store.rotate(&first, &second).await? {
        Rotation::Rotated(rotated) => expect(
            rotated.id == session.id && rotated.expires_at >= session.expires_at,
            || format!("{session:?} was rotated to {rotated:?}"),
        )?,
        other => {
            return Err(Broken::Seen(format!(
                "the rotation of a live token was {other:?}"
            )));
        }
    }
    expect(store.find(&first).await?.is_none(), || {
        "a rotated token found a session".into()
    })?;
    expect(store.find(&second).await?.is_some(), || {
        "a live token did not find its session".into()
    })?;
    store.revoke(&second).await?;
    let after = (
        store.find(&second).await?,
        store.find_session(&session.id).await?,
    );
    expect(after == (None, None), || {
        format!("{after:?} was found after the end of the session")
    })?;
    let unknown = store.find_session(&SessionId::new("unknown")).await?;
    expect(unknown.is_none(), || {
        format!("the id \"unknown\" found {unknown:?}")
    })
}

async fn taken_tokens_are_rejected(store: &dyn SessionStore) -> Check {
    let (alice, bob) = (Token::generate()?, Token::generate()?);
    store.open("alice", &alice).await?;
    store.open("bob", &bob).await?;
    expect(store.open("mallory", &alice).await.is_err(), || {
        "one token opened two sessions".into()
    })?;
    expect(store.rotate(&bob, &alice).await.is_err(), || {
        "a token was rotated to the token of another session".into()
    })?;
    expect(store.rotate(&bob, &bob).await.is_err(), || {
        "a token was rotated to itself".into()
    })?;
    for (subject, token) in [("alice", &alice), ("bob", &bob)] {
        let found = store.find(token).await?;
        expect(
            found.as_ref().is_some_and(|found| found.subject == subject),
            || format!("a rejected call changed the session of {subject:?} to {found:?}"),
        )?;
    }
    Ok(())
}
