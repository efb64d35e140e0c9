//! Counts the instructions that a check of the session adds to a request, with callgrind:
//! `cargo bench -p tower-logout-benches --features ended --bench checks`.
//!
//! A count beyond its limit fails the run.

#![allow(clippy::expect_used)]

use std::convert::Infallible;
use std::hint::black_box;

use gungraun::prelude::*;
use gungraun::{Callgrind, EventKind};
use http::Request;
use subjects::{BenchBody, Claims, bare, call, fresh_node, id, request_in};
use tower::{Layer, Service};
use tower_logout::require::{NoStore, RequireSessionLayer};
use tower_logout::store::SessionId;

/// The instructions of a request without the layer, whose extensions have the claims.
const BARE: u64 = 1_180;

/// What a check adds at most.
const CHECK: u64 = 500;

fn at_most(instructions: u64) -> LibraryBenchmarkConfig {
    let mut callgrind = Callgrind::default();
    callgrind.hard_limits([(EventKind::Ir, instructions)]);
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(callgrind);
    config
}

/// The layer of a node that knows ended sessions.
fn layer(sessions: usize) -> RequireSessionLayer<NoStore> {
    let ended = fresh_node();
    for session in 0..sessions {
        ended.end(&SessionId::new(id(session)));
    }
    RequireSessionLayer::new(&ended, |claims: &Claims| &claims.sid)
}

fn warm<S>(mut service: S, session: usize) -> (&'static mut S, Request<BenchBody>)
where
    S: Service<Request<BenchBody>, Error = Infallible> + 'static,
{
    call(&mut service, request_in(id(session)));
    (Box::leak(Box::new(service)), request_in(id(session)))
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
    warm(layer(sessions).layer(bare()), session)
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
