//! Measures the time: `cargo bench -p tower-logout-benches --bench logout`.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::Method;
use subjects::{
    BenchStore, Cookies, bare, bearer_request, by_hand, call, for_axum, layered,
    layered_for_bearer, layered_for_grpc, logout_request, other_request,
};

const SHAPES: [(&str, Cookies); 4] = [
    ("one cookie", Cookies::One),
    ("8 KiB", Cookies::Field(400)),
    ("64 KiB", Cookies::Field(3200)),
    ("400 fields", Cookies::Fields(400)),
];

fn pass_through(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pass-through");
    let mut service = bare();
    group.bench_function("bare", |bencher| {
        bencher.iter_batched(
            || other_request(Method::GET),
            |request| black_box(call(&mut service, request)),
            BatchSize::SmallInput,
        );
    });
    let mut service = layered(BenchStore::default());
    group.bench_function("layer", |bencher| {
        bencher.iter_batched(
            || other_request(Method::GET),
            |request| black_box(call(&mut service, request)),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn logout(criterion: &mut Criterion) {
    for (name, cookies) in SHAPES {
        let mut group = criterion.benchmark_group(format!("logout, {name}"));
        let store = BenchStore::default();
        let mut service = layered(store.clone());
        group.bench_function("layer", |bencher| {
            bencher.iter_batched(
                || logout_request(&store, cookies),
                |request| black_box(call(&mut service, request)),
                BatchSize::LargeInput,
            );
        });
        let store = BenchStore::default();
        let mut service = by_hand(store.clone());
        group.bench_function("by hand", |bencher| {
            bencher.iter_batched(
                || for_axum(logout_request(&store, cookies)),
                |request| black_box(call(&mut service, request)),
                BatchSize::LargeInput,
            );
        });
        group.finish();
    }
}

fn logout_without_cookies(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("logout, token in a header");
    let store = BenchStore::default();
    let mut service = layered_for_bearer(store.clone());
    group.bench_function("bearer", |bencher| {
        bencher.iter_batched(
            || bearer_request(&store, "application/json"),
            |request| black_box(call(&mut service, request)),
            BatchSize::LargeInput,
        );
    });
    let store = BenchStore::default();
    let mut service = layered_for_grpc(store.clone());
    group.bench_function("gRPC", |bencher| {
        bencher.iter_batched(
            || bearer_request(&store, "application/grpc"),
            |request| black_box(call(&mut service, request)),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, pass_through, logout, logout_without_cookies);
criterion_main!(benches);
