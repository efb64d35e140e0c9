//! The report of the suite.

use std::fmt;

/// The verdict on each promise. Returned by [`Conformance::run`](super::Conformance::run).
#[derive(Clone, Default)]
pub struct Report {
    entries: Vec<(&'static str, Verdict)>,
}

/// The verdict on one promise.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The store kept the promise.
    Kept,
    /// The store broke the promise. The text says what the suite saw.
    Broken(String),
    /// The suite did not check the promise. The text says why.
    NotAsked(&'static str),
}

impl Report {
    pub(super) fn enter(&mut self, promise: &'static str, verdict: Verdict) {
        self.entries.push((promise, verdict));
    }

    /// Returns `true` if no promise was broken.
    pub fn is_kept(&self) -> bool {
        self.broken().next().is_none()
    }

    /// Iterates over each promise and its verdict.
    pub fn verdicts(&self) -> impl Iterator<Item = (&str, &Verdict)> {
        self.entries
            .iter()
            .map(|(promise, verdict)| (*promise, verdict))
    }

    /// Iterates over each broken promise and what the suite saw.
    pub fn broken(&self) -> impl Iterator<Item = (&str, &str)> {
        self.verdicts()
            .filter_map(|(promise, verdict)| match verdict {
                Verdict::Broken(seen) => Some((promise, &**seen)),
                Verdict::Kept | Verdict::NotAsked(_) => None,
            })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (promise, verdict) in &self.entries {
            match verdict {
                Verdict::Kept => writeln!(f, "kept      {promise}")?,
                Verdict::Broken(seen) => writeln!(f, "BROKEN    {promise}\n          {seen}")?,
                Verdict::NotAsked(why) => writeln!(f, "not asked {promise}: {why}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{self}")
    }
}

impl std::error::Error for Report {}
