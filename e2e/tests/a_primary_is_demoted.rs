//! A demoted primary keeps its connections and rejects writes. The next attempt reaches the new primary,
//! which has the same address by then.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use redis::aio::ConnectionManager;
use sqlx::{AssertSqlSafe, Connection, Executor};
use tower_logout::require::SessionLookup;
use tower_logout::store::{RetryStore, SessionId, SessionStore, SubjectStore, Transient};
use tower_logout::{Revocation, Token, TokenStore};
use tower_logout_redis::RedisStore;
use tower_logout_sqlx::{SqlStore, TableStore, TokenDigest};

use e2e::database::{Kind, Server, free_port, redis_cluster, replica_in_cluster};
use e2e::proxy::Proxy;
use e2e::rig::{acknowledged, layer_with_timeout};
use support::*;

/// Two servers with the same sessions, behind one address.
struct Pair {
    primary: Server,
    other: Server,
    address: Proxy,
    database: String,
    /// A store that avoids the address.
    new_primary: Arc<dyn SessionStore>,
}

const TOKENS: usize = 30;

/// The old primary acknowledges the first logouts, and the new primary all others.
async fn reaches_the_new_primary<S>(
    pair: &Pair,
    store: S,
    tokens: &[Token],
    demote: impl AsyncFnOnce(),
) where
    S: TokenStore + Clone,
{
    let layer = layer_with_timeout(store.clone(), Duration::from_secs(5));
    let (before, after) = tokens.split_at(10);
    // All at once, so that the pool fills with connections to the old primary.
    let answers = join_all(before.iter().map(|token| acknowledged(&layer, token))).await;
    assert_eq!(answers, [true; 10]);
    demote().await;
    pair.address.redirect_to(pair.other.port);

    let (rejected, rest) = after.split_first().unwrap();
    // A background task may have met the old primary first, and left it.
    let old_rejects = match store.revoke(rejected).await {
        Err(error) => {
            assert!(error.is::<Transient>(), "{error:?}");
            println!("{:?}: {error}", pair.primary.kind);
            true
        }
        Ok(_) => false,
    };
    let (next, rest) = rest.split_first().unwrap();
    assert!(acknowledged(&layer, next).await, "the next attempt");
    for token in rest {
        assert!(acknowledged(&layer, token).await);
    }
    for token in &after[1..] {
        assert!(
            !is_live(&*pair.new_primary, token).await,
            "acknowledged and lost"
        );
    }
    let lives = is_live(&*pair.new_primary, rejected).await;
    assert_eq!(lives, old_rejects, "the answer is true");
}

/// The same with retries: each logout is acknowledged.
async fn retries_reach_the_new_primary<S>(
    pair: &Pair,
    store: S,
    tokens: &[Token],
    demote: impl AsyncFnOnce(),
) where
    S: TokenStore + Clone,
{
    let layer = layer_with_timeout(RetryStore::new(store), Duration::from_secs(5));
    let (before, after) = tokens.split_at(10);
    let answers = join_all(before.iter().map(|token| acknowledged(&layer, token))).await;
    assert_eq!(answers, [true; 10]);
    demote().await;
    pair.address.redirect_to(pair.other.port);
    for token in after {
        assert!(acknowledged(&layer, token).await);
        assert!(
            !is_live(&*pair.new_primary, token).await,
            "acknowledged and lost"
        );
    }
}

impl Pair {
    fn url(&self) -> String {
        self.primary.url_at(self.address.port, &self.database)
    }

    async fn postgres() -> Option<(Self, Vec<Token>)> {
        let primary = Server::start(Kind::Postgres).await?;
        let database = primary.new_database().await;
        let store = SqlStore::connect(&primary.url(&database)).await.unwrap();
        let mut tokens = Vec::new();
        for _ in 0..TOKENS {
            tokens.push(open(&store, "alice").await);
        }
        let other = Server::standby_of(&primary).await;
        // A standby has the tables, and answers no question.
        let standby = SqlStore::connect(&other.url(&database)).await.unwrap();
        let error = standby.find(tokens.last().unwrap()).await.unwrap_err();
        assert!(error.to_string().contains("takes no writes"), "{error}");
        let address = Proxy::start(primary.port).await;
        let new_primary = Arc::new(standby);
        let pair = Self {
            primary,
            other,
            address,
            database,
            new_primary,
        };
        Some((pair, tokens))
    }

    /// Makes the old primary read-only, and promotes the standby once it has everything.
    async fn promote_standby(&self) {
        let mut old = sqlx::PgConnection::connect(&self.primary.url("postgres"))
            .await
            .unwrap();
        let mut new = sqlx::PgConnection::connect(&self.other.url("postgres"))
            .await
            .unwrap();
        self.primary.make_read_only().await;
        let written: String = sqlx::query_scalar("SELECT pg_current_wal_lsn()::text")
            .fetch_one(&mut old)
            .await
            .unwrap();
        for _ in 0..200 {
            let has: bool = sqlx::query_scalar("SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn")
                .bind(&written)
                .fetch_one(&mut new)
                .await
                .unwrap();
            if has {
                new.execute("SELECT pg_promote()").await.unwrap();
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the standby does not follow");
    }

    async fn mariadb() -> Option<(Self, Vec<Token>)> {
        let primary = Server::start(Kind::MariaDb).await?;
        let other = Server::start(Kind::MariaDb).await.unwrap();
        let database = primary.new_database().await;
        for server in [&primary, &other] {
            let mut admin = sqlx::MySqlConnection::connect(&server.url(""))
                .await
                .unwrap();
            // A user with all rights can write to a read-only server.
            let user = format!(
                "CREATE DATABASE IF NOT EXISTS {database}; CREATE USER app@'127.0.0.1'; \
                 GRANT ALL ON {database}.* TO app@'127.0.0.1'"
            );
            admin
                .execute(sqlx::raw_sql(AssertSqlSafe(user)))
                .await
                .unwrap();
        }
        let old = SqlStore::connect(&primary.url(&database)).await.unwrap();
        let new = SqlStore::connect(&other.url(&database)).await.unwrap();
        let mut tokens = Vec::new();
        for _ in 0..TOKENS {
            let token = open(&old, "alice").await;
            new.open("alice", &token).await.unwrap();
            tokens.push(token);
        }
        let address = Proxy::start(primary.port).await;
        let new_primary = Arc::new(new);
        let pair = Self {
            primary,
            other,
            address,
            database,
            new_primary,
        };
        Some((pair, tokens))
    }

    fn url_of_app(&self) -> String {
        self.url().replace("root@", "app@")
    }

    async fn redis() -> Option<(Self, Vec<Token>)> {
        let primary = Server::start(Kind::Redis).await?;
        let other = Server::start(Kind::Redis).await.unwrap();
        replicate(&other, &primary).await;
        let store = RedisStore::connect(&primary.url("")).await.unwrap();
        let mut tokens = Vec::new();
        for _ in 0..TOKENS {
            tokens.push(open(&store, "alice").await);
        }
        let client = redis::Client::open(primary.url("")).unwrap();
        let patient = redis::AsyncConnectionConfig::new().set_response_timeout(None);
        let connection = client.get_multiplexed_async_connection_with_config(&patient);
        let mut connection = connection.await.unwrap();
        let mut wait = redis::pipe();
        wait.set("last", "").ignore().cmd("WAIT").arg(1).arg(0);
        let (replicas,): (u32,) = wait.query_async(&mut connection).await.unwrap();
        assert_eq!(replicas, 1, "the replica has everything");
        let address = Proxy::start(primary.port).await;
        let new_primary = RedisStore::connect(&other.url("")).await.unwrap();
        let pair = Self {
            primary,
            other,
            address,
            database: String::new(),
            new_primary: Arc::new(new_primary),
        };
        Some((pair, tokens))
    }

    async fn swap(&self) {
        query(&self.other, &["REPLICAOF", "NO", "ONE"]).await;
        replicate(&self.primary, &self.other).await;
    }
}

async fn query(server: &Server, command: &[&str]) -> String {
    redis::from_redis_value(query_value(server, command).await).unwrap()
}

async fn query_value(server: &Server, command: &[&str]) -> redis::Value {
    let client = redis::Client::open(server.url("")).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut query = redis::cmd(command[0]);
    query.arg(&command[1..]);
    query.query_async(&mut connection).await.unwrap()
}

async fn replicate(replica: &Server, primary: &Server) {
    query(
        replica,
        &["REPLICAOF", "127.0.0.1", &primary.port.to_string()],
    )
    .await;
    for _ in 0..200 {
        let info = query(replica, &["INFO", "replication"]).await;
        if info.contains("master_link_status:up") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the server does not replicate");
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres() {
    let Some((pair, tokens)) = Pair::postgres().await else {
        return;
    };
    let store = SqlStore::connect(&pair.url()).await.unwrap();
    reaches_the_new_primary(&pair, store, &tokens, async || pair.promote_standby().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_with_retries() {
    let Some((pair, tokens)) = Pair::postgres().await else {
        return;
    };
    let pool = sqlx::PgPool::connect(&pair.url()).await.unwrap();
    let store = SqlStore::new(pool).await.unwrap();
    retries_reach_the_new_primary(&pair, store, &tokens, async || pair.promote_standby().await)
        .await;
}

/// A pair of Postgres servers, a connection to the primary, and a store over a table without a row.
async fn postgres_with_a_table() -> Option<(Pair, sqlx::PgConnection, TableStore)> {
    let (pair, _) = Pair::postgres().await?;
    let url = pair.primary.url(&pair.database);
    let mut primary = sqlx::PgConnection::connect(&url).await.unwrap();
    primary
        .execute("CREATE TABLE logins (token text PRIMARY KEY, family text NOT NULL)")
        .await
        .unwrap();
    let pool = sqlx::PgPool::connect(&pair.url()).await.unwrap();
    let store = TableStore::builder("logins", "token", TokenDigest::clear())
        .session_column("family")
        .connect(pool)
        .await
        .unwrap();
    Some((pair, primary, store))
}

/// The connections lead to the standby, which does not have the latest logins.
#[tokio::test(flavor = "multi_thread")]
async fn a_lagging_standby_never_reports_a_token_as_unknown() {
    let Some((pair, mut primary, store)) = postgres_with_a_table().await else {
        return;
    };
    let token = Token::new("of-the-latest-login");
    assert_eq!(store.revoke(&token).await.unwrap(), Revocation::NotFound);

    let mut standby = sqlx::PgConnection::connect(&pair.other.url("postgres"))
        .await
        .unwrap();
    standby
        .execute("SELECT pg_wal_replay_pause()")
        .await
        .unwrap();
    primary
        .execute("INSERT INTO logins VALUES ('of-the-latest-login', 'a')")
        .await
        .unwrap();
    pair.address.redirect_to(pair.other.port);
    // Whoever moves the address closes the connections to the primary.
    primary
        .execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .await
        .unwrap();
    for _ in 0..5 {
        match store.revoke(&token).await {
            Err(_) => {}
            Ok(Revocation::NotFound) => panic!("the token is known to the primary"),
            // A connection that was opening to the primary has outlived the others.
            Ok(_) => break,
        }
    }
    pair.address.redirect_to(pair.primary.port);
    let layer = layer_with_timeout(RetryStore::new(store), Duration::from_secs(5));
    assert!(acknowledged(&layer, &token).await, "the primary knows it");
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM logins")
        .fetch_one(&mut primary)
        .await
        .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb() {
    let Some((pair, tokens)) = Pair::mariadb().await else {
        return;
    };
    let store = SqlStore::connect(&pair.url_of_app()).await.unwrap();
    reaches_the_new_primary(&pair, store, &tokens, async || {
        pair.primary.make_read_only().await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_with_retries() {
    let Some((pair, tokens)) = Pair::mariadb().await else {
        return;
    };
    let pool = sqlx::MySqlPool::connect(&pair.url_of_app()).await.unwrap();
    let store = SqlStore::new(pool).await.unwrap();
    retries_reach_the_new_primary(&pair, store, &tokens, async || {
        pair.primary.make_read_only().await
    })
    .await;
}

/// The old primary has the sessions that have ended on the new one, and connections lead to the old one.
async fn no_ended_session_is_found<S: SessionStore>(
    pair: &Pair,
    store: S,
    tokens: &[Token],
    demote: impl AsyncFnOnce(),
) {
    // All at once, so that the pool fills with connections to the old primary.
    let sessions = join_all(tokens.iter().map(|token| store.find(token))).await;
    let ids: Vec<_> = sessions
        .into_iter()
        .map(|session| session.unwrap().unwrap().id)
        .collect();
    assert!(store.find_session(&ids[0]).await.unwrap().is_some());
    demote().await;
    pair.address.redirect_to(pair.other.port);
    for token in tokens {
        pair.new_primary.revoke(token).await.unwrap();
    }
    let mut errors = 0;
    for (token, id) in tokens.iter().zip(&ids) {
        match store.find_session(id).await {
            Err(error) => errors += usize::from(error.is::<Transient>()),
            Ok(found) => assert_eq!(found, None, "a session that has ended"),
        }
        assert_eq!(store.find(token).await.unwrap(), None, "on the new primary");
    }
    assert!(errors <= 1, "an error closes what leads to the old primary");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_session_that_has_ended_is_found_on_a_demoted_postgres_server() {
    let Some((pair, tokens)) = Pair::postgres().await else {
        return;
    };
    let store = SqlStore::connect(&pair.url()).await.unwrap();
    no_ended_session_is_found(&pair, store, &tokens, async || pair.promote_standby().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_session_that_has_ended_is_found_on_a_demoted_mariadb_server() {
    let Some((pair, tokens)) = Pair::mariadb().await else {
        return;
    };
    let store = SqlStore::connect(&pair.url_of_app()).await.unwrap();
    no_ended_session_is_found(&pair, store, &tokens, async || {
        pair.primary.make_read_only().await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_session_that_has_ended_is_found_on_a_demoted_redis_server() {
    let Some((pair, tokens)) = Pair::redis().await else {
        return;
    };
    let store = RedisStore::connect(&pair.url()).await.unwrap();
    no_ended_session_is_found(&pair, store, &tokens, async || pair.swap().await).await;
}

/// Also about a session that is not there: the new primary may have it.
#[tokio::test(flavor = "multi_thread")]
async fn a_demoted_postgres_server_is_not_asked_about_a_session_of_a_table() {
    let Some((pair, mut primary, store)) = postgres_with_a_table().await else {
        return;
    };
    primary
        .execute("INSERT INTO logins VALUES ('one', 'a')")
        .await
        .unwrap();
    let id = SessionId::new("a");
    assert!(store.look_up(&id).await.unwrap().is_some());
    assert_eq!(store.look_up(&SessionId::new("b")).await.unwrap(), None);
    pair.primary.make_read_only().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    for id in [&id, &SessionId::new("b")] {
        let error = store.look_up(id).await.unwrap_err().to_string();
        assert!(error.contains("takes no writes"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_replica_answers_no_question_about_sessions() {
    let Some((pair, tokens)) = Pair::redis().await else {
        return;
    };
    let store = RedisStore::connect(&pair.other.url("")).await.unwrap();
    for subject in ["alice", "of-the-latest-login"] {
        let revoked = store.revoke_subject(subject, &[]).await;
        assert!(revoked.is_err(), "{revoked:?}");
    }
    assert!(store.revoke(&tokens[0]).await.is_err());
    assert!(
        store
            .revoke(&Token::new("of-the-latest-login"))
            .await
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_redis_server() {
    let Some((pair, tokens)) = Pair::redis().await else {
        return;
    };
    let store = RedisStore::connect(&pair.url()).await.unwrap();
    reaches_the_new_primary(&pair, store, &tokens, async || pair.swap().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_redis_server_through_a_connection_manager_with_retries() {
    let Some((pair, tokens)) = Pair::redis().await else {
        return;
    };
    let client = redis::Client::open(pair.url()).unwrap();
    let store = RedisStore::new(ConnectionManager::new(client).await.unwrap());
    retries_reach_the_new_primary(&pair, store, &tokens, async || pair.swap().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_behind_sentinels() {
    let Some((mut pair, tokens)) = Pair::redis().await else {
        return;
    };
    let sentinel = Server::sentinel_of(&pair.primary).await;
    // One of the sentinels is down.
    let dead = format!("redis://127.0.0.1:{}/", free_port());
    let sentinels = [dead, sentinel.url("")];
    let store = RedisStore::connect_sentinel(sentinels, "main", "redis://_/").await;
    let layer = layer_with_timeout(RetryStore::new(store.unwrap()), Duration::from_secs(5));
    let (before, after) = tokens.split_at(10);
    for token in before {
        assert!(acknowledged(&layer, token).await);
    }
    let sentinel_knows_the_replica = async || {
        let replicas = query_value(&sentinel, &["SENTINEL", "REPLICAS", "main"]).await;
        format!("{replicas:?}").contains(&pair.other.port.to_string())
    };
    while !sentinel_knows_the_replica().await {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    pair.primary.kill();
    for token in after {
        assert!(acknowledged(&layer, token).await);
    }
    // The promotion closed the connections.
    let new_primary = RetryStore::new(Arc::clone(&pair.new_primary));
    for token in after {
        assert!(!is_live(&new_primary, token).await, "acknowledged and lost");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_cluster() {
    let Some(nodes) = redis_cluster().await else {
        return;
    };
    let replica = replica_in_cluster(&nodes).await;
    let store = RedisStore::connect_cluster([nodes[0].url("")])
        .await
        .unwrap();
    let layer = layer_with_timeout(RetryStore::new(store.clone()), Duration::from_secs(5));
    let mut tokens = Vec::new();
    for _ in 0..TOKENS {
        tokens.push(open(&store, "alice").await);
    }
    query(&replica, &["CLUSTER", "FAILOVER"]).await;
    for _ in 0..200 {
        if query(&nodes[0], &["INFO", "replication"])
            .await
            .contains("role:slave")
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for token in &tokens {
        assert!(acknowledged(&layer, token).await);
        assert!(!is_live(&store, token).await, "acknowledged and lost");
    }
}
