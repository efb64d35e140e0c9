//! A server whose machine lost its power serves again as soon as it is back, whatever was in flight.

use std::time::{Duration, Instant};

use futures::future::join_all;
use sqlx::Connection;
use tower_logout::store::SessionStore;
use tower_logout::{LogoutLayer, Token, TokenStore};
use tower_logout_redis::RedisStore;
use tower_logout_sqlx::SqlStore;

use e2e::database::Kind;
use e2e::proxy::Weather;
use e2e::rig::{Rig, acknowledged, patient_layer, pool};
use support::*;

/// How many connections a pool has.
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

/// Has one logout acknowledged within a second, and then all.
async fn serves_at_once<T: TokenStore>(layer: &LogoutLayer<T>, tokens: &[Token]) {
    let back = Instant::now();
    while !acknowledged(layer, &tokens[0]).await {
        assert!(
            back.elapsed() < Duration::from_secs(10),
            "it does not recover"
        );
    }
    let took = back.elapsed();
    println!("served again after {took:?}");
    assert!(took < Duration::from_millis(1500), "{took:?}");
    assert_eq!(log_out_all(layer, tokens).await, tokens.len());
}

async fn lose_power(rig: &Rig) {
    rig.set(Weather::PowerLost);
    // Each connection has to see it.
    tokio::time::sleep(Duration::from_millis(100)).await;
}

/// Keeps the server's statements from their ends, until it is dropped.
enum Lock {
    Postgres(sqlx::PgConnection),
    MariaDb(sqlx::MySqlConnection),
}

impl Lock {
    async fn sessions(rig: &Rig) -> Self {
        let url = rig.url_past_proxy();
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

    /// Until as many statements wait for it.
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

async fn serves_after_a_loss_of_power(rig: &Rig, store: SqlStore) {
    let direct = rig.past_proxy().await;
    let layer = patient_layer(store.clone(), Duration::from_secs(5));
    // So that the pool is full.
    assert_eq!(log_out_all(&layer, &tokens(&*direct).await).await, POOL);

    println!("{:?}: with statements in flight", rig.kind);
    let in_flight = tokens(&*direct).await;
    let mut lock = Lock::sessions(rig).await;
    let (logged_out, ()) = tokio::join!(log_out_all(&layer, &in_flight), async {
        lock.is_waited_for(POOL).await;
        rig.set(Weather::PowerLost);
        drop(lock);
    });
    assert_eq!(logged_out, 0);
    rig.set(Weather::Fair);
    serves_at_once(&layer, &in_flight).await;

    println!("{:?}: with statements that are given up", rig.kind);
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
    rig.set(Weather::Fair);
    serves_at_once(&layer, &in_flight).await;

    println!("{:?}: with idle connections", rig.kind);
    let idle = tokens(&*direct).await;
    lose_power(rig).await;
    rig.set(Weather::Fair);
    serves_at_once(&layer, &idle).await;

    println!("{:?}: with logouts all the while", rig.kind);
    let patient = tokens(&*direct).await;
    rig.set(Weather::PowerLost);
    for _ in 0..2 {
        assert_eq!(log_out_all(&layer, &patient).await, 0);
    }
    rig.set(Weather::Fair);
    serves_at_once(&layer, &patient).await;
    for token in in_flight.iter().chain(&idle).chain(&patient) {
        assert!(!is_live(&*direct, token).await, "acknowledged and lost");
    }
}

async fn with_a_pool_of_the_store(kind: Kind) {
    let Some(rig) = Rig::start(kind).await else {
        return;
    };
    let store = SqlStore::connect(&rig.url_through_proxy()).await.unwrap();
    serves_after_a_loss_of_power(&rig, store).await;
}

async fn with_a_pool_of_the_application(kind: Kind) {
    let Some(rig) = Rig::start(kind).await else {
        return;
    };
    let pool = pool(kind, &rig.url_through_proxy(), Duration::from_secs(30)).await;
    let store = SqlStore::new(pool).await.unwrap();
    serves_after_a_loss_of_power(&rig, store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_serves_again_through_a_pool_of_the_store() {
    with_a_pool_of_the_store(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_serves_again_through_a_pool_of_the_application() {
    with_a_pool_of_the_application(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_serves_again_through_a_pool_of_the_store() {
    with_a_pool_of_the_store(Kind::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_serves_again_through_a_pool_of_the_application() {
    with_a_pool_of_the_application(Kind::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_serves_again() {
    let Some(rig) = Rig::start(Kind::Redis).await else {
        return;
    };
    let direct = rig.past_proxy().await;
    let store = RedisStore::connect(&rig.url_through_proxy()).await.unwrap();
    let layer = patient_layer(store.clone(), Duration::from_secs(5));
    let in_flight = tokens(&*direct).await;
    lose_power(&rig).await;
    assert_eq!(log_out_all(&layer, &in_flight).await, 0);
    rig.set(Weather::Fair);
    serves_at_once(&layer, &in_flight).await;

    // Whoever gives up sees no time-out, and the store does.
    let given_up = tokens(&*direct).await;
    lose_power(&rig).await;
    let revocations = join_all(given_up.iter().map(|token| store.revoke(token)));
    let impatience = Duration::from_millis(100);
    assert!(tokio::time::timeout(impatience, revocations).await.is_err());
    tokio::time::sleep(Duration::from_secs(3)).await;
    rig.set(Weather::Fair);
    serves_at_once(&layer, &given_up).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_up_does_not_wait_in_postgres_for_ever() {
    let Some(rig) = Rig::start(Kind::Postgres).await else {
        return;
    };
    let builder = SqlStore::builder().statement_timeout(Duration::from_millis(500));
    let store = builder.connect(&rig.url_past_proxy()).await.unwrap();
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
    // A connection that is closed does not end its statement: only those wait still that were sent
    // before one had been given up.
    lock.is_waited_for(POOL).await;
    drop(lock);
    for token in rounds.iter().flatten() {
        store.revoke(token).await.unwrap();
        assert!(!is_live(&store, token).await);
    }
}
