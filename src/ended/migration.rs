//! The logs of two stores during a migration.

use std::pin::pin;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{select, try_join};

use super::{Cursor, EndedLog, Page};
use crate::store::BoxError;

/// Combines the logs of an old and a new store, for a [`MigrationStore`](crate::store::MigrationStore).
///
/// A session ends in the log of the store where the session lives. A node that follows one of the two logs alone
/// accepts the ended sessions of the other store.
///
/// A read succeeds if both logs were read. Give both stores the same lifetime of an access token.
///
/// ```
/// use tower_logout::MemoryStore;
/// use tower_logout::ended::MigrationLog;
/// # #[cfg(feature = "ended")]
/// use tower_logout::ended::EndedSessions;
/// use tower_logout::store::MigrationStore;
///
/// let (old, new) = (MemoryStore::new(), MemoryStore::new());
/// let log = MigrationLog::new(old.ended_log(), new.ended_log());
/// let store = MigrationStore::new(old, new);
/// # #[cfg(feature = "ended")]
/// let (ended, following) = EndedSessions::builder().follow(log);
/// ```
#[derive(Clone, Debug)]
pub struct MigrationLog<Old, New> {
    old: Old,
    new: New,
}

impl<Old, New> MigrationLog<Old, New> {
    /// Creates a log of the ended sessions of both stores.
    pub fn new(old: Old, new: New) -> Self {
        Self { old, new }
    }
}

#[async_trait]
impl<Old: EndedLog, New: EndedLog> EndedLog for MigrationLog<Old, New> {
    async fn read(&self, since: Option<&Cursor>) -> Result<Page, BoxError> {
        let (old, new) = since.and_then(split).unzip();
        let reads = try_join(self.old.read(old.as_ref()), self.new.read(new.as_ref()));
        let (old, new) = reads.await?;
        let cursor = join(&old.cursor, &new.cursor);
        let mut ended = old.ended;
        ended.extend(new.ended);
        Ok(if old.is_complete && new.is_complete {
            Page::new(ended, cursor)
        } else {
            Page::partial(ended, cursor)
        })
    }

    /// The longer one.
    fn retention(&self) -> Duration {
        self.old.retention().max(self.new.retention())
    }

    async fn news(&self) {
        select(pin!(self.old.news()), pin!(self.new.news())).await;
    }

    /// The shorter one.
    fn poll(&self) -> Duration {
        self.old.poll().min(self.new.poll())
    }
}

/// A cursor of both logs. The length of the first cursor says where the second one begins.
fn join(old: &Cursor, new: &Cursor) -> Cursor {
    let (old, new) = (old.as_str(), new.as_str());
    Cursor::new(format!("{} {old}{new}", old.len()))
}

/// The two cursors of a cursor, or `None` for the cursor of another log.
fn split(cursor: &Cursor) -> Option<(Cursor, Cursor)> {
    let (len, both) = cursor.as_str().split_once(' ')?;
    let (old, new) = both.split_at_checked(len.parse().ok()?)?;
    Some((Cursor::new(old), Cursor::new(new)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursors_of_two_logs_are_split_as_they_were_joined() {
        for [old, new] in [["", ""], ["1 a", ""], ["", "2 b"], ["7 \u{e9} 9", "\u{e9}"]] {
            let [old, new] = [old, new].map(Cursor::new);
            assert_eq!(split(&join(&old, &new)), Some((old, new)));
        }
        for other in ["", "7", "x y", "9 short", "1 \u{e9}", "-1 a"] {
            assert_eq!(split(&Cursor::new(other)), None, "{other}");
        }
    }
}
