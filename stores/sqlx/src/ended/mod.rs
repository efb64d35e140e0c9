//! The log of ended sessions, as nodes read it.

mod bell;
mod listen;
mod positions;
mod snapshots;
mod source;
pub(crate) mod sql;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tower_logout::BoxError;
use tower_logout::ended::{Cursor, EndedLog, Page};
use tower_logout::store::{SessionId, SessionPolicy};

pub(crate) use self::bell::Bell;

use self::listen::Listening;
use self::positions::Positions;
use self::snapshots::Snapshots;
use self::source::{Origin, Source};
use crate::dialect::Dialect;
use crate::names::Names;
use crate::pool::SqlPool;

/// How many entries a page of the first read has at most.
const PAGE: usize = 10_000;

/// How long an end of which no news came travels at most.
const POLL: Duration = Duration::from_secs(1);

/// How long an end travels at most from MySQL, which sends no news.
const POLL_OF_MYSQL: Duration = Duration::from_millis(50);

/// The log of the sessions that were ended in a SQL database. [`SqlStore::ended_log`](crate::SqlStore::ended_log)
/// opens the log.
///
/// An entry is committed together with the end of its session.
///
/// | database | who writes an entry | news of an end |
/// |---|---|---|
/// | SQLite | a trigger, for each `DELETE` on the sessions, also one by hand | within 5 ms, from `PRAGMA data_version` on a connection of its own |
/// | Postgres, 13 or later | a trigger, for each `DELETE` on the sessions, also one by hand | `NOTIFY` after the commit, to a connection that listens |
/// | MySQL, MariaDB | the store | none, but the log is read every 50 ms |
///
/// A read of Postgres sees each commit, whatever the order in which transactions began and ended. A read of a
/// server that takes no writes is an error. If the database was restored or has failed over to another server, if
/// a SQLite file was replaced, or after a connection to Postgres was lost, everything is read again.
///
/// An entry counts for [`SessionPolicy::ended_retention`](tower_logout::store::SessionPolicy::ended_retention) of
/// the store that opened the log, by the clock of the database. `delete_expired` of the store deletes older entries.
///
/// # Not logged
///
/// - `TRUNCATE`, which fires no trigger.
/// - In MySQL and MariaDB, a session that anybody but a store of this crate deletes.
///
/// # News
///
/// News are a hint. Without news, an end is found by the next read, after at most a second. If notifications of
/// Postgres do not arrive, for example through `PgBouncer` in transaction mode, [`with_on_error`](Self::with_on_error)
/// is told once.
pub struct SqlEndedLog {
    pool: SqlPool,
    origin: Origin,
    reader: Reader,
    /// Missing while a read is under way, and after one that failed or that nobody awaited.
    source: tokio::sync::Mutex<Option<Source>>,
    retention: Duration,
    bell: Arc<Bell>,
    rung: watch::Sender<()>,
    news: tokio::sync::Mutex<watch::Receiver<()>>,
    listens: bool,
    listening: Mutex<Option<Listening>>,
    on_error: OnError,
}

type OnError = Arc<dyn Fn(BoxError) + Send + Sync>;

/// How the database tells what was committed since.
enum Reader {
    Positions(Positions),
    Snapshots(Snapshots),
}

impl fmt::Debug for SqlEndedLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlEndedLog")
            .field("pool", &self.pool)
            .field("retention", &self.retention)
            .finish_non_exhaustive()
    }
}

impl SqlEndedLog {
    pub(crate) async fn open(
        pool: &SqlPool,
        names: &Names,
        bell: &Arc<Bell>,
        retention: Duration,
    ) -> Result<Self, BoxError> {
        let dialect = pool.dialect();
        let millis = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX / 2);
        let reader = match dialect {
            Dialect::Postgres => Reader::Snapshots(Snapshots::new(names, millis)),
            Dialect::Sqlite | Dialect::MySql => {
                Reader::Positions(Positions::new(dialect, names, millis))
            }
        };
        let origin = Origin::of(pool).await?;
        let mut source = origin.open().await?;
        // Fails early if the table cannot be read. A replica is no reason to refuse: it may be promoted.
        let sql = "SELECT session_id FROM tower_logout_ended WHERE 1 = 0";
        let sql = names.apply(dialect, sql).into();
        source.fetch(&sql, &[], |_| Ok(())).await?;
        let rung = watch::Sender::new(());
        // A database in memory belongs to this process, which knows of each end by itself.
        let is_in_memory = origin.is_in_memory();
        let news = if is_in_memory {
            bell.subscribe()
        } else {
            rung.subscribe()
        };
        Ok(Self {
            pool: pool.clone(),
            reader,
            origin,
            listens: dialect != Dialect::MySql && !is_in_memory,
            source: tokio::sync::Mutex::new(Some(source)),
            retention,
            bell: Arc::clone(bell),
            rung,
            news: tokio::sync::Mutex::new(news),
            listening: Mutex::default(),
            on_error: Arc::new(|_| {}),
        })
    }

    /// Sets what is called if news do not come, which makes ends travel slower. By default nothing. The call comes once,
    /// and again if news stop after some have come.
    ///
    /// A read that fails is an error of [`read`](EndedLog::read), and is not told here.
    ///
    /// ```
    /// # async fn log(store: tower_logout_sqlx::SqlStore) -> Result<(), tower_logout::BoxError> {
    /// let log = store.ended_log().await?.with_on_error(|error| eprintln!("no news: {error}"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_on_error(mut self, on_error: impl Fn(BoxError) + Send + Sync + 'static) -> Self {
        self.on_error = Arc::new(on_error);
        self
    }

    /// Starts to listen for news, unless that has been done.
    fn listen(&self) {
        if self.listens {
            let mut listening = self.listening();
            listening.get_or_insert_with(|| {
                let (rung, on_error) = (self.rung.clone(), Arc::clone(&self.on_error));
                Listening::start(self.pool.clone(), Arc::clone(&self.bell), rung, on_error)
            });
        }
    }

    fn listening(&self) -> MutexGuard<'_, Option<Listening>> {
        self.listening
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl EndedLog for SqlEndedLog {
    async fn read(&self, since: Option<&Cursor>) -> Result<Page, BoxError> {
        let mut slot = self.source.lock().await;
        let (mut source, is_new) = match slot.take() {
            Some(source) if source.is_current() => (source, false),
            _ => {
                // What has happened to this connection may have happened to the one that listens, which would not
                // say so.
                *self.listening() = None;
                (self.origin.open().await?, true)
            }
        };
        let since = since.map(Cursor::as_str);
        let page = match &self.reader {
            Reader::Positions(reader) => reader.read(&mut source, since).await?,
            // A server that has crashed gives the numbers of lost transactions again, and has closed its connections.
            Reader::Snapshots(reader) => {
                let since = since.filter(|_| !is_new);
                reader.read(&mut source, since).await?
            }
        };
        *slot = Some(source);
        Ok(page)
    }

    fn retention(&self) -> Duration {
        self.retention
    }

    async fn news(&self) {
        self.listen();
        let mut news = self.news.lock().await;
        if news.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    fn poll(&self) -> Duration {
        if self.pool.dialect() == Dialect::MySql {
            POLL_OF_MYSQL
        } else {
            POLL
        }
    }
}

/// How long the log of a policy keeps an entry.
pub(crate) fn retention(policy: &SessionPolicy) -> Result<Duration, BoxError> {
    let retention = policy.ended_retention();
    if retention.is_zero() {
        return Err("with an access lifetime of zero, the store logs no ended session".into());
    }
    Ok(retention)
}

/// An entry of the log as a page has it, unless it no longer matters.
fn entry(session: String, remaining: i64, retention: i64) -> Option<(SessionId, Duration)> {
    // A clock that was set back would keep the entry for longer.
    let remaining = u64::try_from(remaining.min(retention)).ok()?;
    (remaining > 0).then(|| (SessionId::new(session), Duration::from_millis(remaining)))
}
