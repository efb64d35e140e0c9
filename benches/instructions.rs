//! Counts the instructions of a user's build with callgrind:
//! `cargo bench -p tower-logout-benches --bench instructions`.
//!
//! A count beyond its limit fails the run. The benches need valgrind and the gungraun-runner of the version
//! in `Cargo.lock`.

#![allow(clippy::expect_used)]

use std::convert::Infallible;
use std::hint::black_box;

use axum::body::Body;
use gungraun::prelude::*;
use gungraun::{Callgrind, EventKind};
use http::{Method, Request};
use subjects::{
    BenchBody, BenchStore, Cookies, bare, bearer_request, by_hand, call, for_axum, layered,
    layered_for_bearer, layered_for_grpc, layered_router, logout_request, other_request, requiring,
    router, session_request, wrapped_router,
};
use tower::Service;
use tower_logout::MemoryStore;

/// The instructions of a request without the layer.
const BARE: u64 = 750;

/// Fails the run if there are more instructions.
fn at_most(instructions: u64) -> LibraryBenchmarkConfig {
    let mut callgrind = Callgrind::default();
    callgrind.hard_limits([(EventKind::Ir, instructions)]);
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(callgrind);
    config
}

/// Returns a service and a request. The service has answered a request before, so the count excludes
/// one-time setup.
fn warm<S, B>(
    mut service: S,
    mut request: impl FnMut() -> Request<B>,
) -> (&'static mut S, Request<B>)
where
    S: Service<Request<B>, Error = Infallible> + 'static,
{
    call(&mut service, request());
    (Box::leak(Box::new(service)), request())
}

fn pass_bare(
    method: Method,
) -> (
    &'static mut impl Service<Request<BenchBody>, Error = Infallible>,
    Request<BenchBody>,
) {
    warm(bare(), move || other_request(method.clone()))
}

fn pass_layer(
    method: Method,
) -> (
    &'static mut impl Service<Request<BenchBody>, Error = Infallible>,
    Request<BenchBody>,
) {
    warm(layered(BenchStore::default()), move || {
        other_request(method.clone())
    })
}

/// Enters a runtime for the rest of the process, because without one a look-up has no timeout.
fn in_a_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    std::mem::forget(Box::leak(Box::new(runtime)).enter());
}

fn session_bare() -> (
    &'static mut impl Service<Request<BenchBody>, Error = Infallible>,
    Request<BenchBody>,
) {
    let store = MemoryStore::new();
    warm(bare(), move || session_request(&store))
}

fn session_asked() -> (
    &'static mut impl Service<Request<BenchBody>, Error = Infallible>,
    Request<BenchBody>,
) {
    in_a_runtime();
    let store = MemoryStore::new();
    warm(requiring(store.clone()), move || session_request(&store))
}

fn axum_bare() -> (&'static mut axum::Router, Request<Body>) {
    warm(router(), || for_axum(other_request(Method::GET)))
}

fn axum_layer() -> (&'static mut axum::Router, Request<Body>) {
    warm(layered_router(BenchStore::default()), || {
        for_axum(other_request(Method::GET))
    })
}

fn axum_wrapped() -> (
    &'static mut impl Service<Request<Body>, Error = Infallible>,
    Request<Body>,
) {
    warm(wrapped_router(BenchStore::default()), || {
        for_axum(other_request(Method::GET))
    })
}

fn logout_layer(
    cookies: Cookies,
) -> (
    &'static mut impl Service<Request<BenchBody>, Error = Infallible>,
    Request<BenchBody>,
) {
    let store = BenchStore::default();
    warm(layered(store.clone()), move || {
        logout_request(&store, cookies)
    })
}

fn logout_bearer() -> (
    &'static mut impl Service<Request<BenchBody>, Error = Infallible>,
    Request<BenchBody>,
) {
    let store = BenchStore::default();
    warm(layered_for_bearer(store.clone()), move || {
        bearer_request(&store, "application/json")
    })
}

fn logout_grpc() -> (
    &'static mut impl Service<Request<BenchBody>, Error = Infallible>,
    Request<BenchBody>,
) {
    let store = BenchStore::default();
    warm(layered_for_grpc(store.clone()), move || {
        bearer_request(&store, "application/grpc")
    })
}

fn logout_by_hand(cookies: Cookies) -> (&'static mut axum::Router, Request<Body>) {
    let store = BenchStore::default();
    warm(by_hand(store.clone()), move || {
        for_axum(logout_request(&store, cookies))
    })
}

#[library_benchmark]
#[bench::bare_get(args = (pass_bare(Method::GET)), config = at_most(BARE))]
#[bench::layer_get(args = (pass_layer(Method::GET)), config = at_most(BARE + 64))]
#[bench::bare_post(args = (pass_bare(Method::POST)), config = at_most(BARE))]
// The limit is higher for `POST`, because the comparison of the path needs two calls into the crate http.
#[bench::layer_post(args = (pass_layer(Method::POST)), config = at_most(BARE + 128))]
fn pass_through<S, B>((service, request): (&mut S, Request<B>)) -> S::Response
where
    S: Service<Request<B>, Error = Infallible>,
{
    black_box(call(service, black_box(request)))
}

#[library_benchmark]
#[bench::bare(session_bare())]
#[bench::asked(args = (session_asked()), config = at_most(4_700))]
fn session_check<S, B>((service, request): (&mut S, Request<B>)) -> S::Response
where
    S: Service<Request<B>, Error = Infallible>,
{
    black_box(call(service, black_box(request)))
}

#[library_benchmark]
#[bench::router(axum_bare())]
#[bench::wrapped_router(axum_wrapped())]
#[bench::layered_router(axum_layer())]
fn placement<S, B>((service, request): (&mut S, Request<B>)) -> S::Response
where
    S: Service<Request<B>, Error = Infallible>,
{
    black_box(call(service, black_box(request)))
}

#[library_benchmark]
#[bench::layer_one_cookie(args = (logout_layer(Cookies::One)), config = at_most(6_500))]
#[bench::by_hand_one_cookie(logout_by_hand(Cookies::One))]
#[bench::layer_bearer(args = (logout_bearer()), config = at_most(6_500))]
#[bench::layer_grpc(args = (logout_grpc()), config = at_most(8_500))]
#[bench::layer_8_kib(args = (logout_layer(Cookies::Field(400))), config = at_most(9_000))]
#[bench::by_hand_8_kib(logout_by_hand(Cookies::Field(400)))]
#[bench::layer_8_kib_base64(args = (logout_layer(Cookies::Base64(8192))), config = at_most(9_000))]
#[bench::layer_64_kib(args = (logout_layer(Cookies::Field(3200))), config = at_most(17_000))]
#[bench::by_hand_64_kib(logout_by_hand(Cookies::Field(3200)))]
#[bench::layer_400_fields(args = (logout_layer(Cookies::Fields(400))), config = at_most(75_000))]
#[bench::by_hand_400_fields(logout_by_hand(Cookies::Fields(400)))]
fn logout<S, B>((service, request): (&mut S, Request<B>)) -> S::Response
where
    S: Service<Request<B>, Error = Infallible>,
{
    black_box(call(service, black_box(request)))
}

library_benchmark_group!(
    name = instructions,
    benchmarks = [pass_through, session_check, placement, logout]
);
main!(library_benchmark_groups = instructions);
