//! Where the log is read.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tower_logout::BoxError;

use crate::dialect::Dialect;
use crate::pool::{Decode, Fetch, OwnConnection, Rows, SqlPool, Value};

/// The database of a log.
pub(super) struct Origin {
    pool: SqlPool,
    /// Of SQLite alone. Empty if the database is in memory.
    path: Option<PathBuf>,
}

/// A connection of the log's own, or the pool of a SQLite database in memory, which no other connection sees.
pub(super) enum Source {
    Own(OwnConnection, Option<File>),
    Pool(SqlPool),
}

/// A SQLite file.
pub(super) struct File {
    path: PathBuf,
    id: FileId,
}

/// Differs if another file was moved to the same path.
#[derive(PartialEq, Eq)]
struct FileId(u64, u64);

const FILE: &str = "SELECT file FROM pragma_database_list WHERE name = 'main'";

impl Origin {
    pub(super) async fn of(pool: &SqlPool) -> Result<Self, BoxError> {
        let mut path = None;
        if pool.dialect() == Dialect::Sqlite {
            let sql = FILE.into();
            let files = pool.fetch(&sql, &[], |row| row.text_or_null(0)).await?;
            path = Some(PathBuf::from(
                files.into_iter().flatten().next().unwrap_or_default(),
            ));
        }
        Ok(Self {
            pool: pool.clone(),
            path,
        })
    }

    /// Whether the database is in the memory of this process.
    pub(super) fn is_in_memory(&self) -> bool {
        let path = self.path.as_ref();
        path.is_some_and(|path| path.as_os_str().is_empty())
    }

    pub(super) async fn open(&self) -> Result<Source, BoxError> {
        if self.is_in_memory() {
            return Ok(Source::Pool(self.pool.clone()));
        }
        // Before the connection, which would create a file that is missing.
        let file = self.path.clone().map(File::at).transpose()?;
        let mut connection = self.pool.connect().await?;
        if self.pool.dialect() == Dialect::MySql {
            // Otherwise each read would see what the first one has seen.
            let sql = "SET autocommit = 1".into();
            connection.fetch(&sql, &[], |_| Ok(())).await?;
        }
        Ok(Source::Own(connection, file))
    }
}

impl Source {
    /// Whether this is still the file that others write to. One look at a local file is too short to wait for.
    pub(super) fn is_current(&self) -> bool {
        match self {
            Self::Own(_, Some(file)) => FileId::of(&file.path).is_ok_and(|id| id == file.id),
            Self::Own(_, None) | Self::Pool(_) => true,
        }
    }

    pub(super) async fn fetch<T: Send>(
        &mut self,
        sql: &Arc<str>,
        values: &[Value<'_>],
        decode: Decode<T>,
    ) -> Rows<T> {
        match self {
            Self::Own(connection, _) => connection.fetch(sql, values, decode).await,
            Self::Pool(pool) => (&*pool).fetch(sql, values, decode).await,
        }
    }
}

impl File {
    /// A file that exists. A connection to a missing file would create an empty one.
    fn at(path: PathBuf) -> io::Result<Self> {
        let id = FileId::of(&path)?;
        Ok(Self { path, id })
    }
}

impl FileId {
    #[cfg(unix)]
    fn of(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt;

        let file = std::fs::metadata(path)?;
        Ok(Self(file.dev(), file.ino()))
    }

    /// An open file cannot be replaced.
    #[cfg(not(unix))]
    fn of(path: &Path) -> io::Result<Self> {
        std::fs::metadata(path)?;
        Ok(Self(0, 0))
    }
}
