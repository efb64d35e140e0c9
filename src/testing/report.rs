//! What the suite found.

use std::fmt;

/// What became of each promise.
#[derive(Clone, Default)]
pub struct Report {
    entries: Vec<(&'static str, Verdict)>,
}

/// What became of a promise.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It was kept.
    Kept,
    /// It was not, and this was seen.
    Broken(String),
    /// It was not asked for, and why.
    NotAsked(&'static str),
}

impl Report {
    pub(super) fn enter(&mut self, promise: &'static str, verdict: Verdict) {
        self.entries.push((promise, verdict));
    }

    /// Whether no promise was broken.
    pub fn is_kept(&self) -> bool {
        self.broken().next().is_none()
    }

    /// Each promise, with what became of it.
    pub fn verdicts(&self) -> impl Iterator<Item = (&str, &Verdict)> {
        self.entries
            .iter()
            .map(|(promise, verdict)| (*promise, verdict))
    }

    /// The promises that were broken, with what was seen.
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
