//! The log of ended sessions in Redis: each end is in the log, and no fault hides one from a reader.

use std::collections::HashSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::future::join_all;
use redis::aio::{ConnectionManager, MultiplexedConnection};
use tower_logout::ended::{Cursor, EndedLog, EndedSessions};
use tower_logout::store::{Rotation, SessionId, SessionPolicy, SessionStore, SubjectStore};
use tower_logout::testing::Conformance;
use tower_logout::{BoxError, Revocation, Token, TokenStore};
use tower_logout_redis::{RedisEndedLog, RedisStore};

use e2e::database::{Kind, Server, redis_cluster, replica_in_cluster};
use e2e::proxy::{Fault, Proxy};
use support::*;

const ACCESS_LIFETIME: Duration = Duration::from_secs(5 * 60);
const RETENTION: Duration = Duration::from_secs(7 * 60);

fn policy() -> SessionPolicy {
    SessionPolicy::new().with_access_lifetime(ACCESS_LIFETIME)
}

async fn store_on(url: &str) -> RedisStore {
    RedisStore::connect(url)
        .await
        .unwrap()
        .with_policy(policy())
}

async fn store_on_cluster(nodes: &[Server]) -> RedisStore {
    RedisStore::connect_cluster([nodes[0].url("")])
        .await
        .unwrap()
        .with_policy(policy())
}

async fn connection(server: &Server) -> MultiplexedConnection {
    let client = redis::Client::open(server.url("")).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

/// Sends many commands.
async fn query_all(server: &Server, commands: Vec<redis::Cmd>) {
    for commands in commands.chunks(1000) {
        let mut pipeline = redis::pipe();
        for command in commands {
            pipeline.add_command(command.clone()).ignore();
        }
        let mut connection = connection(server).await;
        connection.set_response_timeout(Duration::from_secs(30));
        let () = pipeline.query_async(&mut connection).await.unwrap();
    }
}

/// Sends a command, its words separated by spaces.
async fn query<T: redis::FromRedisValue>(server: &Server, command: &str) -> T {
    let mut words = command.split(' ');
    let mut query = redis::cmd(words.next().unwrap());
    query.arg(words.collect::<Vec<_>>());
    query
        .query_async(&mut connection(server).await)
        .await
        .unwrap()
}

async fn replicate(replica: &Server, primary: &Server) {
    let () = query(replica, &format!("REPLICAOF 127.0.0.1 {}", primary.port)).await;
    for _ in 0..200 {
        let info: String = query(replica, "INFO replication").await;
        if info.contains("master_link_status:up") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the server does not replicate");
}

/// A node that reads the log.
struct Node {
    log: RedisEndedLog,
    cursor: Option<Cursor>,
    seen: HashSet<SessionId>,
}

impl Node {
    fn of(store: &RedisStore) -> Self {
        Self {
            log: store.ended_log().unwrap(),
            cursor: None,
            seen: HashSet::new(),
        }
    }

    /// Reads all that came since the last read.
    async fn read(&mut self) -> Result<Vec<SessionId>, BoxError> {
        let mut ended = Vec::new();
        loop {
            let page = self.log.read(self.cursor.as_ref()).await?;
            for (session, matters) in page.ended {
                assert!(!matters.is_zero() && matters <= RETENTION, "{matters:?}");
                ended.push(session);
            }
            self.cursor = Some(page.cursor);
            if page.is_complete {
                self.seen.extend(ended.iter().cloned());
                return Ok(ended);
            }
        }
    }

    async fn reads_within(&mut self, time: Duration) -> Vec<SessionId> {
        let start = Instant::now();
        loop {
            match self.read().await {
                Ok(ended) => return ended,
                Err(error) => assert!(start.elapsed() < time, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits for news, again and again: a wait that fails never ends.
    async fn hears(&self) {
        for _ in 0..20 {
            let news = tokio::time::timeout(Duration::from_secs(1), self.log.news());
            if news.await.is_ok() {
                return;
            }
        }
        panic!("no news");
    }

    async fn expect_error(&mut self, text: &str) {
        let error = self.read().await.unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
    }
}

/// Ends enough sessions to have some in each bucket: the chance that one has none is 1 in 100,000.
async fn end_many(store: &RedisStore) -> Vec<SessionId> {
    join_all((0..1000).map(|_| end_one(store))).await
}

/// Opens a session and ends it.
async fn answers_again(store: &RedisStore) {
    let unknown = Token::generate().unwrap();
    let answers = async {
        while store.find(&unknown).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let answers = tokio::time::timeout(Duration::from_secs(20), answers).await;
    answers.expect("the store does not answer again");
}

async fn end_one(store: &RedisStore) -> SessionId {
    let token = open(store, "alice").await;
    only(store.revoke(&token).await.unwrap())
}

fn only(ended: Revocation) -> SessionId {
    let Revocation::Sessions(ended) = ended else {
        panic!("{ended:?}");
    };
    assert_eq!(ended.len(), 1);
    ended[0].clone()
}

/// Takes the token of a session that is open.
async fn id_of(store: &RedisStore, token: &Token) -> SessionId {
    store.find(token).await.unwrap().unwrap().id
}

async fn rotate(store: &RedisStore, token: &Token) -> Token {
    let next = Token::generate().unwrap();
    let rotated = store.rotate(token, &next).await.unwrap();
    assert!(matches!(rotated, Rotation::Rotated(_)), "{rotated:?}");
    next
}

async fn each_end_is_in_the_log(store: RedisStore) {
    let mut node = Node::of(&store);
    node.read().await.unwrap();

    // Nothing of this is an end.
    let kept = open(&store, "alice").await;
    let rotated = open(&store, "alice").await;
    let live = rotate(&store, &rotated).await;
    let unknown = Token::generate().unwrap();
    assert_eq!(store.revoke(&unknown).await.unwrap(), Revocation::NotFound);
    let short = policy().with_lifetime(Duration::from_millis(100));
    let short = store.clone().with_policy(short);
    let expired = open(&short, "alice").await;
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(store.revoke(&expired).await.unwrap(), Revocation::NotFound);
    assert_eq!(node.read().await.unwrap(), []);

    // By a rotated token, and by a live one.
    let id = id_of(&store, &live).await;
    store.revoke(&rotated).await.unwrap();
    assert_eq!(node.read().await.unwrap(), [id]);
    let id = end_one(&store).await;
    assert_eq!(node.read().await.unwrap(), [id]);

    // With the subject.
    let others = [open(&store, "alice").await, open(&store, "alice").await];
    let mut ids = HashSet::new();
    for token in &others {
        ids.insert(id_of(&store, token).await);
    }
    let keep = std::slice::from_ref(&kept);
    store.revoke_subject("alice", keep).await.unwrap();
    let ended = node.read().await.unwrap();
    assert_eq!(ended.into_iter().collect::<HashSet<_>>(), ids);
    let id = id_of(&store, &kept).await;
    store.revoke_subject("alice", &[]).await.unwrap();
    assert_eq!(node.read().await.unwrap(), [id]);

    // By reuse, and by a client that refreshes in a loop.
    let strict = policy().with_reuse_leeway(Duration::ZERO);
    let strict = store.clone().with_policy(strict.with_max_rotations(1));
    let first = open(&strict, "alice").await;
    let id = id_of(&strict, &first).await;
    rotate(&strict, &first).await;
    let reused = strict.rotate(&first, &Token::generate().unwrap()).await;
    assert!(matches!(reused.unwrap(), Rotation::Reused(_)));
    assert_eq!(node.read().await.unwrap(), [id]);
    let first = open(&strict, "alice").await;
    let id = id_of(&strict, &first).await;
    let second = rotate(&strict, &first).await;
    let exhausted = strict.rotate(&second, &Token::generate().unwrap()).await;
    assert!(matches!(exhausted.unwrap(), Rotation::Exhausted(_)));
    assert_eq!(node.read().await.unwrap(), [id]);

    // A node that starts now sees each of them.
    let mut late = Node::of(&store);
    late.read().await.unwrap();
    assert_eq!(late.seen, node.seen);
    assert_eq!(late.seen.len(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_end_is_in_the_log_of_a_server() {
    let Some(server) = Server::start(Kind::Redis).await else {
        return;
    };
    let store = store_on(&server.url("")).await;
    each_end_is_in_the_log(store.clone().with_prefix("one")).await;
    // A revocation that waits for replicas has a path of its own.
    let waiting = store.with_replicas(0, Duration::from_secs(1));
    each_end_is_in_the_log(waiting.with_prefix("{two")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_end_is_in_the_log_of_a_cluster() {
    let Some(nodes) = redis_cluster().await else {
        return;
    };
    let store = store_on_cluster(&nodes).await;
    each_end_is_in_the_log(store.clone().with_prefix("one")).await;
    let waiting = store.with_replicas(0, Duration::from_secs(1));
    each_end_is_in_the_log(waiting.with_prefix("{two")).await;
}

async fn passes_the_suite(store: RedisStore) {
    let policy = policy().with_reuse_leeway(Duration::from_millis(800));
    let store = store.with_prefix("suite").with_policy(policy);
    let log = store.ended_log().unwrap();
    let report = Conformance::new(store)
        .with_subjects()
        .with_ended_log(log)
        .run()
        .await
        .unwrap();
    println!("{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_a_server_passes_the_suite() {
    let Some(server) = Server::start(Kind::Redis).await else {
        return;
    };
    passes_the_suite(store_on(&server.url("")).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_a_cluster_passes_the_suite() {
    let Some(nodes) = redis_cluster().await else {
        return;
    };
    passes_the_suite(store_on_cluster(&nodes).await).await;
}

/// The command of the documentation that creates a user.
fn documented_user() -> String {
    let docs = include_str!("../../stores/redis/src/lib.rs");
    let (_, rest) = docs.split_once("//! ACL SETUSER").unwrap();
    let (rights, _) = rest.split_once("//! ```").unwrap();
    let words = rights.split_whitespace().filter(|word| *word != "//!");
    let words: Vec<_> = ["ACL", "SETUSER"].into_iter().chain(words).collect();
    words.join(" ")
}

async fn expect_nothing_denied(server: &Server) {
    let denied: Vec<redis::Value> = query(server, "ACL LOG").await;
    let denied = denied.iter().map(|entry| format!("{entry:?}"));
    // The client may tell its name.
    let denied: Vec<_> = denied
        .filter(|entry| !entry.contains("client|setinfo"))
        .collect();
    assert_eq!(denied, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_with_few_rights_and_no_channel_ends_sessions_and_reads_the_log() {
    let Some(server) = Server::start(Kind::Redis).await else {
        return;
    };
    let () = query(&server, &documented_user()).await;
    let url = server.url("").replace("redis://", "redis://app:secret@");
    let store = store_on(&url).await;
    each_end_is_in_the_log(store.clone()).await;
    let token = open(&store, "alice").await;
    let answer = through_default(store.clone(), logout_with(&token)).await;
    answer.assert_is_logged_out();
    let mut node = Node::of(&store);
    assert_eq!(node.read().await.unwrap().len(), 8);
    let ((), id) = futures::join!(node.hears(), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        end_one(&store).await
    });
    assert_eq!(node.read().await.unwrap(), [id]);
    expect_nothing_denied(&server).await;

    // Without a right to the log, no session ends without its entry.
    let token = open(&store, "alice").await;
    let () = query(&server, "ACL SETUSER app -xadd").await;
    let answer = through_default(store.clone(), logout_with(&token)).await;
    answer.assert_is_failed_and_keeps_cookies();
    assert!(is_live(&store, &token).await);
}

/// The primary's clock was ahead, so its ids are above those that the promoted replica gives.
async fn with_an_entry_of_the_future(server: &Server) -> usize {
    let later = SystemTime::now() + Duration::from_secs(60);
    let later = later.duration_since(UNIX_EPOCH).unwrap().as_millis();
    let keys: Vec<String> = query(server, "KEYS *:ended").await;
    for key in &keys {
        let () = query(server, &format!("XADD {key} {later} text lost")).await;
    }
    keys.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_replica_with_lower_ids_is_read_again() {
    let Some(primary) = Server::start(Kind::Redis).await else {
        return;
    };
    let replica = Server::start(Kind::Redis).await.unwrap();
    replicate(&replica, &primary).await;
    let address = Proxy::start(primary.port).await;
    let store = store_on(&primary.url_at(address.port, "")).await;
    let tokens = join_all((0..1200).map(|_| open(&store, "alice"))).await;
    let waiting = store.clone().with_replicas(1, Duration::from_secs(2));
    join_all(tokens[1..1000].iter().map(|token| store.revoke(token))).await;
    waiting.revoke(&tokens[0]).await.unwrap();
    // From here on, the replica lags.
    let () = query(&replica, "REPLICAOF NO ONE").await;
    assert_eq!(with_an_entry_of_the_future(&primary).await, 64);
    let mut node = Node::of(&store);
    node.read().await.unwrap();
    assert_eq!(node.seen.len(), 1001);
    assert!(node.seen.contains(&SessionId::new("lost")));
    // Meanwhile the promoted replica ends other sessions.
    let promoted = store_on(&replica.url("")).await;
    let mut ids = HashSet::new();
    for token in &tokens[1000..] {
        ids.insert(only(promoted.revoke(token).await.unwrap()));
    }

    address.set_fault(Fault::Cut);
    node.read().await.unwrap_err();
    address.redirect_to(replica.port);
    address.set_fault(Fault::None);
    node.reads_within(Duration::from_secs(10)).await;
    let missed = ids.difference(&node.seen).count();
    assert_eq!(missed, 0, "of {} ends", ids.len());
    assert_eq!(node.read().await.unwrap(), [], "the log is read once");
}

/// The connection survives, and only the server knows that its data are others.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_took_the_data_of_another_one_is_read_again() {
    let Some(server) = Server::start(Kind::Redis).await else {
        return;
    };
    let other = Server::start(Kind::Redis).await.unwrap();
    let store = store_on(&server.url("")).await;
    let mut node = Node::of(&store);
    end_many(&store).await;
    assert_eq!(with_an_entry_of_the_future(&server).await, 64);
    node.read().await.unwrap();
    let elsewhere = store_on(&other.url("")).await;
    let ids = join_all((0..200).map(|_| end_one(&elsewhere))).await;
    replicate(&server, &other).await;
    let () = query(&server, "REPLICAOF NO ONE").await;
    node.read().await.unwrap();
    let missed = ids.iter().filter(|id| !node.seen.contains(*id)).count();
    assert_eq!(missed, 0, "of {} ends", ids.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_flushed_is_read_from_its_start() {
    let Some(server) = Server::start(Kind::Redis).await else {
        return;
    };
    let store = store_on(&server.url("")).await;
    let mut node = Node::of(&store);
    end_many(&store).await;
    assert_eq!(with_an_entry_of_the_future(&server).await, 64);
    node.read().await.unwrap();
    let () = query(&server, "FLUSHALL").await;
    let ids = end_many(&store).await;
    let start = Instant::now();
    while !ids.iter().all(|id| node.seen.contains(id)) {
        assert!(start.elapsed() < Duration::from_secs(30), "missed");
        tokio::time::sleep(Duration::from_millis(100)).await;
        node.read().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_may_be_deposed_is_an_error() {
    let Some(primary) = Server::start(Kind::Redis).await else {
        return;
    };
    let mut replica = Server::start(Kind::Redis).await.unwrap();
    replicate(&replica, &primary).await;
    let mut on_replica = Node::of(&store_on(&replica.url("")).await);
    on_replica.expect_error("read only replica").await;
    let () = query(&replica, "CONFIG SET replica-read-only no").await;
    on_replica.expect_error("role slave").await;

    // A primary that is demoted between two reads.
    let other = Server::start(Kind::Redis).await.unwrap();
    let mut demoted = Node::of(&store_on(&other.url("")).await);
    demoted.read().await.unwrap();
    replicate(&other, &primary).await;
    demoted.expect_error("read only replica").await;
    let () = query(&other, "REPLICAOF NO ONE").await;
    demoted.reads_within(Duration::from_secs(5)).await;

    // A primary that lost its replicas does not know whether it is one.
    let mut node = Node::of(&store_on(&primary.url("")).await);
    let () = query(&primary, "CONFIG SET min-replicas-to-write 1").await;
    node.reads_within(Duration::from_secs(5)).await;
    replica.kill();
    let start = Instant::now();
    while node.read().await.is_ok() {
        assert!(start.elapsed() < Duration::from_secs(30), "fresh and blind");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    node.expect_error("Not enough good replicas").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_killed_is_read_on() {
    let Some(mut server) = Server::start(Kind::Redis).await else {
        return;
    };
    let store = store_on(&server.url("")).await;
    let mut node = Node::of(&store);
    for _ in 0..3 {
        let before = join_all((0..100).map(|_| end_one(&store))).await;
        node.read().await.unwrap();
        let unread = join_all((0..100).map(|_| end_one(&store))).await;
        server.kill();
        node.read().await.unwrap_err();
        server.resume().await;
        let ended = node.reads_within(Duration::from_secs(20)).await;
        assert_eq!(ended.len(), unread.len(), "goes on from the cursor");
        // The connection of the store was cut as well.
        answers_again(&store).await;
        let after = join_all((0..100).map(|_| end_one(&store))).await;
        node.read().await.unwrap();
        for id in before.iter().chain(&unread).chain(&after) {
            assert!(node.seen.contains(id), "missed");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_died_in_silence_is_replaced() {
    let Some(server) = Server::start(Kind::Redis).await else {
        return;
    };
    let address = Proxy::start(server.port).await;
    let direct = store_on(&server.url("")).await;
    let store = store_on(&server.url_at(address.port, "")).await;
    let mut node = Node::of(&store);
    node.read().await.unwrap();
    let hears = async |node: &Node| {
        let ((), id) = futures::join!(node.hears(), async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            end_one(&direct).await
        });
        id
    };
    let id = hears(&node).await;
    assert_eq!(node.read().await.unwrap(), [id]);
    // The machine loses its power, and comes back.
    address.set_fault(Fault::PowerLoss);
    let unheard = end_one(&direct).await;
    node.read().await.unwrap_err();
    address.set_fault(Fault::None);
    let ended = node.reads_within(Duration::from_secs(10)).await;
    assert_eq!(ended, [unheard]);
    // The connection that waits was replaced too.
    let id = hears(&node).await;
    assert_eq!(node.read().await.unwrap(), [id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_behind_sentinels_is_followed() {
    let Some(mut primary) = Server::start(Kind::Redis).await else {
        return;
    };
    let replica = Server::start(Kind::Redis).await.unwrap();
    replicate(&replica, &primary).await;
    let sentinel = Server::sentinel_of(&primary).await;
    let store = RedisStore::connect_sentinel([sentinel.url("")], "main", "redis://_/").await;
    let store = store.unwrap().with_policy(policy());
    let waiting = store.clone().with_replicas(1, Duration::from_secs(2));
    let mut node = Node::of(&store);
    let before = end_one(&waiting).await;
    assert_eq!(node.read().await.unwrap(), std::slice::from_ref(&before));
    for attempt in 0.. {
        assert!(attempt < 400, "the sentinel does not know the replica");
        let replicas: redis::Value = query(&sentinel, "SENTINEL REPLICAS main").await;
        if format!("{replicas:?}").contains(&replica.port.to_string()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    primary.kill();
    node.read().await.unwrap_err();
    node.reads_within(Duration::from_secs(30)).await;
    let after = end_one(&store_on(&replica.url("")).await).await;
    assert_eq!(node.read().await.unwrap(), [after]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_in_a_cluster_is_followed() {
    let Some(nodes) = redis_cluster().await else {
        return;
    };
    let replica = replica_in_cluster(&nodes).await;
    let store = store_on_cluster(&nodes).await;
    let mut node = Node::of(&store);
    let before = join_all((0..200).map(|_| end_one(&store))).await;
    assert_eq!(node.read().await.unwrap().len(), before.len());
    for attempt in 0.. {
        let info: String = query(&nodes[0], "INFO replication").await;
        if info.contains("role:slave") {
            break;
        }
        assert!(attempt < 60, "the replica was not promoted");
        if attempt % 10 == 0 {
            // An error while the replica does not know the cluster yet.
            let mut failover = redis::cmd("CLUSTER");
            failover.arg("FAILOVER");
            let mut connection = connection(&replica).await;
            let _: redis::RedisResult<()> = failover.query_async(&mut connection).await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    node.reads_within(Duration::from_secs(20)).await;
    let fresh = store_on_cluster(&nodes[1..]).await;
    let after = join_all((0..200).map(|_| end_one(&fresh))).await;
    node.reads_within(Duration::from_secs(20)).await;
    for id in before.iter().chain(&after) {
        assert!(node.seen.contains(id), "missed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_many_entries_is_read_in_pages() {
    let Some(server) = Server::start(Kind::Redis).await else {
        return;
    };
    let store = store_on(&server.url("")).await;
    end_many(&store).await;
    let keys: Vec<String> = query(&server, "KEYS *:ended").await;
    let many = (0..50_000).map(|number| {
        let id = SessionId::generate().unwrap();
        let mut add = redis::cmd("XADD");
        add.arg(&keys[number % keys.len()]).arg("*");
        add.arg("text").arg(id.as_str()).to_owned()
    });
    query_all(&server, many.collect()).await;
    let mut node = Node::of(&store);
    let first = node.log.read(None).await.unwrap();
    assert!(!first.is_complete && first.ended.len() <= 10_240);
    let start = Instant::now();
    node.read().await.unwrap();
    println!("51,000 entries: {:?}", start.elapsed());
    assert_eq!(node.seen.len(), 51_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_stays_in_redis_longer_than_it_matters() {
    let Some(server) = Server::start(Kind::Redis).await else {
        return;
    };
    let store = store_on(&server.url("")).await;
    let mut node = Node::of(&store);
    end_many(&store).await;
    // Entries that no longer matter, which a server that lives longer would have.
    let keys: Vec<String> = query(&server, "KEYS *:ended").await;
    assert_eq!(keys.len(), 64);
    let () = query(&server, "FLUSHALL").await;
    let past = SystemTime::now() - RETENTION - Duration::from_secs(60);
    let past = past.duration_since(UNIX_EPOCH).unwrap().as_millis();
    let old = keys.iter().flat_map(|key| {
        (0..500).map(move |number| {
            let mut add = redis::cmd("XADD");
            add.arg(key).arg(format!("{past}-{number}"));
            add.arg("text").arg(format!("old {number}")).to_owned()
        })
    });
    query_all(&server, old.collect()).await;
    assert_eq!(node.read().await.unwrap(), [], "old entries do not matter");
    let ended = end_many(&store).await;
    assert_eq!(node.read().await.unwrap().len(), ended.len());

    // The cleanup runs after the answers.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let left: HashSet<String> = query(&server, "KEYS *").await;
    assert_eq!(left, keys.iter().cloned().collect());
    let mut entries = 0;
    for key in &keys {
        entries += query::<usize>(&server, &format!("XLEN {key}")).await;
        let () = query(&server, &format!("PEXPIRE {key} 10000")).await;
    }
    assert_eq!(entries, ended.len());
    end_many(&store).await;
    let matters = RETENTION.as_millis() - 60_000..RETENTION.as_millis() * 5 / 4 + 1;
    for key in &keys {
        let ttl: u128 = query(&server, &format!("PTTL {key}")).await;
        assert!(matters.contains(&ttl), "{ttl} ms of {key}");
    }
}

#[tokio::test]
async fn without_a_client_or_a_lifetime_there_is_no_log() {
    let Some(server) = Server::start(Kind::Redis).await else {
        return;
    };
    let client = redis::Client::open(server.url("")).unwrap();
    let manager = ConnectionManager::new(client.clone()).await.unwrap();
    let managed = RedisStore::new(manager).with_policy(policy());
    let error = managed.ended_log().unwrap_err().to_string();
    assert!(error.contains("RedisStore::connect"), "{error}");
    // What it ends is in the log of the others.
    let id = end_one(&managed).await;
    let mut node = Node::of(&RedisStore::new(client).with_policy(policy()));
    assert_eq!(node.read().await.unwrap(), [id]);
    let none = policy().with_access_lifetime(Duration::ZERO);
    let none = store_on(&server.url("")).await.with_policy(none);
    let error = none.ended_log().unwrap_err().to_string();
    assert!(error.contains("access lifetime"), "{error}");
    end_one(&none).await;
    assert_eq!(node.read().await.unwrap(), []);
}

/// How long an end takes to a node that waits for news.
async fn lag(store: &RedisStore, ends: usize) -> Vec<Duration> {
    let log = store.ended_log().unwrap();
    let (sent, mut ended) = tokio::sync::mpsc::unbounded_channel();
    let writer = async {
        for _ in 0..ends {
            let token = open(store, "alice").await;
            tokio::time::sleep(Duration::from_millis(5)).await;
            let id = only(store.revoke(&token).await.unwrap());
            sent.send((id, Instant::now())).unwrap();
        }
        drop(sent);
    };
    let reader = async {
        let mut node = Node {
            log,
            cursor: None,
            seen: HashSet::new(),
        };
        let mut seen = std::collections::HashMap::new();
        let (mut waiting, mut lags) = (Vec::new(), Vec::new());
        let mut is_over = false;
        while !is_over || !waiting.is_empty() {
            for id in node.read().await.unwrap() {
                seen.insert(id, Instant::now());
            }
            loop {
                match ended.try_recv() {
                    Ok(end) => waiting.push(end),
                    Err(tokio::sync::mpsc::error::TryRecvError::Empty) => break,
                    Err(tokio::sync::mpsc::error::TryRecvError::Disconnected) => {
                        is_over = true;
                        break;
                    }
                }
            }
            waiting.retain(|(id, at)| match seen.get(id) {
                Some(seen) => {
                    lags.push(seen.saturating_duration_since(*at));
                    false
                }
                None => true,
            });
            // Waits that are dropped half-way lose nothing.
            for wait in [1, 2, 3, 1000] {
                let news = tokio::time::timeout(Duration::from_millis(wait), node.log.news());
                if news.await.is_ok() {
                    break;
                }
            }
        }
        lags
    };
    let ((), mut lags) = futures::join!(writer, reader);
    lags.sort();
    assert_eq!(lags.len(), ends, "no end is missed");
    lags
}

fn report(what: &str, lags: &[Duration]) {
    let last = lags.len() - 1;
    println!(
        "{what}: p50 {:?}, p99 {:?}, max {:?}",
        lags[last / 2],
        lags[last * 99 / 100],
        lags[last]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_waits_for_news_sees_an_end_at_once() {
    let Some(server) = Server::start(Kind::Redis).await else {
        return;
    };
    let lags = lag(&store_on(&server.url("")).await, 500).await;
    report("one server", &lags);
    // Without news, half a second.
    assert!(lags[lags.len() / 2] < Duration::from_millis(150));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_a_cluster_that_waits_for_news_sees_an_end_at_once() {
    let Some(nodes) = redis_cluster().await else {
        return;
    };
    let lags = lag(&store_on_cluster(&nodes).await, 500).await;
    report("a cluster", &lags);
    assert!(lags[lags.len() / 2] < Duration::from_millis(150));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_node_reads_once_a_second() {
    let Some(server) = Server::start(Kind::Redis).await else {
        return;
    };
    let store = store_on(&server.url("")).await;
    end_many(&store).await;
    let (ended, following) = EndedSessions::builder().follow(store.ended_log().unwrap());
    let following = tokio::spawn(following);
    ended.ready().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let reads = async || {
        let info: String = query(&server, "INFO commandstats").await;
        let calls = info.lines().find_map(|line| {
            let rest = line.strip_prefix("cmdstat_xtrim:calls=")?;
            rest.split(',').next()?.parse::<u32>().ok()
        });
        calls.unwrap_or_default()
    };
    let before = reads().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let during = reads().await - before;
    assert!((3..=6).contains(&during), "{during} reads in 5 seconds");
    let id = end_one(&store).await;
    let start = Instant::now();
    while ended.check(id.as_str()).is_ok() {
        assert!(start.elapsed() < Duration::from_secs(5), "the bell is deaf");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    following.abort();
}
