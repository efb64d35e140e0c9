//! Instructions, counted by callgrind: `cargo bench --features memory,tokio,tracing --bench
//! instructions`.
//!
//! It needs valgrind and, of the version in `Cargo.toml`, gungraun-runner.

#![allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::expect_used
)]

mod subjects;

use std::convert::Infallible;
use std::hint::black_box;

use gungraun::prelude::*;
use http::Request;
use tower::Service;
use tower_logout::MemoryStore;

use subjects::{
    BenchBody, Cookies, bare, bearer_request, by_hand, call, for_axum, layered, layered_for_bearer,
    layered_for_grpc, logout_request, other_request,
};

/// A service and a request for it. The service has answered before, so that what is made once is
/// made.
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

fn pass_bare() -> (
    &'static mut impl Service<Request<BenchBody>, Error = Infallible>,
    Request<BenchBody>,
) {
    warm(bare(), other_request)
}

fn pass_layer() -> (
    &'static mut impl Service<Request<BenchBody>, Error = Infallible>,
    Request<BenchBody>,
) {
    warm(layered(MemoryStore::new()), other_request)
}

fn logout_layer(
    cookies: Cookies,
) -> (
    &'static mut impl Service<Request<BenchBody>, Error = Infallible>,
    Request<BenchBody>,
) {
    let store = MemoryStore::new();
    warm(layered(store.clone()), move || {
        logout_request(&store, cookies)
    })
}

fn logout_bearer() -> (
    &'static mut impl Service<Request<BenchBody>, Error = Infallible>,
    Request<BenchBody>,
) {
    let store = MemoryStore::new();
    warm(layered_for_bearer(store.clone()), move || {
        bearer_request(&store, "application/json")
    })
}

fn logout_grpc() -> (
    &'static mut impl Service<Request<BenchBody>, Error = Infallible>,
    Request<BenchBody>,
) {
    let store = MemoryStore::new();
    warm(layered_for_grpc(store.clone()), move || {
        bearer_request(&store, "application/grpc")
    })
}

fn logout_by_hand(cookies: Cookies) -> (&'static mut axum::Router, Request<axum::body::Body>) {
    let store = MemoryStore::new();
    warm(by_hand(store.clone()), move || {
        for_axum(logout_request(&store, cookies))
    })
}

#[library_benchmark]
#[bench::bare(pass_bare())]
#[bench::layer(pass_layer())]
fn pass_through<S, B>((service, request): (&mut S, Request<B>)) -> S::Response
where
    S: Service<Request<B>, Error = Infallible>,
{
    black_box(call(service, black_box(request)))
}

#[library_benchmark]
#[bench::layer_one_cookie(logout_layer(Cookies::One))]
#[bench::by_hand_one_cookie(logout_by_hand(Cookies::One))]
#[bench::layer_bearer(logout_bearer())]
#[bench::layer_grpc(logout_grpc())]
#[bench::layer_8_kib(logout_layer(Cookies::Field(400)))]
#[bench::by_hand_8_kib(logout_by_hand(Cookies::Field(400)))]
#[bench::layer_64_kib(logout_layer(Cookies::Field(3200)))]
#[bench::by_hand_64_kib(logout_by_hand(Cookies::Field(3200)))]
#[bench::layer_400_fields(logout_layer(Cookies::Fields(400)))]
#[bench::by_hand_400_fields(logout_by_hand(Cookies::Fields(400)))]
fn logout<S, B>((service, request): (&mut S, Request<B>)) -> S::Response
where
    S: Service<Request<B>, Error = Infallible>,
{
    black_box(call(service, black_box(request)))
}

library_benchmark_group!(name = instructions, benchmarks = [pass_through, logout]);
main!(library_benchmark_groups = instructions);
