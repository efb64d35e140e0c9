//! What the conformance suite says of a fault.

use std::fmt::Debug;

use tower_logout::testing::Report;

/// Asserts that the suite caught the fault by this promise, given as a part of its text.
pub(crate) fn assert_breaks(fault: impl Debug, promise: &str, verdict: Result<Report, Report>) {
    let report = match verdict {
        Ok(report) => panic!("{fault:?} was not caught: {report}"),
        Err(report) => report,
    };
    let mut broken = report.broken();
    assert!(
        broken.any(|(broken, seen)| broken.contains(promise) && !seen.is_empty()),
        "{fault:?} should break {promise:?}: {report}"
    );
}
