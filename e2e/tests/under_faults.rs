//! No fault loses an acknowledged logout, and the process recovers without a restart.

use std::cell::Cell;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use tower_logout::store::{RetryStore, SessionStore};
use tower_logout::{Token, TokenStore};
use tower_logout_sqlx::SqlStore;

use e2e::database::{Kind, Server};
use e2e::process::ExampleServer;
use e2e::proxy::Fault;
use e2e::rig::{Rig, acknowledged, layer, layer_with_timeout, recovers};
use support::*;

const LOGOUTS: usize = 1000;

async fn one_fault_at_a_time(kind: Kind) {
    let Some(mut rig) = Rig::start(kind).await else {
        return;
    };
    let layer = layer(rig.proxied_store().await);
    for fault in [
        Fault::Cut,
        Fault::AnswersLost,
        Fault::Latency(Duration::from_millis(1500)),
        Fault::BlackHole,
    ] {
        let direct = rig.direct_store().await;
        let token = open(&*direct, "alice").await;
        rig.set_fault(fault);
        assert!(!acknowledged(&layer, &token).await, "{kind:?} {fault:?}");
        rig.set_fault(Fault::None);
        recovers(&layer, &token).await;
        let direct = rig.direct_store().await;
        assert!(!is_live(&*direct, &token).await, "{kind:?} {fault:?}");
    }

    let token = open(&*rig.direct_store().await, "alice").await;
    for server in &mut rig.servers {
        server.kill();
    }
    assert!(
        !acknowledged(&layer, &token).await,
        "{kind:?} without a server"
    );
    for server in &mut rig.servers {
        server.resume().await;
    }
    recovers(&layer, &token).await;
    assert!(!is_live(&*rig.direct_store().await, &token).await);
}

/// Each answer of the server is delayed, so that some moments lie between a statement and its answer.
/// The first moment is before the logout, and the last one after the answer of the logout.
async fn killed_at_a_moment(kind: Kind) {
    let Some(mut rig) = Rig::start(kind).await else {
        return;
    };
    let layer = layer_with_timeout(rig.proxied_store().await, Duration::from_secs(10));
    let moments = [0, 30, 80, 130, 180, 230].map(Duration::from_millis);
    let mut acknowledgements = 0;
    for moment in moments.map(Some).into_iter().chain([None]) {
        let token = open(&*rig.direct_store().await, "alice").await;
        rig.set_fault(Fault::Latency(Duration::from_millis(50)));
        let servers = &mut rig.servers;
        let kill = |servers: &mut Vec<Server>| servers.iter_mut().for_each(Server::kill);
        let acknowledged = if let Some(moment) = moment {
            let (acknowledged, ()) = tokio::join!(acknowledged(&layer, &token), async {
                tokio::time::sleep(moment).await;
                kill(servers);
            });
            acknowledged
        } else {
            let acknowledged = acknowledged(&layer, &token).await;
            kill(servers);
            acknowledged
        };
        rig.set_fault(Fault::None);
        for server in &mut rig.servers {
            server.resume().await;
        }
        if acknowledged {
            acknowledgements += 1;
            // A cluster needs a moment to agree again.
            let direct = RetryStore::new(rig.direct_store().await).with_max_retries(20);
            let found = direct.find(&token).await.unwrap();
            assert_eq!(found, None, "{kind:?} {moment:?}: acknowledged and lost");
        }
        recovers(&layer, &token).await;
        assert!(!is_live(&*rig.direct_store().await, &token).await);
    }
    println!("{kind:?}: of 7 logouts {acknowledgements} were acknowledged");
    assert!(
        (1..7).contains(&acknowledgements),
        "{acknowledgements} were acknowledged"
    );
}

async fn a_thousand_logouts_under_random_faults(kind: Kind) {
    let Some(mut rig) = Rig::start(kind).await else {
        return;
    };
    let mut tokens = Vec::new();
    let direct = rig.direct_store().await;
    for _ in 0..=LOGOUTS {
        tokens.push(open(&*direct, "alice").await);
    }
    let last = tokens.pop().unwrap();
    drop(direct);
    let layer = layer(RetryStore::new(rig.proxied_store().await));

    let logouts = futures::stream::iter(&tokens)
        .map(async |token| {
            // Slow enough to meet each fault.
            tokio::time::sleep(Duration::from_millis(50)).await;
            (token, acknowledged(&layer, token).await)
        })
        .buffer_unordered(16)
        .collect::<Vec<_>>();
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut below = |bound: u64| {
        // Xorshift: the same faults in each run.
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % bound
    };
    let over = Cell::new(false);
    let faults = async {
        let mut kills = 0;
        while !over.get() {
            let one = usize::try_from(below(8)).unwrap() % rig.servers.len();
            // One node at a time. With a fault on each node of a cluster, hardly a logout would succeed.
            rig.set_fault(Fault::None);
            rig.proxies[one].set_fault(match below(8) {
                0 => Fault::Cut,
                1 => Fault::AnswersLost,
                2 => Fault::Latency(Duration::from_millis(below(1500))),
                3 => Fault::BlackHole,
                _ => Fault::None,
            });
            tokio::time::sleep(Duration::from_millis(20 + below(100))).await;
            if kills < 3 && below(20) == 0 {
                kills += 1;
                rig.servers[one].kill();
                rig.servers[one].resume().await;
            }
        }
    };
    let (answers, ()) = tokio::join!(logouts.inspect(|_| over.set(true)), faults);
    rig.set_fault(Fault::None);
    recovers(&layer, &last).await;
    layer.drain().await;

    let direct = rig.direct_store().await;
    let mut acknowledgements = 0;
    for (token, acknowledged) in &answers {
        if *acknowledged {
            acknowledgements += 1;
            assert!(
                !is_live(&*direct, token).await,
                "{kind:?}: acknowledged and lost"
            );
        }
    }
    println!("{kind:?}: of {LOGOUTS} logouts {acknowledgements} were acknowledged, and none lost");
    assert!(
        acknowledgements > LOGOUTS / 4,
        "{acknowledgements} were acknowledged"
    );
    assert!(acknowledgements < LOGOUTS, "no logout met a fault");
}

macro_rules! on_each_server {
    ($($name:ident: $kind:ident,)*) => {$(
        mod $name {
            use super::*;

            #[tokio::test(flavor = "multi_thread")]
            async fn each_fault_alone() {
                one_fault_at_a_time(Kind::$kind).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn killed_at_any_moment() {
                killed_at_a_moment(Kind::$kind).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn a_thousand_logouts() {
                a_thousand_logouts_under_random_faults(Kind::$kind).await;
            }
        }
    )*};
}

on_each_server! {
    postgres: Postgres,
    mariadb: MariaDb,
    redis: Redis,
    redis_cluster: RedisNode,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_sqlite_file_is_a_500() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("sessions").display());
    let writable = SqlStore::connect(&url).await.unwrap();
    let token = open(&writable, "alice").await;
    // The schema exists, so the store writes nothing before the logout.
    let url = format!("{url}?mode=ro");
    let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
    let store = SqlStore::new(pool).await.unwrap();
    assert!(!acknowledged(&layer(store), &token).await);
    assert!(is_live(&writable, &token).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exhausted_pool_is_a_500_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!(
        "sqlite:{}?mode=rwc",
        folder.path().join("sessions").display()
    );
    let pool = sqlx::sqlite::SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_millis(100))
        .connect(&url)
        .await
        .unwrap();
    let store = SqlStore::new(pool.clone()).await.unwrap();
    let token = open(&store, "alice").await;
    let layer = layer(store.clone());
    let held = pool.acquire().await.unwrap();
    assert!(!acknowledged(&layer, &token).await);
    drop(held);
    recovers(&layer, &token).await;
    assert!(!is_live(&store, &token).await);
}

/// Sends a request to the example server. Returns the status and the whole answer.
async fn call(address: &str, head: &str, body: &str) -> Option<(u16, String)> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut connection = tokio::net::TcpStream::connect(address).await.ok()?;
    let request = format!(
        "POST {head}\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    connection.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.ok()?;
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_during_a_thousand_logouts_keeps_each_acknowledged_one() {
    let mut server = ExampleServer::start().await;
    let address = server.address().to_owned();
    let login = r#"{"username":"alice","password":"wonderland"}"#;
    let logins = (0..LOGOUTS).map(|_| call(&address, "/auth/login HTTP/1.1", login));
    let tokens: Vec<Token> = futures::stream::iter(logins)
        .buffer_unordered(8)
        .map(|answer| {
            let (_, answer) = answer.unwrap();
            let (_, token) = answer.split_once("refreshToken=").unwrap();
            Token::new(token.split(';').next().unwrap())
        })
        .collect()
        .await;

    let logouts = tokens.iter().map(|token| {
        let address = &address;
        async move {
            let cookie = token.expose();
            let head = format!("/auth/logout HTTP/1.1\r\nCookie: refreshToken={cookie}");
            let answer = call(address, &head, "{}").await;
            (token, answer.is_some_and(|(status, _)| status == 200))
        }
    });
    let mut logouts = futures::stream::iter(logouts).buffer_unordered(8);
    let mut acknowledged = Vec::new();
    let mut killed = false;
    while let Some((token, is_acknowledged)) = logouts.next().await {
        if is_acknowledged {
            acknowledged.push(token);
        }
        if acknowledged.len() == LOGOUTS / 2 && !killed {
            killed = true;
            server.signal("KILL").await;
        }
    }
    assert!(!server.ended().await.success());
    assert!((LOGOUTS / 2..LOGOUTS).contains(&acknowledged.len()));

    let store = SqlStore::connect(&server.database()).await.unwrap();
    for token in &acknowledged {
        assert!(!is_live(&store, token).await, "acknowledged and lost");
    }
    let mut live = 0;
    for token in &tokens {
        live += usize::from(is_live(&store, token).await);
    }
    println!(
        "killed after {} of {LOGOUTS} logouts, {live} sessions live",
        acknowledged.len()
    );
    assert!(live > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_refresh_on_mariadb_leaves_no_transaction_open() {
    let Some(rig) = Rig::start(Kind::MariaDb).await else {
        return;
    };
    let direct = rig.direct_store().await;
    // The next call must reuse the same connection.
    let one = sqlx::mysql::MySqlPoolOptions::new().max_connections(1);
    let pool = one.connect(&rig.proxied_url()).await.unwrap();
    let store = SqlStore::new(pool).await.unwrap();
    let token = open(&*direct, "alice").await;

    rig.set_fault(Fault::Latency(Duration::from_millis(300)));
    let next = Token::generate().unwrap();
    // The pool pings its connection first, so the timeout cancels the `BEGIN`.
    let cancelled = tokio::time::timeout(Duration::from_millis(450), store.rotate(&token, &next));
    assert!(cancelled.await.is_err());
    rig.set_fault(Fault::None);

    // An open transaction would still see the state of its first read.
    assert!(is_live(&store, &token).await);
    direct.revoke(&token).await.unwrap();
    assert!(!is_live(&store, &token).await);
}
