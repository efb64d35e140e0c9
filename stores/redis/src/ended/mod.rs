//! The log of ended sessions: written by the scripts, and read here.

mod bell;
mod entry;
mod positions;
mod reader;
mod source;

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use tower_logout::BoxError;
use tower_logout::ended::{Cursor, EndedLog, Page};
use tower_logout::store::SessionId;

use self::bell::Bell;
use self::positions::Positions;
use self::reader::{PER_BUCKET, Reader, Stream};
use super::keys::Keys;

pub(super) use self::bell::Ringer;
pub(super) use self::entry::{entry, raw_id};
pub(super) use self::source::Source;

/// The log of the sessions that a [`RedisStore`](crate::RedisStore) has ended. Created by
/// [`RedisStore::ended_log`](crate::RedisStore::ended_log).
///
/// The log is a stream for each bucket of sessions. The script that ends a session writes the entry.
///
/// Each read proves that the server is a primary that takes writes. After a new connection, a restart or a
/// promotion, and every 10 seconds, a read begins with the last entry that was read before. If a stream
/// does not have that entry, the server has lost writes, or is another one, and the stream is read again
/// from its start. So an end can stay unseen for 10 seconds if an operator deletes a stream and the clock of
/// the server goes back, or if a proxy keeps a connection while its server restarts without its data.
pub struct RedisEndedLog {
    source: Source,
    keys: Keys,
    retention: Duration,
    /// None before the first read, and after one that failed or was dropped.
    reader: Mutex<Option<Reader>>,
    bell: Bell,
}

impl fmt::Debug for RedisEndedLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisEndedLog")
            .field("keys", &self.keys)
            .field("retention", &self.retention)
            .finish_non_exhaustive()
    }
}

impl RedisEndedLog {
    pub(super) fn new(source: Source, keys: Keys, retention: Duration) -> Self {
        Self {
            bell: Bell::new(source.clone(), keys.clone()),
            source,
            keys,
            retention,
            reader: Mutex::new(None),
        }
    }

    /// Reads once. The reader is lost if the read fails or is dropped.
    async fn try_read(&self, mut positions: Positions) -> Result<Page, BoxError> {
        let reader = self.with_reader(Option::take);
        let mut reader = match reader {
            Some(reader) => reader,
            None => Reader::connect(&self.source, &self.keys).await?,
        };
        let mut answers = reader.read(&self.keys, &positions).await?;
        let mut ended = Vec::new();
        let mut has_more = false;
        for stream in std::mem::take(&mut answers.streams) {
            has_more |= self.add(stream, answers.overlap, &mut positions, &mut ended);
        }
        let cursor = positions.cursor();
        self.bell.has_read(positions.clone());
        reader.has_read(&answers, positions);
        self.with_reader(|place| *place = Some(reader));
        Ok(if has_more {
            Page::partial(ended, cursor)
        } else {
            Page::new(ended, cursor)
        })
    }

    fn with_reader<T>(&self, change: impl FnOnce(&mut Option<Reader>) -> T) -> T {
        change(&mut self.reader.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds the entries to the page, and moves the position. Returns whether there may be more entries.
    fn add(
        &self,
        stream: Stream,
        overlap: bool,
        positions: &mut Positions,
        page: &mut Vec<(SessionId, Duration)>,
    ) -> bool {
        let Stream {
            bucket,
            now,
            entries,
        } = stream;
        let is_full = entries.len() == PER_BUCKET;
        let mut entries = entries.into_iter();
        if let Some(last) = positions.get(bucket).filter(|_| overlap) {
            let is_known = entries.next().is_some_and(|(id, _)| id == last);
            if !is_known {
                positions.set(bucket, None);
                return true;
            }
        }
        let retention = u64::try_from(self.retention.as_millis()).unwrap_or(u64::MAX);
        for (id, session) in entries {
            positions.set(bucket, Some(id));
            let matters = id.millis.saturating_add(retention).saturating_sub(now);
            // An entry of the future is one of a clock that was set back.
            let matters = Duration::from_millis(matters.min(retention));
            if let (Some(session), false) = (session, matters.is_zero()) {
                page.push((session, matters));
            }
        }
        is_full
    }
}

#[async_trait]
impl EndedLog for RedisEndedLog {
    async fn read(&self, since: Option<&Cursor>) -> Result<Page, BoxError> {
        let read = self.try_read(Positions::of(since)).await;
        read.inspect_err(|_error| self.bell.reset())
    }

    fn retention(&self) -> Duration {
        self.retention
    }

    async fn news(&self) {
        self.bell.wait().await;
    }
}
