//! Calls that meet, and calls with much to do.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Barrier;
use std::task::{Context, Poll, Waker};
use std::thread;

use futures::executor::block_on;

use super::*;

const THREADS: usize = 4;

fn token(name: impl std::fmt::Display) -> Token {
    Token::new(name.to_string())
}

fn open(store: &MemoryStore, subject: &str, name: impl std::fmt::Display) -> Session {
    block_on(store.open(subject, &token(name))).unwrap()
}

fn rotate(store: &MemoryStore, from: usize) -> Rotation {
    block_on(store.rotate(&token(from), &token(from + 1))).unwrap()
}

fn is_live(store: &MemoryStore, name: impl std::fmt::Display) -> bool {
    block_on(store.find(&token(name))).unwrap().is_some()
}

fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Runs the same work in several threads at the same time.
fn at_once<T: Send>(work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(THREADS);
    let work = |number| {
        barrier.wait();
        work(number)
    };
    thread::scope(|scope| {
        let work = &work;
        let threads = (0..THREADS).map(|number| scope.spawn(move || work(number)));
        let threads: Vec<_> = threads.collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    })
}

fn ids(revocation: &Revocation) -> Vec<SessionId> {
    match revocation {
        Revocation::Sessions(ids) => ids.to_vec(),
        _ => Vec::new(),
    }
}

#[test]
fn of_many_calls_that_end_a_session_one_reports_it() {
    let store = MemoryStore::new();
    for round in 0..200 {
        let opened: HashSet<_> = (0..20)
            .map(|number| open(&store, "alice", format!("{round} {number}")).id)
            .collect();
        let reported = at_once(|thread| {
            if thread == 0 {
                let ended = block_on(store.revoke_subject("alice", &[])).unwrap();
                return ids(&ended);
            }
            let revoked = (0..20).map(|number| {
                let token = token(format!("{round} {number}"));
                block_on(store.revoke(&token)).unwrap()
            });
            revoked.flat_map(|revoked| ids(&revoked)).collect()
        });
        let reported: Vec<_> = reported.into_iter().flatten().collect();
        assert_eq!(reported.len(), 20);
        assert_eq!(reported.into_iter().collect::<HashSet<_>>(), opened);
    }
}

#[test]
fn of_many_calls_with_one_next_token_one_succeeds() {
    let store = MemoryStore::new();
    for round in 0..500 {
        for thread in 0..THREADS {
            open(&store, "alice", format!("{round} {thread}"));
        }
        let next = token(format!("{round} next"));
        let succeeded = at_once(|thread| {
            if thread % 2 == 0 {
                return block_on(store.open("bob", &next)).is_ok();
            }
            let presented = token(format!("{round} {thread}"));
            let rotated = block_on(store.rotate(&presented, &next));
            assert_ne!(is_live(&store, presented.expose()), rotated.is_ok());
            rotated.is_ok()
        });
        assert_eq!(succeeded.iter().filter(|succeeded| **succeeded).count(), 1);
    }
}

#[test]
fn of_many_rotations_of_one_token_at_once_one_succeeds() {
    let store =
        MemoryStore::new().with_policy(SessionPolicy::new().with_reuse_leeway(Duration::ZERO));
    for round in 0..500 {
        let presented = token(round);
        open(&store, "alice", round);
        let rotated = at_once(|thread| {
            let next = token(format!("{round} {thread}"));
            let rotation = block_on(store.rotate(&presented, &next)).unwrap();
            matches!(rotation, Rotation::Rotated(_))
        });
        assert_eq!(rotated.iter().filter(|rotated| **rotated).count(), 1);
    }
}

#[test]
fn a_call_that_found_a_session_alive_and_waits_for_it_sees_it_end() {
    let store = MemoryStore::new();
    let [presented, next] = [token("presented"), token("next")];
    let calls: [(_, &(dyn Fn() -> bool + Sync)); 4] = [
        ("rotate", &|| {
            block_on(store.rotate(&presented, &next)).unwrap() == Rotation::NotFound
        }),
        ("revoke", &|| {
            block_on(store.revoke(&presented)).unwrap() == Revocation::NotFound
        }),
        ("find", &|| {
            block_on(store.find(&presented)).unwrap().is_none()
        }),
        ("subject", &|| {
            block_on(store.subject(&presented)).unwrap().is_none()
        }),
    ];
    for (name, sees_the_end) in calls {
        open(&store, "alice", "presented");
        let (_, record) = store.state.by_token(&presented).unwrap();
        let mut family = record.lock();
        let holders = Arc::strong_count(&record);
        thread::scope(|scope| {
            let call = scope.spawn(sees_the_end);
            while Arc::strong_count(&record) == holders {
                thread::yield_now();
            }
            store.state.end(&record, &mut family, SystemTime::now());
            drop(family);
            assert!(call.join().unwrap(), "{name}");
        });
        assert!(store.state.by_token(&next).is_none(), "{name}");
    }
}

#[test]
fn no_rotation_in_flight_outlives_the_end_of_all_sessions_of_its_subject() {
    let store = MemoryStore::new();
    for round in 0..200 {
        for thread in 0..THREADS {
            open(&store, "alice", format!("{round} {thread} 0"));
        }
        let lives = at_once(|thread| {
            if thread == 0 {
                block_on(store.revoke_subject("alice", &[])).unwrap();
                return Vec::new();
            }
            let name = |number| format!("{round} {thread} {number}");
            let rotated = (0..50).take_while(|number| {
                let [presented, next] = [*number, number + 1].map(|number| token(name(number)));
                let rotation = block_on(store.rotate(&presented, &next)).unwrap();
                matches!(rotation, Rotation::Rotated(_))
            });
            let rotated = rotated.count();
            (0..=rotated).map(name).collect()
        });
        assert!(
            lives
                .into_iter()
                .flatten()
                .all(|name| !is_live(&store, name))
        );
    }
}

#[test]
fn other_tasks_run_while_a_call_ends_many_sessions_and_those_opened_meanwhile_live_on() {
    let store = MemoryStore::new();
    let opened: Vec<_> = (0..1000)
        .map(|number| open(&store, "alice", number).id)
        .collect();
    let mut call = pin!(store.revoke_subject("alice", &[]));
    let mut polls = 0;
    let ended = loop {
        polls += 1;
        match poll(call.as_mut()) {
            Poll::Ready(ended) => break ended.unwrap(),
            Poll::Pending => open(&store, "alice", format!("meanwhile {polls}")),
        };
    };
    assert!(polls > 1000 / STEP, "{polls}");
    assert_eq!(ids(&ended), opened);
    assert!((1..polls).all(|number| is_live(&store, format!("meanwhile {number}"))));
}

#[test]
fn other_tasks_run_while_a_call_drops_many_sessions() {
    let store = MemoryStore::new().with_policy(SessionPolicy::new().with_lifetime(Duration::ZERO));
    for number in 0..1000 {
        open(&store, "alice", number);
    }
    let mut call = pin!(store.delete_expired(600));
    let mut polls = 1;
    while poll(call.as_mut()).is_pending() {
        polls += 1;
    }
    assert!(polls > 600 / STEP, "{polls}");
    assert_eq!(block_on(store.delete_expired(1000)).unwrap(), 400);
}

#[test]
fn a_session_is_not_exhausted_by_tokens_that_have_expired_however_many_they_are() {
    let policy = SessionPolicy::new().with_max_rotations(1000);
    let store = MemoryStore::new().with_policy(policy);
    let short = store
        .clone()
        .with_policy(policy.with_lifetime(Duration::from_secs(4000)));
    open(&short, "alice", 0);
    for number in 0..999 {
        assert!(matches!(rotate(&short, number), Rotation::Rotated(_)));
    }
    assert!(matches!(rotate(&store, 999), Rotation::Rotated(_)));
    let now = SystemTime::now() + Duration::from_secs(8000);
    let rotate = |number: usize| {
        store
            .rotate_at(now, &token(number), &token(number + 1))
            .unwrap()
    };
    for number in 1000..2000 {
        assert!(
            matches!(rotate(number), Some(Rotation::Rotated(_))),
            "{number}"
        );
    }
    assert!(matches!(rotate(2000), Some(Rotation::Exhausted(_))));
}

#[test]
fn a_store_that_many_fill_at_once_holds_exactly_as_many_tokens_as_it_may() {
    for _ in 0..200 {
        let store = MemoryStore::new().with_max_tokens(2 * THREADS);
        let opened = at_once(|thread| {
            let tokens = (0..2 * THREADS).map(|number| token(format!("{thread} {number}")));
            let opened = tokens.filter(|token| block_on(store.open("alice", token)).is_ok());
            opened.count()
        });
        assert_eq!(opened.iter().sum::<usize>(), 2 * THREADS);
    }
}

#[test]
fn a_store_at_its_bound_makes_room_from_a_session_of_many_tokens_that_ended() {
    let store = MemoryStore::new().with_max_tokens(1000);
    open(&store, "alice", 0);
    for number in 0..999 {
        assert!(matches!(rotate(&store, number), Rotation::Rotated(_)));
    }
    assert!(block_on(store.open("bob", &token("one too many"))).is_err());
    block_on(store.revoke(&token(500))).unwrap();
    for number in 0..1000 {
        open(&store, "bob", format!("bob {number}"));
    }
    assert!(block_on(store.open("bob", &token("one too many"))).is_err());
}

#[test]
fn a_store_shows_no_token() {
    let store = MemoryStore::new();
    open(&store, "alice", "s3cret");
    let shown = format!("{store:?}");
    assert!(
        shown.contains("tokens: 1") && !shown.contains("s3cret"),
        "{shown}"
    );
}
