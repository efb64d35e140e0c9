//! A node knows each session that ended anywhere, or says that it does not know.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tower::Layer;
use tower_logout::ended::{Cursor, EndedLog, EndedSessions, MigrationLog, Page, Refused};
use tower_logout::outcome::FailureKind;
use tower_logout::store::{MigrationStore, SessionId};
use tower_logout::{
    BoxError, LogoutLayer, MemoryStore, Revocation, Token, TokenStore, async_trait, store_fn,
};

use support::*;

/// A log in memory, which can fail, hang or panic, and which has no news.
#[derive(Clone, Default)]
struct TestLog(Arc<Inner>);

#[derive(Default)]
struct Inner {
    ended: Mutex<Vec<SessionId>>,
    reads: AtomicUsize,
    fails: AtomicBool,
    hangs: AtomicBool,
    panics: AtomicBool,
}

impl TestLog {
    fn end(&self, id: &str) {
        self.0.ended.lock().unwrap().push(SessionId::new(id));
    }

    fn reads(&self) -> usize {
        self.0.reads.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl EndedLog for TestLog {
    async fn read(&self, since: Option<&Cursor>) -> Result<Page, BoxError> {
        self.0.reads.fetch_add(1, Ordering::SeqCst);
        if self.0.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        assert!(!self.0.panics.load(Ordering::SeqCst), "broken");
        if self.0.fails.load(Ordering::SeqCst) {
            return Err("the server is away".into());
        }
        let since = since.map_or(0, |cursor| cursor.as_str().parse().unwrap());
        let ended = self.0.ended.lock().unwrap();
        // Two at a time, so that a read has several pages.
        let end = ended.len().min(since + 2);
        let page = ended[since..end].iter();
        let page = page
            .map(|id| (id.clone(), Duration::from_secs(60)))
            .collect();
        let cursor = Cursor::new(end.to_string());
        Ok(if end < ended.len() {
            Page::partial(page, cursor)
        } else {
            Page::new(page, cursor)
        })
    }

    fn retention(&self) -> Duration {
        Duration::from_secs(60)
    }
}

const STALENESS: Duration = Duration::from_secs(30);

#[tokio::test(start_paused = true)]
async fn a_node_that_never_read_the_log_is_stale() {
    let (ended, following) = EndedSessions::builder().follow(TestLog::default());
    assert_eq!(ended.check("a"), Err(Refused::Stale));
    assert!(!ended.is_fresh());
    assert_eq!(ended.age(), None);
    drop(following);
    assert_eq!(ended.check("a"), Err(Refused::Stale));
    assert_eq!(ended.catch_up().await, Err(Refused::Stale));
}

#[tokio::test]
async fn a_session_that_ended_elsewhere_is_refused_after_the_next_read() {
    let log = TestLog::default();
    for id in ["a", "b", "c", "d", "e"] {
        log.end(id);
    }
    let (ended, following) = EndedSessions::builder().follow(log.clone());
    tokio::spawn(following);
    ended.ready().await;
    for id in ["a", "b", "c", "d", "e"] {
        assert_eq!(ended.check(id), Err(Refused::Ended));
    }
    assert_eq!(ended.check("f"), Ok(()));
    assert_eq!(ended.len(), 5);

    log.end("f");
    ended.catch_up().await.unwrap();
    assert_eq!(ended.check("f"), Err(Refused::Ended));
}

#[tokio::test]
async fn many_that_wait_for_a_read_share_it() {
    let log = TestLog::default();
    let (ended, following) = EndedSessions::builder().follow(log.clone());
    tokio::spawn(following);
    ended.ready().await;
    let before = log.reads();
    let waiting: Vec<_> = (0..1000)
        .map(|_| {
            let ended = ended.clone();
            tokio::spawn(async move { ended.catch_up().await })
        })
        .collect();
    for waiting in waiting {
        waiting.await.unwrap().unwrap();
    }
    assert!(log.reads() - before <= 3, "{}", log.reads() - before);
}

/// A log of slow pages, which begins again when a read is given up.
struct SlowPages(Mutex<Option<usize>>);

#[async_trait]
impl EndedLog for SlowPages {
    async fn read(&self, _: Option<&Cursor>) -> Result<Page, BoxError> {
        let page = self.0.lock().unwrap().take().unwrap_or(0) + 1;
        tokio::time::sleep(STALENESS / 10).await;
        *self.0.lock().unwrap() = Some(page);
        let (ended, cursor) = (Vec::new(), Cursor::new(page.to_string()));
        Ok(if page < 20 {
            Page::partial(ended, cursor)
        } else {
            Page::new(ended, cursor)
        })
    }

    fn retention(&self) -> Duration {
        Duration::from_secs(60)
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_read_may_take_longer_than_a_node_stays_fresh() {
    let log = SlowPages(Mutex::default());
    let (ended, following) = EndedSessions::builder()
        .max_staleness(STALENESS)
        .follow(log);
    tokio::spawn(following);
    let ready = tokio::time::timeout(3 * STALENESS, ended.ready());
    ready.await.expect("the node is never ready");
    assert!(ended.is_fresh());
}

/// Real time, because the age of a node is counted by the clock of the machine.
async fn follows(log: &TestLog, staleness: Duration) -> EndedSessions {
    let (ended, following) = EndedSessions::builder()
        .max_staleness(staleness)
        .poll(staleness / 10)
        .follow(log.clone());
    tokio::spawn(following);
    ended.ready().await;
    ended
}

#[tokio::test]
async fn a_log_that_cannot_be_read_makes_the_node_stale_and_a_read_makes_it_fresh() {
    let staleness = Duration::from_millis(400);
    for fault in 0..3 {
        let log = TestLog::default();
        let inner = &log.0;
        let fault = [&inner.fails, &inner.hangs, &inner.panics][fault];
        let ended = follows(&log, staleness).await;
        assert_eq!(ended.check("a"), Ok(()));
        fault.store(true, Ordering::SeqCst);
        log.end("a");
        tokio::time::sleep(2 * staleness).await;
        assert_eq!(ended.check("a"), Err(Refused::Stale));
        assert!(ended.age().unwrap() > staleness);

        fault.store(false, Ordering::SeqCst);
        ended.catch_up().await.unwrap();
        assert_eq!(ended.check("a"), Err(Refused::Ended));
        assert_eq!(ended.check("b"), Ok(()));
    }
}

#[tokio::test]
async fn a_session_that_is_known_to_have_ended_is_refused_as_ended_by_a_stale_node() {
    let log = TestLog::default();
    log.end("a");
    let ended = follows(&log, Duration::from_millis(200)).await;
    log.0.fails.store(true, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(ended.check("a"), Err(Refused::Ended));
    assert_eq!(ended.check("b"), Err(Refused::Stale));
}

#[tokio::test]
async fn a_node_that_nobody_polls_any_more_is_stale() {
    let log = TestLog::default();
    let staleness = Duration::from_millis(200);
    let (ended, following) = EndedSessions::builder()
        .max_staleness(staleness)
        .follow(log);
    let following = tokio::spawn(following);
    ended.ready().await;
    following.abort();
    tokio::time::sleep(2 * staleness).await;
    assert_eq!(ended.check("a"), Err(Refused::Stale));
}

/// A log whose second page fails after a while, and comes at the second attempt.
#[derive(Default)]
struct Interrupted(AtomicUsize);

#[async_trait]
impl EndedLog for Interrupted {
    async fn read(&self, since: Option<&Cursor>) -> Result<Page, BoxError> {
        let page = vec![(SessionId::new("a"), Duration::from_secs(60))];
        match self.0.fetch_add(1, Ordering::SeqCst) {
            0 => Ok(Page::partial(page, Cursor::new("1"))),
            1 => {
                tokio::time::sleep(Duration::from_millis(300)).await;
                Err("the server is away".into())
            }
            _ => {
                assert_eq!(since, Some(&Cursor::new("1")));
                Ok(Page::new(Vec::new(), Cursor::new("1")))
            }
        }
    }

    fn retention(&self) -> Duration {
        Duration::from_secs(60)
    }
}

#[tokio::test]
async fn a_read_that_was_interrupted_counts_from_its_first_page() {
    let (ended, following) = EndedSessions::builder().follow(Interrupted::default());
    tokio::spawn(following);
    ended.ready().await;
    let age = ended.age().unwrap();
    assert!(age >= Duration::from_millis(300), "{age:?}");
    assert_eq!(ended.check("a"), Err(Refused::Ended));
}

#[tokio::test]
async fn errors_are_reported_and_a_panic_of_the_callback_ends_nothing() {
    let log = TestLog::default();
    log.0.fails.store(true, Ordering::SeqCst);
    let errors = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&errors);
    let (ended, following) = EndedSessions::builder()
        .on_error(move |error| {
            assert_eq!(error.to_string(), "the server is away");
            counter.fetch_add(1, Ordering::SeqCst);
            panic!("in the callback");
        })
        .follow(log.clone());
    tokio::spawn(following);
    while errors.load(Ordering::SeqCst) < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    log.0.fails.store(false, Ordering::SeqCst);
    ended.ready().await;
}

#[tokio::test]
async fn the_node_that_answers_a_logout_refuses_the_session_at_once() {
    let (store, log) = (MemoryStore::new(), TestLog::default());
    // This log learns nothing of the logout, so that the layer alone tells the node.
    let ended = follows(&log, STALENESS).await;
    let (token, id) = open_session(&store).await;
    let (_, other) = open_session(&store).await;
    let layer = LogoutLayer::builder(store).ended(&ended).build().unwrap();
    assert_eq!(ended.check(id.as_str()), Ok(()));
    send(layer.layer(inner()), logout_with(&token))
        .await
        .assert_is_logged_out();
    assert_eq!(ended.check(id.as_str()), Err(Refused::Ended));
    assert_eq!(ended.check(other.as_str()), Ok(()));
}

#[tokio::test]
async fn a_logout_that_another_node_finished_is_answered_after_this_node_knows() {
    let store = MemoryStore::new();
    let log = TestLog::default();
    let (ended, following) = EndedSessions::builder()
        .poll(Duration::from_secs(3600))
        .follow(log.clone());
    tokio::spawn(following);
    ended.ready().await;
    let (token, id) = open_session(&store).await;
    // Another node ended the session, and its answer was lost.
    store.revoke(&token).await.unwrap();
    log.end(id.as_str());
    assert_eq!(ended.check(id.as_str()), Ok(()), "no read since");

    let layer = LogoutLayer::builder(store).ended(&ended).build().unwrap();
    send(layer.layer(inner()), logout_with(&token))
        .await
        .assert_is_logged_out();
    assert_eq!(ended.check(id.as_str()), Err(Refused::Ended));
}

#[tokio::test]
async fn a_store_that_does_not_name_the_session_it_ended_fails_the_logout() {
    let ended = follows(&TestLog::default(), STALENESS).await;
    let store = store_fn(|_| async { Ok(Revocation::Revoked) });
    let layer = LogoutLayer::builder(store).ended(&ended).build().unwrap();
    let answer = send(layer.layer(inner()), logout_with(&Token::new("a"))).await;
    answer.assert_is_failed_and_keeps_cookies();
    assert_eq!(failure(&answer), FailureKind::SessionNotNamed);
}

#[tokio::test]
async fn a_logout_without_a_session_fails_if_nothing_follows_the_log() {
    let (ended, following) = EndedSessions::builder().follow(TestLog::default());
    drop(following);
    let layer = LogoutLayer::builder(MemoryStore::new())
        .ended(&ended)
        .build()
        .unwrap();
    let answer = send(layer.layer(inner()), logout_with(&Token::new("a"))).await;
    answer.assert_is_failed_and_keeps_cookies();
    assert_eq!(failure(&answer), FailureKind::LogNotRead);
}

/// The other node learns of the end by the news of the log.
async fn reaches_another_node<L: EndedLog>(
    store: impl TokenStore + Clone,
    log: impl Fn() -> L,
    sessions: &[(Token, SessionId)],
) {
    let [here, there] = [(); 2].map(|()| {
        let (ended, following) = EndedSessions::builder()
            .poll(Duration::from_secs(3600))
            .follow(log());
        tokio::spawn(following);
        ended
    });
    here.ready().await;
    there.ready().await;
    let layer = LogoutLayer::builder(store).ended(&here).build().unwrap();
    for (token, id) in sessions {
        send(layer.layer(inner()), logout_with(token))
            .await
            .assert_is_logged_out();
        assert_eq!(here.check(id.as_str()), Err(Refused::Ended));
        let refused = async {
            while there.check(id.as_str()).is_ok() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        // The next read without news is due after a quarter of the staleness, 7.5 seconds.
        tokio::time::timeout(Duration::from_secs(5), refused)
            .await
            .expect("the news did not arrive");
    }
}

#[tokio::test]
async fn the_log_of_a_store_in_memory_reaches_another_node() {
    let store = MemoryStore::new();
    let session = open_session(&store).await;
    reaches_another_node(store.clone(), || store.ended_log(), &[session]).await;
}

#[tokio::test]
async fn during_a_migration_the_logs_of_both_stores_reach_another_node() {
    let (old, new) = (MemoryStore::new(), MemoryStore::new());
    let sessions = [
        open_session(&old).await,
        open_session(&new).await,
        open_session(&old).await,
    ];
    let store = MigrationStore::new(old.clone(), new.clone());
    let log = || MigrationLog::new(old.ended_log(), new.ended_log());
    reaches_another_node(store, log, &sessions).await;
}
