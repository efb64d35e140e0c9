//! A node that cannot read its log refuses everything, and knows what it missed before it answers again.

use std::time::{Duration, Instant};

use e2e::database::Kind;
use e2e::node::open;
use e2e::proxy::Fault;
use e2e::rig::Rig;
use tower_logout::Token;
use tower_logout::ended::{EndedSessions, Refused};

const STALENESS: Duration = Duration::from_millis(600);

/// How often each fault comes. More with `CUTS`.
fn cuts() -> usize {
    let cuts = std::env::var("CUTS").ok();
    cuts.map_or(4, |cuts| cuts.parse().unwrap())
}

async fn is_never_blind(kind: Kind) {
    let Some(rig) = Rig::start(kind).await else {
        return;
    };
    let name = match kind {
        Kind::Redis => "redis",
        Kind::RedisNode => "cluster",
        _ => "sql",
    };
    let (_, log) = open(name, &rig.proxied_url()).await;
    let (ended, following) = EndedSessions::builder()
        .max_staleness(STALENESS)
        .poll(Duration::from_millis(50))
        .follow(log);
    tokio::spawn(following);
    ended.ready().await;
    // The nodes of a cluster lead everybody to the proxies, so that no session can end during the fault.
    let store = rig.direct_store().await;
    let has_way_around = kind != Kind::RedisNode;

    let mut back = Vec::new();
    for cut in 0..cuts() {
        for fault in [Fault::Cut, Fault::BlackHole] {
            let [before, during, live] = [(); 3].map(|()| Token::generate().unwrap());
            let mut ids = Vec::new();
            for token in [&before, &during, &live] {
                ids.push(store.open("alice", token).await.unwrap().id);
            }
            store.revoke(&before).await.unwrap();
            rig.set_fault(fault);
            if has_way_around {
                store.revoke(&during).await.unwrap();
            }
            tokio::time::sleep(STALENESS + Duration::from_millis(100)).await;
            for id in &ids {
                let checked = ended.check(id.as_str());
                assert!(checked.is_err(), "{kind:?} {fault:?} {cut}");
            }
            assert_eq!(ended.check(ids[2].as_str()), Err(Refused::Stale));

            rig.set_fault(Fault::None);
            let restored = Instant::now();
            // The first answer that lets anything pass already knows what ended.
            let fresh = async {
                while ended.check(ids[2].as_str()).is_err() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(30), fresh)
                .await
                .unwrap_or_else(|_| panic!("{kind:?} {fault:?} stays stale"));
            back.push(restored.elapsed());
            assert_eq!(ended.check(ids[0].as_str()), Err(Refused::Ended));
            if has_way_around {
                assert_eq!(ended.check(ids[1].as_str()), Err(Refused::Ended));
            }
        }
    }
    back.sort_unstable();
    let (middle, last) = (back[back.len() / 2], back[back.len() - 1]);
    eprintln!("{kind:?}: fresh {middle:?} after a fault, {last:?} at most");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_postgres_is_stale_or_knows() {
    is_never_blind(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_mariadb_is_stale_or_knows() {
    is_never_blind(Kind::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_redis_is_stale_or_knows() {
    is_never_blind(Kind::Redis).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_a_redis_cluster_is_stale_or_knows() {
    is_never_blind(Kind::RedisNode).await;
}

/// The server dies with the last commits on its disk, and comes back.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_takes_no_end_with_it() {
    for kind in [Kind::Postgres, Kind::MariaDb] {
        let Some(mut rig) = Rig::start(kind).await else {
            continue;
        };
        let (store, log) = open("sql", &rig.direct_url()).await;
        let (ended, following) = EndedSessions::builder()
            .max_staleness(STALENESS)
            .follow(log);
        tokio::spawn(following);
        ended.ready().await;
        for _ in 0..3 {
            let [dead, live] = [(); 2].map(|()| Token::generate().unwrap());
            let dead_id = store.open("alice", &dead).await.unwrap().id;
            let live_id = store.open("alice", &live).await.unwrap().id;
            store.revoke(&dead).await.unwrap();
            rig.servers[0].kill();
            tokio::time::sleep(STALENESS + Duration::from_millis(100)).await;
            assert!(ended.check(live_id.as_str()).is_err());
            rig.servers[0].resume().await;
            let fresh = async {
                while ended.check(live_id.as_str()).is_err() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(60), fresh)
                .await
                .unwrap_or_else(|_| panic!("{kind:?} stays stale"));
            assert_eq!(ended.check(dead_id.as_str()), Err(Refused::Ended));
        }
    }
}
