//! The set of ended sessions: `cargo bench -p tower-logout-benches --features ended --bench ended_sessions`.
//!
//! Prints for several sizes how long a check of a live session takes, how long the end of a session takes, and
//! how many bytes each session has. The best of several rounds is shown, since other processes on the machine
//! only make figures worse.

#![allow(clippy::expect_used, clippy::cast_precision_loss)]

use std::fs;
use std::hint::black_box;
use std::time::Instant;

use subjects::{fresh_node, id};
use tower_logout::store::SessionId;

const SIZES: [usize; 6] = [
    1_000, 100_000, 1_000_000, 10_000_000, 14_000_000, 20_000_000,
];
const CHECKS: usize = 1_000_000;
const ROUNDS: usize = 5;

/// The bytes of this process that are in memory.
fn resident() -> f64 {
    let pages = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = pages
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<u32>().ok());
    f64::from(pages.unwrap_or_default()) * 4096.0
}

fn nanoseconds(work: impl FnOnce(), times: usize) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_nanos() as f64 / times as f64
}

fn main() {
    let ended = fresh_node();
    // The numbers of ended sessions are even, and those of live sessions are odd. The ids lie side by side, because
    // the claims of a request are at hand.
    let live: String = (0..CHECKS)
        .map(|number| id(2 * (number * 7_368_787 % 99_999_989) + 1))
        .collect();
    let id_len = live.len() / CHECKS;
    let before = resident();
    println!(
        "{:>10} {:>9} {:>9} {:>9}",
        "sessions", "check ns", "end ns", "bytes"
    );
    let mut known = 0;
    for size in SIZES {
        let ids =
            |range: std::ops::Range<usize>| range.map(|number| SessionId::new(id(2 * number)));
        let added = size - known;
        let end = nanoseconds(
            || ids(known..size).for_each(|session| ended.end(&session)),
            added,
        );
        known = size;
        let check = (0..ROUNDS).map(|_| {
            nanoseconds(
                || {
                    for start in (0..live.len()).step_by(id_len) {
                        let id = &live[start..start + id_len];
                        let _ = black_box(ended.check(black_box(id)));
                    }
                },
                CHECKS,
            )
        });
        let check = check.fold(f64::INFINITY, f64::min);
        let bytes = (resident() - before) / size as f64;
        println!("{size:>10} {check:>9.1} {end:>9.1} {bytes:>9.1}");
    }
}
