//! What Redis keeps and what it loses, beyond the promises of each store.

use std::time::Duration;

use futures::future::join_all;
use redis::aio::MultiplexedConnection;
use tower_logout::store::{Rotation, SessionPolicy, SessionStore, SubjectStore};
use tower_logout::{LogoutLayer, Revocation, Scope, Token, TokenStore};
use tower_logout_redis::RedisStore;

use e2e::database::{Kind, Server, redis_cluster};
use support::*;

async fn connection(server: &Server) -> MultiplexedConnection {
    let client = redis::Client::open(server.url("")).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

/// Opens many sessions at once, and ends them in every way.
async fn open_and_end(store: &RedisStore) {
    join_all((0..200).map(async |number| {
        let subject = format!("subject {}", number % 20);
        let first = open(store, &subject).await;
        let second = Token::generate().unwrap();
        let rotated = store.rotate(&first, &second).await.unwrap();
        assert!(matches!(rotated, Rotation::Rotated(_)), "{rotated:?}");
        match number % 4 {
            // By an older token of the session.
            0 => assert_ne!(store.revoke(&first).await.unwrap(), Revocation::NotFound),
            1 => assert_ne!(store.revoke(&second).await.unwrap(), Revocation::NotFound),
            2 => {
                // Within the leeway, a rotated token may be rotated once more.
                let third = store.rotate(&first, &Token::generate().unwrap()).await;
                assert!(matches!(third.unwrap(), Rotation::Rotated(_)));
                let reused = store
                    .rotate(&first, &Token::generate().unwrap())
                    .await
                    .unwrap();
                assert!(matches!(reused, Rotation::Reused(_)), "{reused:?}");
            }
            _ => {}
        }
    }))
    .await;
    for number in 0..20 {
        let subject = format!("subject {number}");
        store.revoke_subject(&subject, &[]).await.unwrap();
    }
}

async fn keeps_nothing(store: RedisStore, nodes: &[Server]) {
    // Without access tokens to refuse, there is no log of ended sessions.
    let policy = SessionPolicy::new().with_access_lifetime(Duration::ZERO);
    open_and_end(&store.with_policy(policy)).await;
    let mut left = Vec::new();
    // The cleanup runs after the answers.
    for _ in 0..100 {
        left.clear();
        for node in nodes {
            let keys = redis::cmd("KEYS").arg("*").to_owned();
            let keys: Vec<String> = keys.query_async(&mut connection(node).await).await.unwrap();
            left.extend(keys);
        }
        if left.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{} keys are left, such as {}", left.len(), left[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_keeps_no_key_of_ended_sessions() {
    let Some(server) = Server::start(Kind::Redis).await else {
        return;
    };
    let store = RedisStore::connect(&server.url("")).await.unwrap();
    keeps_nothing(store, &[server]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_keeps_no_key_of_ended_sessions() {
    let Some(nodes) = redis_cluster().await else {
        return;
    };
    let store = RedisStore::connect_cluster([nodes[0].url("")]).await;
    keeps_nothing(store.unwrap(), &nodes).await;
}

async fn replicate(replica: &Server, primary: &Server) {
    let mut connection = connection(replica).await;
    let mut command = redis::cmd("REPLICAOF");
    command.arg("127.0.0.1").arg(primary.port);
    let () = command.query_async(&mut connection).await.unwrap();
    for _ in 0..200 {
        let info = redis::cmd("INFO").arg("replication").to_owned();
        let info: String = info.query_async(&mut connection).await.unwrap();
        if info.contains("master_link_status:up") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the replica does not replicate");
}

async fn promote(replica: &Server) {
    let mut command = redis::cmd("REPLICAOF");
    command.arg("NO").arg("ONE");
    let mut connection = connection(replica).await;
    let () = command.query_async(&mut connection).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replicated_revocation_survives_the_primary() {
    let Some(mut primary) = Server::start(Kind::Redis).await else {
        return;
    };
    let replica = Server::start(Kind::Redis).await.unwrap();
    replicate(&replica, &primary).await;
    let store = RedisStore::connect(&primary.url("")).await.unwrap();
    let waiting = store.clone().with_replicas(1, Duration::from_secs(2));
    let mut tokens = Vec::new();
    for _ in 0..100 {
        tokens.push(open(&waiting, "alice").await);
    }
    let (ended, live) = tokens.split_at(50);
    for token in ended {
        assert_ne!(waiting.revoke(token).await.unwrap(), Revocation::NotFound);
    }
    primary.kill();
    promote(&replica).await;

    let promoted = RedisStore::connect(&replica.url("")).await.unwrap();
    for token in ended {
        assert!(!is_live(&promoted, token).await, "acknowledged and lost");
    }
    // The replica has the live sessions. Otherwise an empty server would pass the check above.
    for token in live {
        assert!(is_live(&promoted, token).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_is_an_error_until_enough_replicas_have_it() {
    let Some(primary) = Server::start(Kind::Redis).await else {
        return;
    };
    let mut replica = Server::start(Kind::Redis).await.unwrap();
    replicate(&replica, &primary).await;
    let store = RedisStore::connect(&primary.url("")).await.unwrap();
    let store = store.with_replicas(1, Duration::from_millis(200));
    let (token, other) = (open(&store, "alice").await, open(&store, "bob").await);

    replica.kill();
    let error = store.revoke(&token).await.unwrap_err();
    let late = error.source().unwrap().to_string();
    assert!(late.contains("0 of 1 replicas"), "{late}");
    assert!(!is_live(&store, &token).await);
    let again = store.revoke(&token).await.unwrap_err();
    assert!(again.to_string().contains("0 of 1 replicas"), "{again}");
    assert!(store.revoke_subject("bob", &[]).await.is_err());
    assert!(!is_live(&store, &other).await);

    // The error still names each ended session, once.
    let (third, fourth) = (open(&store, "carol").await, open(&store, "carol").await);
    let answer = through_default(store.clone(), logout_with(&third)).await;
    answer.assert_is_failed_and_keeps_cookies();
    assert_eq!(answer.outcome.unwrap().sessions().len(), 1);
    let answer = through_default(store.clone(), logout_with(&third)).await;
    answer.assert_is_failed_and_keeps_cookies();
    assert_eq!(answer.outcome.unwrap().sessions().len(), 0);
    let layer = LogoutLayer::builder(store.clone()).build().unwrap();
    let everywhere = layer.endpoint_for(Scope::All);
    open(&store, "carol").await;
    let answer = send(everywhere, logout_with(&fourth)).await;
    answer.assert_is_failed_and_keeps_cookies();
    assert_eq!(answer.outcome.unwrap().sessions().len(), 1);
    assert!(
        is_live(&store, &fourth).await,
        "the token names the subject"
    );

    replica.resume().await;
    replicate(&replica, &primary).await;
    let store = store.with_replicas(1, Duration::from_secs(2));
    assert_eq!(store.revoke(&token).await.unwrap(), Revocation::NotFound);
    assert_eq!(store.revoke(&other).await.unwrap(), Revocation::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn if_one_session_of_a_subject_cannot_be_ended_the_outcome_names_the_others_and_a_retry_works()
 {
    let Some(server) = Server::start(Kind::Redis).await else {
        return;
    };
    let store = RedisStore::connect(&server.url("")).await.unwrap();
    let layer = LogoutLayer::builder(store.clone()).build().unwrap();
    let everywhere = layer.endpoint_for(Scope::All);
    let spoilt = open(&store, "alice").await;
    let id = store.find(&spoilt).await.unwrap().unwrap().id;
    let others = [open(&store, "alice").await, open(&store, "alice").await];
    let rotated = open(&store, "alice").await;
    let live = Token::generate().unwrap();
    store.rotate(&rotated, &live).await.unwrap();
    // A key of the wrong type.
    let mut connection = connection(&server).await;
    let mut keys = redis::cmd("KEYS");
    keys.arg(format!("*:session:{id}"));
    let (session,): (String,) = keys.query_async(&mut connection).await.unwrap();
    let mut set = redis::cmd("SET");
    let () = set
        .arg(&session)
        .arg("x")
        .query_async(&mut connection)
        .await
        .unwrap();

    let answer = send(everywhere.clone(), logout_with(&rotated)).await;
    answer.assert_is_failed_and_keeps_cookies();
    assert_eq!(answer.outcome.unwrap().sessions().len(), 2);
    for token in &others {
        assert!(!is_live(&store, token).await);
    }
    assert!(
        is_live(&store, &live).await,
        "the rotated token names the subject"
    );

    let mut del = redis::cmd("DEL");
    let () = del
        .arg(&session)
        .query_async(&mut connection)
        .await
        .unwrap();
    let answer = send(everywhere, logout_with(&rotated)).await;
    answer.assert_is_logged_out();
    assert_eq!(answer.outcome.unwrap().sessions().len(), 1);
    assert!(!is_live(&store, &live).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reuse_is_an_error_until_enough_replicas_have_it() {
    let Some(primary) = Server::start(Kind::Redis).await else {
        return;
    };
    let mut replica = Server::start(Kind::Redis).await.unwrap();
    replicate(&replica, &primary).await;
    let store = RedisStore::connect(&primary.url("")).await.unwrap();
    let store = store
        .with_replicas(1, Duration::from_millis(200))
        .with_policy(SessionPolicy::new().with_reuse_leeway(Duration::ZERO));
    let (first, second) = (open(&store, "alice").await, Token::generate().unwrap());
    store.rotate(&first, &second).await.unwrap();
    replica.kill();
    let next = Token::generate().unwrap();
    assert!(store.rotate(&first, &next).await.is_err());
    assert!(!is_live(&store, &second).await);
    assert!(store.revoke(&second).await.is_err());
}
