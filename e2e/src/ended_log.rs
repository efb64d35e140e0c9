//! Databases with a log of ended sessions, and a reader that follows the log.

use std::collections::HashSet;

use sqlx::{AnyPool, AssertSqlSafe};
use tower_logout::Token;
use tower_logout::ended::{Cursor, EndedLog};
use tower_logout::store::{Session, SessionStore};
use tower_logout_sqlx::{SqlEndedLog, SqlStore};

use super::database::{Kind, shared};
use super::own_table::any_pool;

/// A database of its own.
pub struct Database {
    /// `None` for SQLite.
    pub server: Option<Kind>,
    pub url: String,
    pub store: SqlStore,
    /// For statements by hand.
    pub by_hand: AnyPool,
    _folder: tempfile::TempDir,
}

impl Database {
    /// SQLite, or a database on a server that the tests share.
    pub async fn new(server: Option<Kind>) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let url = match server {
            None => format!("sqlite:{}", folder.path().join("sessions").display()),
            Some(kind) => shared(kind).await?.1,
        };
        Some(Self {
            server,
            store: SqlStore::connect(&url).await.unwrap(),
            by_hand: any_pool(&url).await,
            url,
            _folder: folder,
        })
    }

    pub async fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for server in [None, Some(Kind::Postgres), Some(Kind::MariaDb)] {
            all.extend(Self::new(server).await);
        }
        all
    }

    /// Whether a trigger writes the log.
    pub fn has_trigger(&self) -> bool {
        self.server != Some(Kind::MariaDb)
    }

    pub async fn execute(&self, sql: &str) {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql));
        sql.execute(&self.by_hand).await.unwrap();
    }

    pub async fn reader(&self) -> Reader {
        Reader::new(self.store.ended_log().await.unwrap())
    }
}

/// Reads a log from where it has last read.
pub struct Reader {
    pub log: SqlEndedLog,
    pub cursor: Option<Cursor>,
    /// All that was read.
    pub seen: HashSet<String>,
}

impl Reader {
    pub fn new(log: SqlEndedLog) -> Self {
        Self {
            log,
            cursor: None,
            seen: HashSet::new(),
        }
    }

    /// Reads until the log is complete, and returns the ids in their order.
    pub async fn read(&mut self) -> Vec<String> {
        let mut ids = Vec::new();
        loop {
            let page = self.log.read(self.cursor.as_ref()).await.unwrap();
            let retention = self.log.retention();
            assert!(
                page.ended
                    .iter()
                    .all(|(_, left)| *left <= retention && !left.is_zero())
            );
            ids.extend(page.ended.into_iter().map(|(id, _)| id.as_str().to_owned()));
            self.cursor = Some(page.cursor);
            if page.is_complete {
                self.seen.extend(ids.iter().cloned());
                return ids;
            }
        }
    }
}

/// Reads a log from its start, and returns where the next read begins.
pub async fn read_all(log: &dyn EndedLog) -> Cursor {
    let mut page = log.read(None).await.unwrap();
    while !page.is_complete {
        page = log.read(Some(&page.cursor)).await.unwrap();
    }
    page.cursor
}

pub async fn open(store: &SqlStore, subject: &str) -> (Token, Session) {
    let token = Token::generate().unwrap();
    let session = store.open(subject, &token).await.unwrap();
    (token, session)
}
