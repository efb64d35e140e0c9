//! The statements that write and shorten the log of ended sessions.

use std::sync::Arc;
use std::time::Duration;

use tower_logout::BoxError;

use super::{BATCH, Queries, first};
use crate::dialect::Dialect;
use crate::ended::sql::{mysql_now, postgres_now, sqlite_now};
use crate::millis::Millis;
use crate::pool::{Fetch, SqlPool, Transaction, Value};

/// Writes an entry, where no trigger does so. A session may have been named before.
const ENTRY_IN_SQLITE: &str = concat!(
    "INSERT INTO tower_logout_ended (session_id, ended_at) VALUES (?, ",
    sqlite_now!(),
    ")"
);
const ENTRY_IN_POSTGRES: &str = concat!(
    "INSERT INTO tower_logout_ended (session_id, ended_at) VALUES (?, ",
    postgres_now!(),
    ") ON CONFLICT DO NOTHING"
);
const ENTRY_IN_MYSQL: &str = concat!(
    "INSERT INTO tower_logout_ended (position, session_id, ended_at) SELECT position + 1, ?, ",
    mysql_now!(),
    " FROM tower_logout_ended_counter WHERE id = 1 FOR UPDATE"
);
const ADVANCE: &str = "UPDATE tower_logout_ended_counter SET position = position + 1 WHERE id = 1";

impl Queries {
    /// The statements that write an entry, for somebody who runs them by hand, last before the commit.
    pub(crate) fn entry(&self) -> (Arc<str>, Option<Arc<str>>) {
        match self.dialect {
            Dialect::Sqlite => (self.sql(ENTRY_IN_SQLITE), None),
            Dialect::Postgres => (self.sql(ENTRY_IN_POSTGRES), None),
            Dialect::MySql => (self.sql(ENTRY_IN_MYSQL), Some(self.sql(ADVANCE))),
        }
    }

    /// Writes ended sessions to the log of a database without our triggers, and returns the statements that commit.
    pub(crate) async fn log_by_hand(
        &self,
        transaction: &mut Transaction,
        ended: &[&str],
    ) -> Result<Arc<str>, BoxError> {
        if self.dialect == Dialect::MySql {
            return self.log_ended(transaction, ended).await;
        }
        let (sql, _) = self.entry();
        for id in ended {
            transaction.execute(&sql, &[Value::Text(id)]).await?;
        }
        Ok("COMMIT".into())
    }

    /// Writes ended sessions to the log of MySQL, where no trigger does so, and returns the statements that commit.
    ///
    /// From here to the commit, the transaction holds the lock of the counter. So positions are in the order of
    /// the commits, and nothing may follow but the commit.
    pub(crate) async fn log_ended(
        &self,
        transaction: &mut Transaction,
        ended: &[&str],
    ) -> Result<Arc<str>, BoxError> {
        if self.dialect != Dialect::MySql || ended.is_empty() {
            return Ok("COMMIT".into());
        }
        if let [id] = ended {
            // In one round trip, since all other revocations wait for the counter. Without its row, the position would
            // be null, which fails. A number in hexadecimal digits has no quotes.
            let commit = format!(
                "{ADVANCE}; \
                 INSERT INTO tower_logout_ended (position, session_id, ended_at) VALUES \
                 ((SELECT position FROM tower_logout_ended_counter WHERE id = 1), X'{}', {}); COMMIT",
                hex::encode(id),
                mysql_now!(),
            );
            return Ok(self.names.apply(self.dialect, &commit).into());
        }
        let mut logged = 0;
        // One text for any number: an empty id is none.
        let sql = self.sql(concat!(
            "INSERT INTO tower_logout_ended (position, session_id, ended_at) \
             SELECT position + ? + number, session_id, ",
            mysql_now!(),
            " FROM tower_logout_ended_counter JOIN (?#) AS ended \
             WHERE id = 1 AND session_id <> '' FOR UPDATE"
        ));
        for (batch, ids) in ended.chunks(BATCH).enumerate() {
            let offset = i64::try_from(batch * BATCH).unwrap_or(i64::MAX);
            let mut values = vec![Value::Int(offset)];
            values.extend(ids.iter().map(|id| Value::Text(id)));
            values.resize(1 + BATCH, Value::Text(""));
            logged += transaction.execute(&sql, &values).await?;
        }
        let count = ended.len();
        if logged != count as u64 {
            return Err(format!(
                "{logged} of {count} ended sessions could be logged: the table {}ended_counter has lost its row",
                self.names.prefix
            )
            .into());
        }
        let advance = format!(
            "UPDATE tower_logout_ended_counter SET position = position + {count} WHERE id = 1; COMMIT"
        );
        Ok(self.names.apply(self.dialect, &advance).into())
    }

    /// Marks the expired sessions that are about to be deleted. The trigger of the log takes the others for ended
    /// ones if they expired a moment ago.
    pub(crate) async fn mark_expired(
        &self,
        pool: &SqlPool,
        now: Millis,
        at_most: u32,
    ) -> Result<(), BoxError> {
        /// More than the trigger allows for clocks that differ.
        const RECENT: i64 = 10 * 60 * 1000;

        if self.dialect == Dialect::MySql {
            return Ok(());
        }
        let sql = self.sql(
            "UPDATE tower_logout_sessions SET expires_at = 0 WHERE id IN \
             (SELECT id FROM tower_logout_sessions WHERE expires_at > ? AND expires_at <= ? \
              ORDER BY expires_at LIMIT ? FOR UPDATE SKIP LOCKED)",
        );
        let [since, now] = [now.0 - RECENT, now.0].map(Value::Int);
        let values = [since, now, Value::Int(at_most.into())];
        pool.execute(&sql, &values).await?;
        Ok(())
    }

    /// Deletes some entries of the log that no longer matter, and returns how many.
    pub(crate) async fn shorten_log(
        &self,
        pool: &SqlPool,
        retention: Duration,
        at_most: u32,
    ) -> Result<u64, BoxError> {
        let at_most = Value::Int(at_most.into());
        let retention = Value::Int(i64::try_from(retention.as_millis()).unwrap_or(i64::MAX));
        match self.dialect {
            // The entries are nearly in the order of their times, so that no index on the times is needed.
            Dialect::Sqlite => {
                let sql = self.sql(concat!(
                    "DELETE FROM tower_logout_ended WHERE position IN \
                     (SELECT position FROM tower_logout_ended ORDER BY position LIMIT ?) AND ended_at <= ",
                    sqlite_now!(),
                    " - ?"
                ));
                pool.execute(&sql, &[at_most, retention]).await
            }
            Dialect::MySql => {
                // Only up to the first entry that stays, because a gap is an entry that may still appear.
                let first_kept = self.sql(concat!(
                    "SELECT COALESCE(MIN(CASE WHEN ended_at > ",
                    mysql_now!(),
                    " - ? THEN position END), MAX(position) + 1, 0) FROM \
                     (SELECT position, ended_at FROM tower_logout_ended ORDER BY position LIMIT ?) AS oldest"
                ));
                let values = [retention, at_most];
                let first_kept = pool.fetch(&first_kept, &values, |row| row.int(0)).await?;
                let first_kept = Value::Int(first(first_kept).unwrap_or_default());
                let sql = self.sql("DELETE FROM tower_logout_ended WHERE position < ?");
                pool.execute(&sql, &[first_kept]).await
            }
            Dialect::Postgres => {
                let sql = self.sql(concat!(
                    "DELETE FROM tower_logout_ended WHERE (xid, session_id) IN \
                     (SELECT xid, session_id FROM tower_logout_ended WHERE ended_at <= ",
                    postgres_now!(),
                    " - ?::BIGINT ORDER BY ended_at LIMIT ?::BIGINT FOR UPDATE SKIP LOCKED)"
                ));
                pool.execute(&sql, &[retention, at_most]).await
            }
        }
    }
}
