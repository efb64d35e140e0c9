//! `MemoryStore` with a million sessions: `cargo bench --features memory,tokio --bench memory`.
//!
//! Prints how long single calls take while expired sessions are dropped, and how many calls a second
//! one thread and two threads make. The whole is measured several times, and the best figure of each
//! row is shown, since other processes on the machine only make figures worse.

#![allow(missing_docs, unreachable_pub, clippy::expect_used)]

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use tower_logout::{MemoryStore, Revocation, SessionStore, SubjectStore, Token, TokenStore};

const SESSIONS: usize = 1_000_000;
const EXPIRED: usize = 300_000;
const CALLS: usize = 50_000;
const ROUNDS: usize = 3;
const SWEEP: u32 = 1000;

/// The longest poll, the 99th percentile, and the median, in nanoseconds.
type Latency = [u64; 3];

/// Runs a future, and records how long each poll kept the thread.
fn run<F: Future>(future: F, polls: &mut Vec<u64>) -> F::Output {
    let mut future = pin!(future);
    loop {
        let start = Instant::now();
        let poll = future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        polls.push(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
        if let Poll::Ready(output) = poll {
            return output;
        }
    }
}

fn now<F: Future>(future: F) -> F::Output {
    run(future, &mut Vec::new())
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

/// Drops expired sessions until there are none, and pauses between batches.
fn sweep(store: &MemoryStore, polls: &mut Vec<u64>) {
    while run(store.drop_expired(SWEEP), polls).expect("a sweep") == SWEEP {
        thread::sleep(Duration::from_millis(1));
    }
}

/// Calls a store while another thread has expired sessions to drop.
fn beside_a_sweep(store: &MemoryStore, mut call: impl FnMut(usize, &mut Vec<u64>)) -> [Latency; 2] {
    let expired = store.clone().with_lifetime(Duration::ZERO);
    for number in 0..EXPIRED {
        now(expired.open(&subject(number), &generate())).expect("room");
    }
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let sweeper = scope.spawn(|| {
            let mut polls = Vec::new();
            sweep(store, &mut polls);
            done.store(true, Ordering::Relaxed);
            polls
        });
        let mut polls = Vec::new();
        for number in 0..CALLS {
            if done.load(Ordering::Relaxed) && number >= CALLS / 5 {
                break;
            }
            call(number, &mut polls);
        }
        [latency(polls), latency(sweeper.join().expect("a sweeper"))]
    })
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
    rows.extend([("open", open), ("drop_expired(1000)", dropped)]);
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

/// Opens sessions where as many have expired as the store may hold.
fn at_the_bound() -> Vec<(&'static str, Latency)> {
    let store = MemoryStore::new().with_max_tokens(EXPIRED);
    let expired = store.clone().with_lifetime(Duration::ZERO);
    for number in 0..EXPIRED {
        now(expired.open(&subject(number), &generate())).expect("room");
    }
    let mut polls = Vec::new();
    for number in 0..CALLS {
        run(store.open(&subject(number), &generate()), &mut polls).expect("room");
    }
    vec![("open at the bound, 300,000 expired", latency(polls))]
}

/// How many sessions a second are opened, found, rotated, found and revoked.
fn throughput(store: &MemoryStore, threads: usize) -> f64 {
    let calls = 200_000 / threads;
    let mut batches: Vec<Vec<[Token; 2]>> = (0..threads)
        .map(|_| (0..calls).map(|_| [generate(), generate()]).collect())
        .collect();
    let start = Instant::now();
    thread::scope(|scope| {
        for batch in &mut batches {
            scope.spawn(|| {
                for (number, [token, next]) in batch.iter().enumerate() {
                    now(store.open(&subject(number), token)).expect("room");
                    now(store.find(token)).expect("an answer");
                    now(store.rotate(token, next)).expect("room");
                    now(store.find(next)).expect("an answer");
                    now(store.revoke(next)).expect("an answer");
                }
            });
        }
    });
    let calls = u32::try_from(calls * threads).unwrap_or(u32::MAX);
    f64::from(calls) / start.elapsed().as_secs_f64()
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
    for threads in [1, 2, 4] {
        let runs = (0..2 * ROUNDS).map(|_| throughput(&store, threads));
        println!("| {threads} | {:.0} |", runs.fold(0.0, f64::max));
    }
}
