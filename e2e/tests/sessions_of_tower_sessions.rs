//! An ended session of tower-sessions does not come back, in real stores.

use std::sync::Arc;

use axum_login::tower_sessions::session::Id;
use axum_login::tower_sessions::{Session, SessionStore};
use tower_logout::testing::{Application, Conformance};
use tower_logout::{BoxError, Revocation, Token, TokenStore, async_trait};
use tower_logout_tower_sessions::v0_14::RevocableStore;
use tower_sessions_redis_store::RedisStore;
use tower_sessions_redis_store::fred::interfaces::ClientLike;
use tower_sessions_redis_store::fred::prelude::{Config, Pool};

use e2e::database::{Kind, Server, shared};
use e2e::session_table::SessionTable;

/// The session of a request with this cookie.
fn session<S: SessionStore + Clone>(store: &S, id: Option<Id>) -> Session {
    Session::new(id, Arc::new(store.clone()), None)
}

async fn log_in<S: SessionStore + Clone>(store: &S) -> Id {
    let session = session(store, None);
    session.insert("user", "alice").await.unwrap();
    session.save().await.unwrap();
    session.id().unwrap()
}

async fn is_live<S: SessionStore + Clone>(store: &S, id: Id) -> bool {
    let user: Option<String> = session(store, Some(id)).get("user").await.unwrap();
    user.is_some()
}

/// Serves requests with the latest cookie until the session is gone. Returns each id that a response had.
async fn serve<S: SessionStore + Clone>(store: S, first: Id, changes_id: bool) -> Vec<Id> {
    let mut ids = vec![first];
    for request in 0..20 {
        let session = session(&store, ids.last().copied());
        if session.get::<String>("user").await.unwrap().is_none() {
            break;
        }
        session.insert("request", request).await.unwrap();
        if changes_id {
            session.cycle_id().await.unwrap();
        }
        if session.save().await.is_err() {
            break;
        }
        ids.push(session.id().unwrap());
    }
    ids
}

/// Races requests on one server with a logout on another server. Returns how many sessions came back.
async fn race<S: SessionStore + Clone>(
    requests_at: &S,
    logout_at: &impl TokenStore,
    rounds: u64,
) -> usize {
    let mut back = 0;
    for round in 0..rounds {
        let id = log_in(requests_at).await;
        let requests: Vec<_> = (0..8)
            .map(|number| tokio::spawn(serve(requests_at.clone(), id, number % 2 == 0)))
            .collect();
        tokio::time::sleep(std::time::Duration::from_micros(round * 300)).await;
        let revoked = logout_at.revoke(&Token::new(id.to_string())).await;
        let revoked = revoked.unwrap();
        let mut ids = Vec::new();
        for request in requests {
            ids.extend(request.await.unwrap());
        }
        let mut is_back = false;
        for id in ids {
            is_back |= is_live(requests_at, id).await;
        }
        back += usize::from(is_back);
        assert!(revoked == Revocation::Revoked || is_back, "round {round}");
    }
    println!("{back} of {rounds} came back");
    back
}

#[derive(Clone)]
struct App<S>(RevocableStore<S>);

#[async_trait]
impl<S: SessionStore + Clone> Application for App<S> {
    async fn log_in(&self, _: &str) -> Result<Token, BoxError> {
        Ok(Token::new(log_in(&self.0).await.to_string()))
    }

    async fn accepts(&self, token: &Token) -> Result<bool, BoxError> {
        match token.expose().parse() {
            Ok(id) => Ok(is_live(&self.0, id).await),
            Err(_) => Ok(false),
        }
    }
}

async fn keeps_its_promises<S: SessionStore + Clone>(one: S, other: S) {
    let (one, other) = (RevocableStore::new(one), RevocableStore::new(other));
    let report = Conformance::for_application(one.clone(), App(other.clone()))
        .run()
        .await;
    println!("{}", report.unwrap());
    assert_eq!(race(&one, &other, 40).await, 0);
}

async fn redis(server: &Server) -> RedisStore<Pool> {
    let config = Config::from_url(&server.url("")).unwrap();
    let pool = Pool::new(config, None, None, None, 4).unwrap();
    pool.init().await.unwrap();
    RedisStore::new(pool)
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_brings_no_session_back() {
    let Some((server, _)) = shared(Kind::Redis).await else {
        return;
    };
    let (one, other) = (redis(server).await, redis(server).await);
    // Without the wrapper, new ids bring the session back.
    assert!(race(&one, &RevocableStore::new(other.clone()), 10).await > 0);
    keeps_its_promises(one, other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_brings_no_session_back() {
    let Some((_, url)) = shared(Kind::Postgres).await else {
        return;
    };
    a_table_brings_no_session_back(&url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_brings_no_session_back() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!(
        "sqlite:{}/sessions.sqlite?mode=rwc",
        folder.path().display()
    );
    a_table_brings_no_session_back(&url).await;
}

async fn a_table_brings_no_session_back(url: &str) {
    let (one, other) = (
        SessionTable::connect(url).await,
        SessionTable::connect(url).await,
    );
    assert!(race(&one, &RevocableStore::new(other.clone()), 10).await > 0);
    keeps_its_promises(one, other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_survives_a_restart_of_the_store_and_of_the_application() {
    let Some(mut server) = Server::start(Kind::Redis).await else {
        return;
    };
    let before = redis(&server).await;
    let store = RevocableStore::new(before.clone());
    let id = log_in(&store).await;
    let record = before.load(&id).await.unwrap().unwrap();
    let revoked = store.revoke(&Token::new(id.to_string())).await;
    assert_eq!(revoked.unwrap(), Revocation::Revoked);
    server.kill();
    server.resume().await;

    let after = redis(&server).await;
    // The row that a request left behind when the application crashed.
    let mut left = record.clone();
    after.create(&mut left).await.unwrap();
    assert_eq!(left.id, id);
    let store = RevocableStore::new(after);
    assert!(!is_live(&store, id).await);
    assert!(store.save(&record).await.is_err());
}
