//! The log of Postgres, where a transaction can commit after transactions that began later.
//!
//! The snapshot of a read says which transactions it has seen: those below `xmax`, except those in `xip`. The next
//! read looks for the entries of all the others.

use std::sync::Arc;

use tower_logout::BoxError;
use tower_logout::ended::{Cursor, Page};

use super::source::Source;
use super::sql::postgres_now;
use super::{PAGE, entry};
use crate::dialect::{Dialect, postgres_is_read_only};
use crate::names::Names;
use crate::pool::failure::takes_no_writes;
use crate::pool::{Row, Value};

/// Reads a log by snapshots.
pub(super) struct Snapshots {
    tail: Arc<str>,
    page: Arc<str>,
    retention: i64,
}

/// What a server had committed when a read began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen<'c> {
    /// When the server started. After a restart, a failover or a restore, the numbers of transactions may stand for
    /// other transactions.
    server: &'c str,
    /// As Postgres writes it: `xmin:xmax:xip,…`.
    snapshot: &'c str,
    xmax: u64,
}

/// A cursor: what was seen, and of a first read that is not complete, its last entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place<'c> {
    seen: Seen<'c>,
    last: Option<(&'c str, &'c str)>,
}

struct Logged {
    /// Empty if the server takes no writes.
    seen: String,
    xid: String,
    session: Option<String>,
    remaining: i64,
}

macro_rules! seen {
    () => {
        concat!(
            "CASE WHEN ",
            postgres_is_read_only!(),
            " THEN '' \
             ELSE (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::BIGINT::TEXT || ' ' || \
             pg_current_snapshot()::TEXT END"
        )
    };
}

/// What was seen, and the time. One row, so that a read of nothing has them too.
macro_rules! one {
    () => {
        concat!(
            "(SELECT ",
            seen!(),
            " AS seen, ",
            postgres_now!(),
            " AS now) AS one"
        )
    };
}

/// A restored database may have entries with the numbers of transactions to come.
const TAIL: &str = concat!(
    "SELECT one.seen, '', entry.session_id, coalesce(entry.ended_at + ?::BIGINT - one.now, 0) FROM ",
    one!(),
    " LEFT JOIN tower_logout_ended AS entry ON \
     entry.xid >= ?::XID8 AND entry.xid < pg_snapshot_xmax(pg_current_snapshot()) \
     OR entry.xid = ANY (?::XID8[])"
);

const FIRST: &str = concat!(
    "SELECT one.seen, coalesce(entry.xid::TEXT, ''), entry.session_id, \
     coalesce(entry.ended_at + ?::BIGINT - one.now, 0) FROM ",
    one!(),
    " LEFT JOIN LATERAL (SELECT * FROM tower_logout_ended \
     WHERE (xid, session_id) > (?::XID8, ?::TEXT) AND ended_at > one.now - ?::BIGINT \
     ORDER BY xid, session_id LIMIT ?::BIGINT) AS entry ON TRUE ORDER BY entry.xid, entry.session_id"
);

impl<'c> Seen<'c> {
    fn parse(server: &'c str, snapshot: &'c str) -> Option<Self> {
        let seen = Self {
            server,
            snapshot,
            xmax: snapshot.split(':').nth(1)?.parse().ok()?,
        };
        let xip = snapshot.splitn(3, ':').nth(2)?;
        let is_list = xip.is_empty() || xip.split(',').all(|xid| xid.parse::<u64>().is_ok());
        is_list.then_some(seen)
    }

    /// The transactions that had begun and had not committed, as an array of Postgres.
    fn in_progress(&self) -> String {
        let xip = self.snapshot.rsplit(':').next().unwrap_or_default();
        format!("{{{xip}}}")
    }

    /// Whether a snapshot is a later one of the same server.
    fn is_before(&self, later: &Seen<'_>) -> bool {
        self.server == later.server && self.xmax <= later.xmax
    }
}

impl<'c> Place<'c> {
    fn parse(cursor: &'c str) -> Option<Self> {
        let mut parts = cursor.splitn(4, ' ');
        let seen = Seen::parse(parts.next()?, parts.next()?)?;
        let last = match (parts.next(), parts.next()) {
            (None, _) => None,
            (Some(xid), Some(session)) if xid.parse::<u64>().is_ok() => Some((xid, session)),
            _ => return None,
        };
        Some(Self { seen, last })
    }
}

impl Logged {
    fn read(row: &dyn Row) -> Result<Self, BoxError> {
        Ok(Self {
            seen: row.text(0)?,
            xid: row.text(1)?,
            session: row.text_or_null(2)?,
            remaining: row.int(3)?,
        })
    }
}

/// What the server had committed when these rows were read.
fn seen(rows: &[Logged]) -> Result<Seen<'_>, BoxError> {
    let seen = rows.first().map_or("", |row| &row.seen);
    if seen.is_empty() {
        return Err(takes_no_writes());
    }
    let seen = seen.split_once(' ');
    seen.and_then(|(server, snapshot)| Seen::parse(server, snapshot))
        .ok_or_else(|| "the server's snapshot cannot be read".into())
}

impl Snapshots {
    pub(super) fn new(names: &Names, retention: i64) -> Self {
        let text = |sql: &str| {
            let sql = Dialect::Postgres.numbered(sql);
            names.apply(Dialect::Postgres, &sql).into()
        };
        Self {
            tail: text(TAIL),
            page: text(FIRST),
            retention,
        }
    }

    pub(super) async fn read(
        &self,
        source: &mut Source,
        since: Option<&str>,
    ) -> Result<Page, BoxError> {
        if let Some(Place { seen: before, last }) = since.and_then(Place::parse) {
            let rows = match last {
                None => self.tail(source, &before).await?,
                Some(last) => self.page(source, last).await?,
            };
            let now = seen(&rows)?;
            if before.is_before(&now) {
                return Ok(if last.is_some() {
                    self.page_of(&rows, &before)
                } else {
                    Page::new(self.entries(&rows), cursor(&now))
                });
            }
        }
        let rows = self.page(source, ("0", "")).await?;
        Ok(self.page_of(&rows, &seen(&rows)?))
    }

    /// What was committed since.
    async fn tail(&self, source: &mut Source, since: &Seen<'_>) -> Result<Vec<Logged>, BoxError> {
        let (xmax, in_progress) = (since.xmax.to_string(), since.in_progress());
        let values = [
            Value::Int(self.retention),
            Value::Text(&xmax),
            Value::Text(&in_progress),
        ];
        source.fetch(&self.tail, &values, Logged::read).await
    }

    /// The entries after one of them, in the order of the primary key.
    async fn page(
        &self,
        source: &mut Source,
        (xid, session): (&str, &str),
    ) -> Result<Vec<Logged>, BoxError> {
        let values = [
            Value::Int(self.retention),
            Value::Text(xid),
            Value::Text(session),
            Value::Int(self.retention),
            Value::Int(i64::try_from(PAGE).unwrap_or(i64::MAX)),
        ];
        source.fetch(&self.page, &values, Logged::read).await
    }

    /// A page of a first read, which began when this much had been committed. What was committed since follows in the
    /// read after the last page.
    fn page_of(&self, rows: &[Logged], began: &Seen<'_>) -> Page {
        let entries = self.entries(rows);
        match rows.last() {
            Some(Logged {
                xid,
                session: Some(session),
                ..
            }) if rows.len() >= PAGE => {
                let Seen {
                    server, snapshot, ..
                } = began;
                let cursor = Cursor::new(format!("{server} {snapshot} {xid} {session}"));
                Page::partial(entries, cursor)
            }
            _ => Page::new(entries, cursor(began)),
        }
    }

    fn entries(
        &self,
        rows: &[Logged],
    ) -> Vec<(tower_logout::store::SessionId, std::time::Duration)> {
        let entries = rows.iter().filter_map(|row| {
            let session = row.session.clone()?;
            entry(session, row.remaining, self.retention)
        });
        entries.collect()
    }
}

fn cursor(seen: &Seen<'_>) -> Cursor {
    let Seen {
        server, snapshot, ..
    } = seen;
    Cursor::new(format!("{server} {snapshot}"))
}
