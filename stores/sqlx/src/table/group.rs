//! Rows that end together, until none is left.

use std::collections::HashSet;

use tower_logout::BoxError;
use tower_logout::store::Transient;

use super::held::Held;
use super::statement::{Given, Statement};
use crate::pool::failure::rows_are_kept;
use crate::pool::{Row, Transaction};

/// The statements that end some rows, for example the rows of a session.
#[derive(Debug)]
pub(super) struct Group {
    /// Locks the rows, and reads them.
    pub(super) lock: Option<Statement>,
    /// Reads the rows without waiting for a lock.
    pub(super) look: Statement,
    /// Remove the references to the rows.
    pub(super) unlink: Vec<Statement>,
    pub(super) end: Statement,
}

/// A row that was read.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) token: Option<Held>,
    pub(super) session: Option<String>,
    /// Not marked as ended.
    pub(super) open: bool,
    /// Open, and the live row of its session.
    pub(super) live: bool,
}

/// The rows that were ended.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// The rows that were locked before.
    pub(super) rows: Vec<Seen>,
    /// The number of ended rows, as the database counts them.
    pub(super) count: u64,
}

/// How often rows may come that were not there before.
const MAX_PASSES: usize = 32;

impl Seen {
    pub(super) fn read(row: &dyn Row) -> Result<Self, BoxError> {
        Ok(Self {
            token: row.text_or_null(0)?.map(Held::new),
            session: row.text_or_null(1)?,
            open: row.text(2)? == "1",
            live: row.text(3)? == "1",
        })
    }
}

impl Ended {
    /// Whether a live row was ended: a row that was read before, a locked row, or a row that came in between.
    pub(super) fn any_live<'s>(&self, mut before: impl Iterator<Item = &'s Seen>) -> bool {
        let locked = self.rows.len() as u64;
        let more = locked > 0 && self.count > locked;
        let live = more || before.any(|row| row.live) || self.rows.iter().any(|row| row.live);
        live && (locked > 0 || self.count > 0)
    }
}

impl Group {
    /// Locks the rows. If all rows have to be known before one of them ends, locks until each row is locked: the
    /// lock waits for a refresh in flight, and the row that the refresh has inserted is not among the locked
    /// rows.
    async fn lock(
        &self,
        transaction: &mut Transaction,
        given: &Given<'_>,
        wholly: bool,
    ) -> Result<Vec<Seen>, BoxError> {
        let Some(lock) = &self.lock else {
            return Ok(Vec::new());
        };
        for _ in 0..MAX_PASSES {
            let locked = lock.fetch(&mut *transaction, given, Seen::read).await?;
            if !wholly && self.unlink.is_empty() {
                return Ok(locked);
            }
            let known: HashSet<_> = locked.iter().map(|row| &row.token).collect();
            let seen = self
                .look
                .fetch(&mut *transaction, given, Seen::read)
                .await?;
            if seen.iter().all(|row| known.contains(&row.token)) {
                return Ok(locked);
            }
        }
        Err(busy())
    }

    /// Ends rows until none is left. A pass may wait for a refresh in flight, and does not end the row that the
    /// refresh has inserted. A row that stays although it was ended is an error.
    pub(super) async fn end(
        &self,
        transaction: &mut Transaction,
        given: &Given<'_>,
        wholly: bool,
    ) -> Result<Ended, BoxError> {
        let mut ended = Ended::default();
        let (mut seen, mut remaining) = (HashSet::new(), usize::MAX);
        let (mut new, mut stuck) = (0, 0);
        while new < MAX_PASSES {
            let locked = self.lock(transaction, given, wholly).await?;
            seen.extend(locked.iter().map(|row| row.token.clone()));
            remaining = remaining.min(locked.len().max(1));
            ended.rows.extend(locked);
            for unlink in &self.unlink {
                unlink.execute(transaction, given).await?;
            }
            ended.count += self.end.execute(transaction, given).await?;
            let left = self
                .look
                .fetch(&mut *transaction, given, Seen::read)
                .await?;
            if left.is_empty() {
                return Ok(ended);
            }
            if !left.iter().any(|row| seen.contains(&row.token)) {
                new += 1;
            } else if left.len() < remaining {
                // If the leaves are deleted first, fewer rows are left each time.
                stuck = 0;
            } else {
                stuck += 1;
            }
            if stuck == 2 {
                return Err(rows_are_kept());
            }
            remaining = remaining.min(left.len());
            seen.extend(left.into_iter().map(|row| row.token));
        }
        Err(busy())
    }
}

fn busy() -> BoxError {
    Transient::new("new rows of the session come faster than they end").into()
}
