//! After its machine lost power, a server serves logouts again as soon as it is back.

use std::time::{Duration, Instant};

use futures::future::join_all;
use sqlx::Connection;
use tower_logout::store::SessionStore;
use tower_logout::{LogoutLayer, Token, TokenStore};
use tower_logout_redis::RedisStore;
use tower_logout_sqlx::SqlStore;

use e2e::database::Kind;
use e2e::proxy::Fault;
use e2e::rig::{Rig, acknowledged, layer_with_timeout, pool};
use support::*;

/// The size of a pool.
const POOL: usize = 10;

async fn tokens(store: &dyn SessionStore) -> Vec<Token> {
    let mut tokens = Vec::new();
    for _ in 0..POOL {
        tokens.push(open(store, "alice").await);
    }
    tokens
}

async fn log_out_all<T: TokenStore>(layer: &LogoutLayer<T>, tokens: &[Token]) -> usize {
    let answers = join_all(tokens.iter().map(|token| acknowledged(layer, token))).await;
    answers
        .into_iter()
        .filter(|acknowledged| *acknowledged)
        .count()
}

/// Expects one acknowledged logout within 1.5 seconds, and then all of them.
async fn serves_at_once<T: TokenStore>(layer: &LogoutLayer<T>, tokens: &[Token]) {
    let back = Instant::now();
    while !acknowledged(layer, &tokens[0]).await {
        assert!(
            back.elapsed() < Duration::from_secs(10),
            "the layer does not recover"
        );
    }
    let took = back.elapsed();
    println!("served again after {took:?}");
    assert!(took < Duration::from_millis(1500), "{took:?}");
    assert_eq!(log_out_all(layer, tokens).await, tokens.len());
}

async fn lose_power(rig: &Rig) {
    rig.set_fault(Fault::PowerLoss);
    // Each connection must notice the fault.
    tokio::time::sleep(Duration::from_millis(100)).await;
}

/// Blocks statements on the sessions table until it is dropped.
enum Lock {
    Postgres(sqlx::PgConnection),
    MariaDb(sqlx::MySqlConnection),
}

impl Lock {
    async fn sessions(rig: &Rig) -> Self {
        let url = rig.direct_url();
        if rig.kind == Kind::Postgres {
            let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
            let lock = "BEGIN; SELECT 1 FROM tower_logout_sessions FOR UPDATE";
            sqlx::raw_sql(lock).execute(&mut connection).await.unwrap();
            return Self::Postgres(connection);
        }
        let mut connection = sqlx::MySqlConnection::connect(&url).await.unwrap();
        let lock = "BEGIN; SELECT 1 FROM tower_logout_sessions FOR UPDATE";
        sqlx::raw_sql(lock).execute(&mut connection).await.unwrap();
        Self::MariaDb(connection)
    }

    /// Waits until this number of statements waits for the lock.
    async fn is_waited_for(&mut self, by: usize) {
        for _ in 0..200 {
            if self.waiting().await == by {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{} statements wait", self.waiting().await);
    }

    async fn waiting(&mut self) -> usize {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
        let waiting_in_mariadb = "SELECT count(*) FROM information_schema.innodb_trx \
                                  WHERE trx_state = 'LOCK WAIT'";
        let waiting: i64 = match self {
            Self::Postgres(connection) => {
                let waiting = sqlx::query_scalar(waiting);
                waiting.fetch_one(connection).await.unwrap()
            }
            Self::MariaDb(connection) => {
                let waiting = sqlx::query_scalar(waiting_in_mariadb);
                waiting.fetch_one(connection).await.unwrap()
            }
        };
        usize::try_from(waiting).unwrap()
    }
}

async fn serves_after_a_power_loss(rig: &Rig, store: SqlStore) {
    let direct = rig.direct_store().await;
    let layer = layer_with_timeout(store.clone(), Duration::from_secs(5));
    // This fills the pool.
    assert_eq!(log_out_all(&layer, &tokens(&*direct).await).await, POOL);

    println!("{:?}: with statements in flight", rig.kind);
    let in_flight = tokens(&*direct).await;
    let mut lock = Lock::sessions(rig).await;
    let (logged_out, ()) = tokio::join!(log_out_all(&layer, &in_flight), async {
        lock.is_waited_for(POOL).await;
        rig.set_fault(Fault::PowerLoss);
        drop(lock);
    });
    assert_eq!(logged_out, 0);
    rig.set_fault(Fault::None);
    serves_at_once(&layer, &in_flight).await;

    println!("{:?}: with cancelled statements", rig.kind);
    let in_flight = tokens(&*direct).await;
    let mut lock = Lock::sessions(rig).await;
    {
        let mut revocations = join_all(in_flight.iter().map(|token| store.revoke(token)));
        tokio::select! {
            _ = &mut revocations => panic!("the sessions are locked"),
            () = lock.is_waited_for(POOL) => {}
        }
        lose_power(rig).await;
    }
    drop(lock);
    rig.set_fault(Fault::None);
    serves_at_once(&layer, &in_flight).await;

    println!("{:?}: with idle connections", rig.kind);
    let idle = tokens(&*direct).await;
    lose_power(rig).await;
    rig.set_fault(Fault::None);
    serves_at_once(&layer, &idle).await;

    println!("{:?}: with logouts during the outage", rig.kind);
    let patient = tokens(&*direct).await;
    rig.set_fault(Fault::PowerLoss);
    for _ in 0..2 {
        assert_eq!(log_out_all(&layer, &patient).await, 0);
    }
    rig.set_fault(Fault::None);
    serves_at_once(&layer, &patient).await;
    for token in in_flight.iter().chain(&idle).chain(&patient) {
        assert!(!is_live(&*direct, token).await, "acknowledged and lost");
    }
}

async fn with_the_stores_pool(kind: Kind) {
    let Some(rig) = Rig::start(kind).await else {
        return;
    };
    let store = SqlStore::connect(&rig.proxied_url()).await.unwrap();
    serves_after_a_power_loss(&rig, store).await;
}

async fn with_the_applications_pool(kind: Kind) {
    let Some(rig) = Rig::start(kind).await else {
        return;
    };
    let pool = pool(kind, &rig.proxied_url(), Duration::from_secs(30)).await;
    let store = SqlStore::new(pool).await.unwrap();
    serves_after_a_power_loss(&rig, store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_serves_again_through_the_stores_pool() {
    with_the_stores_pool(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_serves_again_through_the_applications_pool() {
    with_the_applications_pool(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_serves_again_through_the_stores_pool() {
    with_the_stores_pool(Kind::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_serves_again_through_the_applications_pool() {
    with_the_applications_pool(Kind::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_serves_again() {
    let Some(rig) = Rig::start(Kind::Redis).await else {
        return;
    };
    let direct = rig.direct_store().await;
    let store = RedisStore::connect(&rig.proxied_url()).await.unwrap();
    let layer = layer_with_timeout(store.clone(), Duration::from_secs(5));
    let in_flight = tokens(&*direct).await;
    lose_power(&rig).await;
    assert_eq!(log_out_all(&layer, &in_flight).await, 0);
    rig.set_fault(Fault::None);
    serves_at_once(&layer, &in_flight).await;

    // A caller that stops waiting sees no timeout, but the store does.
    let cancelled = tokens(&*direct).await;
    lose_power(&rig).await;
    let revocations = join_all(cancelled.iter().map(|token| store.revoke(token)));
    let timeout = Duration::from_millis(100);
    assert!(tokio::time::timeout(timeout, revocations).await.is_err());
    tokio::time::sleep(Duration::from_secs(3)).await;
    rig.set_fault(Fault::None);
    serves_at_once(&layer, &cancelled).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_statements_do_not_wait_in_postgres_forever() {
    let Some(rig) = Rig::start(Kind::Postgres).await else {
        return;
    };
    let builder = SqlStore::builder().statement_timeout(Duration::from_millis(500));
    let store = builder.connect(&rig.direct_url()).await.unwrap();
    let rounds = [
        tokens(&store).await,
        tokens(&store).await,
        tokens(&store).await,
    ];
    let mut lock = Lock::sessions(&rig).await;
    for round in &rounds {
        let answers = join_all(round.iter().map(|token| store.revoke(token))).await;
        assert!(answers.iter().all(|answer| {
            let error = answer.as_ref().unwrap_err();
            error.is::<tower_logout::store::Transient>()
        }));
    }
    // A closed connection does not end its statement. Only the statements of the first round still wait.
    lock.is_waited_for(POOL).await;
    drop(lock);
    for token in rounds.iter().flatten() {
        store.revoke(token).await.unwrap();
        assert!(!is_live(&store, token).await);
    }
}
