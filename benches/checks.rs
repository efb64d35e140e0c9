//! Counts the instructions that a check of the session adds to a request, with callgrind:
//! `cargo bench -p tower-logout-benches --features ended --bench checks`.
//!
//! A count beyond its limit fails the run.

#![allow(clippy::expect_used)]

use std::convert::Infallible;
use std::hint::black_box;
use std::time::Duration;

use gungraun::prelude::*;
use gungraun::{Callgrind, EventKind};
use http::{Method, Request};
use subjects::{BenchBody, bare, call, other_request};
use tower::{Layer, Service};
use tower_logout::MemoryStore;
use tower_logout::ended::EndedSessions;
use tower_logout::require::RequireSessionLayer;
use tower_logout::store::SessionId;

/// The instructions of a request without the layer, whose extensions have the claims.
const BARE: u64 = 1_180;

/// What a check adds at most.
const CHECK: u64 = 720;

/// The claims of a verified access token.
#[derive(Clone)]
struct Claims {
    sid: String,
}

fn at_most(instructions: u64) -> LibraryBenchmarkConfig {
    let mut callgrind = Callgrind::default();
    callgrind.hard_limits([(EventKind::Ir, instructions)]);
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(callgrind);
    config
}

fn id(number: usize) -> String {
    format!("{number:032x}")
}

fn request(session: usize) -> Request<BenchBody> {
    let mut request = other_request(Method::GET);
    let sid = id(session);
    request.extensions_mut().insert(Claims { sid });
    request
}

/// A node that has read its log, and knows ended sessions.
fn ended(sessions: usize) -> EndedSessions {
    let (ended, following) = EndedSessions::builder()
        .max_staleness(Duration::from_secs(24 * 3600))
        .follow(MemoryStore::new().ended_log());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        tokio::spawn(following);
        ended.ready().await;
    });
    // Without the task that follows the log, the sessions would be stale.
    std::mem::forget(runtime);
    for session in 0..sessions {
        ended.end(&SessionId::new(id(session)));
    }
    ended
}

fn warm<S>(mut service: S, session: usize) -> (&'static mut S, Request<BenchBody>)
where
    S: Service<Request<BenchBody>, Error = Infallible> + 'static,
{
    call(&mut service, request(session));
    (Box::leak(Box::new(service)), request(session))
}

fn unchecked() -> (
    &'static mut impl Service<Request<BenchBody>, Error = Infallible>,
    Request<BenchBody>,
) {
    warm(bare(), usize::MAX)
}

fn checked(
    sessions: usize,
    session: usize,
) -> (
    &'static mut impl Service<Request<BenchBody>, Error = Infallible>,
    Request<BenchBody>,
) {
    let layer = RequireSessionLayer::new(&ended(sessions), |claims: &Claims| &claims.sid);
    warm(layer.layer(bare()), session)
}

#[library_benchmark]
#[bench::bare(args = (unchecked()), config = at_most(BARE))]
#[bench::live_of_1_000(args = (checked(1_000, usize::MAX)), config = at_most(BARE + CHECK))]
#[bench::live_of_100_000(args = (checked(100_000, usize::MAX)), config = at_most(BARE + CHECK))]
#[bench::ended(checked(1_000, 7))]
fn check<S>((service, request): (&mut S, Request<BenchBody>)) -> S::Response
where
    S: Service<Request<BenchBody>, Error = Infallible>,
{
    black_box(call(service, black_box(request)))
}

library_benchmark_group!(name = checks, benchmarks = [check]);
main!(library_benchmark_groups = checks);
