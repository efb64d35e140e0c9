//! Rows that end together, and are seen to be gone.

use std::collections::HashSet;

use super::super::KEPT;
use super::super::driver::{Row, Transaction};
use super::super::statement::{Given, Statement};
use super::held::Held;
use tower_logout::BoxError;
use tower_logout::store::Transient;

/// What ends the rows of a session, say.
#[derive(Debug)]
pub(super) struct Group {
    /// → the rows, locked.
    pub(super) lock: Option<Statement>,
    /// → the rows as they are, without a wait.
    pub(super) look: Statement,
    /// Takes away what refers to the rows.
    pub(super) unlink: Vec<Statement>,
    pub(super) end: Statement,
}

/// A row that was seen.
#[derive(Debug)]
pub(super) struct Seen {
    /// The token as it is held, in text.
    pub(super) token: Option<Held>,
    pub(super) session: Option<String>,
    /// Not marked as ended.
    pub(super) open: bool,
    /// Open, and the live one of its session.
    pub(super) live: bool,
}

/// What was ended.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// Those that were locked before.
    pub(super) rows: Vec<Seen>,
    /// How many rows the database says it were.
    pub(super) count: u64,
}

/// How often rows may come that nobody has seen before.
const MAX_PASSES: usize = 32;

impl Seen {
    pub(super) fn read(row: &Row) -> Result<Self, BoxError> {
        Ok(Self {
            token: row.text_or_null(0)?.map(Held::new),
            session: row.text_or_null(1)?,
            open: row.text(2)? == "1",
            live: row.text(3)? == "1",
        })
    }

    pub(super) fn all(rows: &[Row]) -> Result<Vec<Self>, BoxError> {
        rows.iter().map(Self::read).collect()
    }
}

impl Ended {
    /// Whether a row was ended that was live: one that was seen before, one that was locked, or one that
    /// came in between.
    pub(super) fn any_live<'s>(&self, mut before: impl Iterator<Item = &'s Seen>) -> bool {
        let locked = self.rows.len() as u64;
        let more = locked > 0 && self.count > locked;
        let live = more || before.any(|row| row.live) || self.rows.iter().any(|row| row.live);
        live && (locked > 0 || self.count > 0)
    }
}

impl Group {
    async fn look(
        &self,
        transaction: &mut Transaction,
        given: &Given<'_>,
    ) -> Result<Vec<Seen>, BoxError> {
        let values = self.look.values(given);
        Seen::all(&transaction.fetch(&self.look.sql, &values).await?)
    }

    /// Locks the rows. Where all of them have to be known before one of them ends, it is done until no
    /// row is seen that is not locked: a refresh in flight is waited for, and what it has inserted is not
    /// among the rows that it was waited for with.
    async fn lock(
        &self,
        transaction: &mut Transaction,
        given: &Given<'_>,
        wholly: bool,
    ) -> Result<Vec<Seen>, BoxError> {
        let Some(lock) = &self.lock else {
            return Ok(Vec::new());
        };
        let values = lock.values(given);
        for _ in 0..MAX_PASSES {
            let locked = Seen::all(&transaction.fetch(&lock.sql, &values).await?)?;
            if !wholly && self.unlink.is_empty() {
                return Ok(locked);
            }
            let known: HashSet<_> = locked.iter().map(|row| &row.token).collect();
            let seen = self.look(transaction, given).await?;
            if seen.iter().all(|row| known.contains(&row.token)) {
                return Ok(locked);
            }
        }
        Err(busy())
    }

    /// Ends rows until none is to be seen any more. A pass may wait for a refresh in flight, and does not
    /// see what that has inserted. What stays although it is ended is an error.
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
                let values = unlink.values(given);
                transaction.execute(&unlink.sql, &values).await?;
            }
            let values = self.end.values(given);
            ended.count += transaction.execute(&self.end.sql, &values).await?;
            let left = self.look(transaction, given).await?;
            if left.is_empty() {
                return Ok(ended);
            }
            if !left.iter().any(|row| seen.contains(&row.token)) {
                new += 1;
            } else if left.len() < remaining {
                // Where rows go leaves first, there are fewer each time.
                stuck = 0;
            } else {
                stuck += 1;
            }
            if stuck == 2 {
                return Err(KEPT.into());
            }
            remaining = remaining.min(left.len());
            seen.extend(left.into_iter().map(|row| row.token));
        }
        Err(busy())
    }
}

fn busy() -> BoxError {
    Transient::new("the table gets rows of what is being ended faster than they end").into()
}
