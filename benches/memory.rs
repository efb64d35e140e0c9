//! `MemoryStore` with a million sessions: `cargo bench -p tower-logout-benches --bench memory`.
//!
//! Prints how long single calls take while expired sessions are dropped, and how many calls a second
//! one thread and two threads make. The time that a thread waits for a processor is subtracted where
//! the system tells it (Linux). The whole is measured several times, and the best figure of each row
//! is shown, since other processes on the machine only make figures worse.

#![allow(clippy::expect_used)]

use std::fs;
use std::future::Future;
use std::io::{Read, Seek};
use std::pin::{Pin, pin};
use std::sync::Barrier;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::FusedFuture;
use tower_logout::store::{SessionPolicy, SessionStore, SubjectStore};
use tower_logout::{MemoryStore, Revocation, Token, TokenStore};

const SESSIONS: usize = 1_000_000;
const EXPIRED: usize = 100_000;
const CALLS: usize = 30_000;
const ROUNDS: usize = 3;
const SWEEP: u32 = 1000;
/// Short enough that now and then no other process interrupts it.
const BURST: usize = 1_000;
const BURSTS: usize = 1_000;

/// The longest poll, the 99th percentile, and the median, in nanoseconds.
type Latency = [u64; 3];

/// For how long this thread has waited for a processor.
fn waited() -> Duration {
    thread_local! {
        static STATISTICS: Option<fs::File> = fs::File::open("/proc/thread-self/schedstat").ok();
    }
    let waited = STATISTICS.with(|file| {
        let mut file = file.as_ref()?;
        let mut text = [0; 64];
        file.rewind().ok()?;
        let length = file.read(&mut text).ok()?;
        let text = std::str::from_utf8(&text[..length]).ok()?;
        text.split(' ').nth(1)?.parse().ok()
    });
    Duration::from_nanos(waited.unwrap_or_default())
}

/// How long it takes, beside waiting for a processor.
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let before = waited();
    let start = Instant::now();
    let done = work();
    let elapsed = start.elapsed();
    (
        done,
        elapsed.saturating_sub(waited().saturating_sub(before)),
    )
}

/// Polls a future, and records how long that kept the thread.
fn poll<F: Future>(future: Pin<&mut F>, polls: &mut Vec<u64>) -> Poll<F::Output> {
    let mut context = Context::from_waker(Waker::noop());
    let (poll, took) = timed(|| future.poll(&mut context));
    polls.push(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    poll
}

/// Polls a future until it is ready.
fn run<F: Future>(future: F, polls: &mut Vec<u64>) -> F::Output {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = poll(future.as_mut(), polls) {
            return output;
        }
    }
}

fn now<F: Future>(future: F) -> F::Output {
    futures::executor::block_on(future)
}

fn latency(mut polls: Vec<u64>) -> Latency {
    polls.sort_unstable();
    let at = |share: usize| polls[(polls.len() - 1) * share / 100];
    [at(100), at(99), at(50)]
}

fn generate() -> Token {
    Token::generate().expect("a random source")
}

fn subject(number: usize) -> String {
    format!("subject {number}")
}

/// Visits all sessions in an order that has nothing to do with the order in which they were opened.
fn shuffled(call: usize) -> usize {
    call * 7_368_787 % SESSIONS
}

/// Calls a store on a thread that drops expired sessions in between, as a runtime of one thread does.
fn beside_a_sweep(store: &MemoryStore, mut call: impl FnMut(usize, &mut Vec<u64>)) -> [Latency; 2] {
    let expired = store
        .clone()
        .with_policy(SessionPolicy::new().with_lifetime(Duration::ZERO));
    for number in 0..EXPIRED {
        now(expired.open(&subject(number), &generate())).expect("room");
    }
    let (mut calls, mut dropped) = (Vec::new(), Vec::new());
    let sweep = async { while store.delete_expired(SWEEP).await.expect("an answer") == SWEEP {} };
    let mut sweep = pin!(sweep.fuse());
    for number in 0..CALLS {
        if !sweep.is_terminated() {
            let _ = poll(sweep.as_mut(), &mut dropped);
        }
        call(number, &mut calls);
    }
    while !sweep.is_terminated() {
        let _ = poll(sweep.as_mut(), &mut dropped);
    }
    [latency(calls), latency(dropped)]
}

fn latencies() -> Vec<(&'static str, Latency)> {
    let store = MemoryStore::new().with_max_tokens(10 * SESSIONS);
    let mut tokens = Vec::with_capacity(SESSIONS);
    let mut polls = Vec::with_capacity(SESSIONS);
    for number in 0..SESSIONS {
        let token = generate();
        run(store.open(&subject(number), &token), &mut polls).expect("room");
        tokens.push(token);
    }
    let mut rows = vec![("open, from none to 1,000,000", latency(polls))];
    let [open, dropped] = beside_a_sweep(&store, |call, polls| {
        run(store.open(&subject(call), &generate()), polls).expect("room");
    });
    rows.extend([("open", open), ("delete_expired(1000)", dropped)]);
    let [find, _] = beside_a_sweep(&store, |call, polls| {
        let found = run(store.find(&tokens[shuffled(call)]), polls).expect("an answer");
        assert!(found.is_some());
    });
    rows.push(("find", find));
    let [rotate, _] = beside_a_sweep(&store, |call, polls| {
        let next = generate();
        let token = &mut tokens[shuffled(call)];
        run(store.rotate(token, &next), polls).expect("room");
        *token = next;
    });
    rows.push(("rotate", rotate));
    let [revoke, _] = beside_a_sweep(&store, |call, polls| {
        let revoked = run(store.revoke(&tokens[shuffled(call)]), polls).expect("an answer");
        assert_ne!(revoked, Revocation::NotFound);
    });
    rows.push(("revoke", revoke));
    let [revoke_subject, _] = beside_a_sweep(&store, |call, polls| {
        let subject = subject(shuffled(CALLS + call));
        let revoked = run(store.revoke_subject(&subject, &[]), polls).expect("an answer");
        assert_ne!(revoked, Revocation::NotFound);
    });
    rows.push(("revoke_subject", revoke_subject));

    for _ in 0..1000 {
        now(store.open("of many", &generate())).expect("room");
    }
    let mut polls = Vec::new();
    run(store.revoke_subject("of many", &[]), &mut polls).expect("an answer");
    rows.push(("revoke_subject of 1,000 sessions", latency(polls)));
    let mut token = generate();
    now(store.open("rotates", &token)).expect("room");
    for _ in 0..15_000 {
        let next = generate();
        now(store.rotate(&token, &next)).expect("room");
        token = next;
    }
    let mut polls = Vec::new();
    run(store.revoke(&token), &mut polls).expect("an answer");
    rows.push(("revoke after 15,000 rotations", latency(polls)));
    rows.extend(at_the_bound());
    rows
}

/// Opens sessions where as many have expired as the store can hold.
fn at_the_bound() -> Vec<(&'static str, Latency)> {
    let store = MemoryStore::new().with_max_tokens(EXPIRED);
    let expired = store
        .clone()
        .with_policy(SessionPolicy::new().with_lifetime(Duration::ZERO));
    for number in 0..EXPIRED {
        now(expired.open(&subject(number), &generate())).expect("room");
    }
    let mut polls = Vec::new();
    for number in 0..CALLS {
        run(store.open(&subject(number), &generate()), &mut polls).expect("room");
    }
    vec![("open at the bound, 100,000 expired", latency(polls))]
}

/// How many sessions a second are opened, found, rotated, found and revoked.
fn throughput(store: &MemoryStore, threads: usize) -> f64 {
    let cycles = BURST / threads;
    let barrier = Barrier::new(threads);
    let thread = || {
        let tokens: Vec<_> = (0..cycles).map(|_| [generate(), generate()]).collect();
        barrier.wait();
        let start = Instant::now();
        for (number, [token, next]) in tokens.iter().enumerate() {
            now(store.open(&subject(number), token)).expect("room");
            now(store.find(token)).expect("an answer");
            now(store.rotate(token, next)).expect("room");
            now(store.find(next)).expect("an answer");
            now(store.revoke(next)).expect("an answer");
        }
        (start, Instant::now())
    };
    let times: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(thread)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a thread"))
            .collect()
    });
    let start = times.iter().map(|(start, _)| *start).min();
    let end = times.iter().map(|(_, end)| *end).max();
    let took = start
        .zip(end)
        .map(|(start, end)| end - start)
        .unwrap_or_default();
    f64::from(u32::try_from(BURST).unwrap_or(u32::MAX)) / took.as_secs_f64()
}

fn main() {
    let mut best = latencies();
    for _ in 1..ROUNDS {
        for ((_, best), (_, latency)) in best.iter_mut().zip(latencies()) {
            for (best, figure) in best.iter_mut().zip(latency) {
                *best = figure.min(*best);
            }
        }
    }
    println!("| call (µs a poll) | max | p99 | median |\n|---|---|---|---|");
    for (name, latency) in best {
        let [max, p99, median] =
            latency.map(|nanos| Duration::from_nanos(nanos).as_secs_f64() * 1e6);
        println!("| {name} | {max:.1} | {p99:.1} | {median:.1} |");
    }

    let store = MemoryStore::new().with_max_tokens(10 * SESSIONS);
    for number in 0..SESSIONS {
        now(store.open(&subject(number), &generate())).expect("room");
    }
    println!("\n| threads | sessions opened, found, rotated, found and revoked (1/s) |\n|---|---|");
    let mut best = [0.0_f64; 2];
    for _ in 0..BURSTS {
        for (threads, best) in (1..).zip(&mut best) {
            *best = best.max(throughput(&store, threads));
        }
    }
    for (threads, best) in (1..).zip(best) {
        println!("| {threads} | {best:.0} |");
    }
}
