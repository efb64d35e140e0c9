//! The conformance suite of tower-logout.

use std::sync::Arc;

use tower_logout::testing::{Application, Conformance, Report};
use tower_logout::{BoxError, Token, TokenStore, async_trait};

use super::super::tower_sessions::{MemoryStore, Session};
use super::{RevocableStore, is_live};

/// An application that never changes the id of a session.
#[derive(Clone)]
struct Plain(RevocableStore<MemoryStore>);

#[async_trait]
impl Application for Plain {
    async fn log_in(&self, subject: &str) -> Result<Token, BoxError> {
        let session = Session::new(None, Arc::new(self.0.clone()), None);
        session.insert("user", subject).await?;
        session.save().await?;
        Ok(Token::new(session.id().unwrap().to_string()))
    }

    async fn accepts(&self, token: &Token) -> Result<bool, BoxError> {
        match token.expose().parse() {
            Ok(id) => Ok(is_live(&self.0, id).await),
            Err(_) => Ok(false),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_sessions_with_one_id_each() {
    let store = RevocableStore::new(MemoryStore::default());
    let report = Conformance::for_application(store.clone(), Plain(store))
        .run()
        .await;
    println!("{}", report.unwrap());
}

/// An application that changes the id of the session in each refresh, and ends the session if an older id
/// comes back.
#[derive(Clone)]
struct Cycling(Plain);

#[async_trait]
impl Application for Cycling {
    async fn log_in(&self, subject: &str) -> Result<Token, BoxError> {
        self.0.log_in(subject).await
    }

    async fn accepts(&self, token: &Token) -> Result<bool, BoxError> {
        self.0.accepts(token).await
    }

    async fn refresh(&self, token: &Token) -> Result<Option<Token>, BoxError> {
        let Ok(id) = token.expose().parse() else {
            return Ok(None);
        };
        let session = super::session(&self.0.0, id);
        if session.get::<String>("user").await?.is_none() {
            self.0.0.revoke(token).await?;
            return Ok(None);
        }
        session.cycle_id().await?;
        // A save of a session that has ended is refused.
        let saved = session.save().await;
        Ok(saved
            .ok()
            .and(session.id())
            .map(|id| Token::new(id.to_string())))
    }
}

/// Two requests that load a session at the same time both change its id.
const NOT_OF_TOWER_SESSIONS: &str =
    "of many rotations of one token at once, at most one succeeds, or two within the leeway";

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_sessions_with_many_ids_each() {
    let store = RevocableStore::new(MemoryStore::default());
    let application = Cycling(Plain(store.clone()));
    let suite = Conformance::for_application(store, application).with_rounds(60);
    let report: Report = suite.run().await.unwrap_or_else(|broken| broken);
    println!("{report}");
    for (promise, seen) in report.broken() {
        assert_eq!(promise, NOT_OF_TOWER_SESSIONS, "{seen}");
    }
}
