//! The callback gets each ended session once, even if another part of the logout failed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tower_logout::store::{
    Incomplete, MigrationStore, RetryStore, SessionId, SessionStore, SubjectStore, Transient,
};
use tower_logout::{
    BoxError, LogoutLayer, MemoryStore, Revocation, Scope, Token, TokenStore, async_trait, store_fn,
};

use support::*;

/// A store that ends sessions and then returns an error, like a store whose replicas are late.
#[derive(Clone)]
struct Late {
    store: MemoryStore,
    lags: Arc<AtomicBool>,
    /// Whether every call fails, and not only the first.
    for_ever: bool,
}

impl Late {
    fn new(store: &MemoryStore, for_ever: bool) -> Self {
        Self {
            store: store.clone(),
            lags: Arc::new(AtomicBool::new(true)),
            for_ever,
        }
    }

    fn answer(&self, ended: Revocation) -> Result<Revocation, BoxError> {
        if self.lags.fetch_and(self.for_ever, Ordering::Relaxed) {
            let late = "0 of 1 replicas have it";
            // Either error can wrap the other.
            return Err(if self.for_ever {
                Transient::new(Incomplete::new(ended, late)).into()
            } else {
                Incomplete::new(ended, Transient::new(late)).into()
            });
        }
        Ok(ended)
    }
}

#[async_trait]
impl TokenStore for Late {
    async fn revoke(&self, token: &Token) -> Result<Revocation, BoxError> {
        self.answer(self.store.revoke(token).await?)
    }
}

#[async_trait]
impl SubjectStore for Late {
    async fn subject(&self, token: &Token) -> Result<Option<String>, BoxError> {
        self.store.subject(token).await
    }

    async fn revoke_subject(&self, subject: &str, keep: &[Token]) -> Result<Revocation, BoxError> {
        self.answer(self.store.revoke_subject(subject, keep).await?)
    }
}

/// A store that fails and ends no session.
struct Down;

#[async_trait]
impl TokenStore for Down {
    async fn revoke(&self, _: &Token) -> Result<Revocation, BoxError> {
        Err("down".into())
    }
}

#[async_trait]
impl SubjectStore for Down {
    async fn subject(&self, _: &Token) -> Result<Option<String>, BoxError> {
        Ok(None)
    }

    async fn revoke_subject(&self, _: &str, _: &[Token]) -> Result<Revocation, BoxError> {
        Err("down".into())
    }
}

/// A store that names this session for every token.
struct NamesAlways(SessionId);

#[async_trait]
impl TokenStore for NamesAlways {
    async fn revoke(&self, _: &Token) -> Result<Revocation, BoxError> {
        Ok(Revocation::from_iter([self.0.clone()]))
    }
}

/// The statuses of several logouts, and the sessions that they named.
struct Seen {
    statuses: Vec<u16>,
    named: Vec<SessionId>,
}

/// Logs out with each token at each path, one after the other.
async fn log_out<T: SubjectStore>(store: T, tokens: &[Token], paths: &[&str]) -> Seen {
    let named = Shared::default();
    let record = Arc::clone(&named);
    let layer = LogoutLayer::builder(store)
        .scoped_path("/auth/logout-all", Scope::All)
        .on_outcome(move |outcome, _| record.lock().unwrap().extend_from_slice(outcome.sessions()))
        .build()
        .unwrap();
    let mut statuses = Vec::new();
    for (path, token) in paths
        .iter()
        .flat_map(|path| tokens.iter().map(move |token| (path, token)))
    {
        let mut request = logout_with(token);
        *request.uri_mut() = path.parse().unwrap();
        statuses.push(through(&layer, request).await.status.as_u16());
    }
    let named = named.lock().unwrap().clone();
    Seen { statuses, named }
}

/// Opens sessions of alice.
async fn sessions(store: &MemoryStore, number: usize) -> (Vec<Token>, Vec<SessionId>) {
    let (mut tokens, mut ids) = (Vec::new(), Vec::new());
    for _ in 0..number {
        let token = Token::generate().unwrap();
        ids.push(store.open("alice", &token).await.unwrap().id);
        tokens.push(token);
    }
    ids.sort();
    (tokens, ids)
}

fn sorted(mut ids: Vec<SessionId>) -> Vec<SessionId> {
    ids.sort();
    ids
}

#[tokio::test]
async fn by_a_logout_that_failed_because_a_replica_was_late() {
    let store = MemoryStore::new();
    let (tokens, ids) = sessions(&store, 2).await;
    let seen = log_out(Late::new(&store, false), &tokens, &["/auth/logout"]).await;
    assert_eq!(seen.statuses, [500, 200]);
    assert_eq!(sorted(seen.named), ids);
}

#[tokio::test]
async fn by_a_logout_whose_second_attempt_succeeded() {
    let store = MemoryStore::new();
    let (tokens, ids) = sessions(&store, 1).await;
    let retrying = RetryStore::new(Late::new(&store, false)).with_delay(std::time::Duration::ZERO);
    let seen = log_out(retrying, &tokens, &["/auth/logout"]).await;
    assert_eq!(seen.statuses, [200]);
    assert_eq!(seen.named, ids);
}

#[tokio::test]
async fn by_a_logout_whose_attempts_all_failed() {
    let store = MemoryStore::new();
    let (tokens, ids) = sessions(&store, 3).await;
    let retrying = RetryStore::new(Late::new(&store, true)).with_delay(std::time::Duration::ZERO);
    let seen = log_out(
        retrying,
        &tokens[..1],
        &["/auth/logout-all", "/auth/logout"],
    )
    .await;
    assert_eq!(seen.statuses, [500, 500]);
    assert_eq!(sorted(seen.named), ids);
}

#[tokio::test]
async fn by_a_logout_during_a_migration_with_one_store_down() {
    for path in ["/auth/logout", "/auth/logout-all"] {
        let store = MemoryStore::new();
        let (tokens, ids) = sessions(&store, 1).await;
        let seen = log_out(MigrationStore::new(Down, store.clone()), &tokens, &[path]).await;
        assert_eq!(seen.statuses, [500]);
        // The presented token stays alive, so that it still names the subject in another attempt.
        let is_kept = path.ends_with("all");
        assert_eq!(seen.named, if is_kept { vec![] } else { ids.clone() });
        assert_eq!(is_live(&store, &tokens[0]).await, is_kept);

        let store = MemoryStore::new();
        let (tokens, ids) = sessions(&store, 1).await;
        let migration = MigrationStore::new(Late::new(&store, true), Down);
        let seen = log_out(migration, &tokens, &["/auth/logout"]).await;
        assert_eq!((seen.statuses, seen.named), (vec![500], ids));
    }
}

#[tokio::test]
async fn by_a_logout_during_a_migration_whose_old_store_panics() {
    let store = MemoryStore::new();
    let (tokens, ids) = sessions(&store, 1).await;
    let panics = store_fn(|_| async { panic!("the store panics") });
    let named = Shared::default();
    let record = Arc::clone(&named);
    let layer = LogoutLayer::builder(MigrationStore::new(panics, store.clone()))
        .on_outcome(move |outcome, _| record.lock().unwrap().extend_from_slice(outcome.sessions()))
        .build()
        .unwrap();
    let answer = through(&layer, logout_with(&tokens[0])).await;
    answer.assert_is_failed_and_keeps_cookies();
    assert_eq!(*named.lock().unwrap(), ids);
}

#[tokio::test]
async fn by_a_request_that_presents_a_token_twice() {
    let store = MemoryStore::new();
    let (tokens, ids) = sessions(&store, 1).await;
    let token = &tokens[0];
    let mut request = logout_with(token);
    let cookies = format!("refreshToken={0}; refreshToken=%22{0}%22", token.expose());
    request
        .headers_mut()
        .insert("cookie", cookies.parse().unwrap());
    let answer = through_default(NamesAlways(ids[0].clone()), request).await;
    assert_eq!(answer.outcome.unwrap().sessions(), ids);
}
