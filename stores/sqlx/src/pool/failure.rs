//! What an error of a database means: whether another attempt may succeed, and whether the connection is
//! still of use.

use std::borrow::Cow;
use std::time::Duration;

use sqlx::error::DatabaseError;

use tower_logout::BoxError;
use tower_logout::store::Transient;

/// What happens to a connection that has answered with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Kept,
    Lost,
    /// The server takes no writes: it was the primary when the connection was opened.
    ReadOnly,
    /// The statement was isolated more strictly than READ COMMITTED.
    NotIsolated,
    /// MySQL's binary log cannot hold the changes of READ COMMITTED.
    LogsStatements,
}

#[allow(dead_code)] // The codes of databases whose feature is off.
enum Code<'e> {
    MySql(u16),
    Sqlite(u32),
    Postgres(Cow<'e, str>),
}

fn code(error: &dyn DatabaseError) -> Option<Code<'_>> {
    #[cfg(feature = "mysql")]
    if let Some(error) = error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>() {
        return Some(Code::MySql(error.number()));
    }
    let code = error.code()?;
    #[cfg(feature = "sqlite")]
    if error
        .try_downcast_ref::<sqlx::sqlite::SqliteError>()
        .is_some()
    {
        // The lower byte of an extended code is the code.
        return Some(Code::Sqlite(code.parse::<u32>().ok()? & 0xff));
    }
    Some(Code::Postgres(code))
}

pub(super) fn fate(error: &sqlx::Error) -> Fate {
    let error = match error {
        sqlx::Error::Database(error) => &**error,
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::WorkerCrashed => return Fate::Lost,
        _ => return Fate::Kept,
    };
    match code(error) {
        // ER_OPTION_PREVENTS_STATEMENT, ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION, ER_READ_ONLY_MODE,
        // and the error of a Galera node that has lost its cluster.
        Some(Code::MySql(1290 | 1792 | 1836 | 1047)) => Fate::ReadOnly,
        // ER_SERVER_SHUTDOWN, ER_CONNECTION_KILLED.
        Some(Code::MySql(1053 | 1927)) => Fate::Lost,
        // ER_BINLOG_STMT_MODE_AND_ROW_ENGINE.
        Some(Code::MySql(1665)) => Fate::LogsStatements,
        // read_only_sql_transaction.
        Some(Code::Postgres(code)) if code == "25006" => Fate::ReadOnly,
        // serialization_failure.
        Some(Code::Postgres(code)) if code == "40001" => Fate::NotIsolated,
        // Connection exceptions, and the shutdowns.
        Some(Code::Postgres(code)) if code.starts_with("08") || code.starts_with("57P0") => {
            Fate::Lost
        }
        _ => Fate::Kept,
    }
}

/// The error of an answer that did not come in time.
pub(super) fn did_not_answer(limit: Duration) -> BoxError {
    Transient::new(format!("the database did not answer within {limit:?}")).into()
}

/// The error of a server that takes no writes.
pub(crate) fn takes_no_writes() -> BoxError {
    let error = "the server takes no writes, so that it may lag: it is a replica, or is set so";
    Transient::new(error).into()
}

/// Marks the errors after which another attempt may succeed: of the connection or the pool, a deadlock, a
/// lock that was waited for too long, a server that shuts down or is no longer the primary.
pub(super) fn failed(error: sqlx::Error) -> BoxError {
    let transient = match &error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(database) => fate(&error) != Fate::Kept || is_passing(&**database),
        _ => false,
    };
    if transient {
        Transient::new(error).into()
    } else {
        error.into()
    }
}

fn is_passing(error: &dyn DatabaseError) -> bool {
    match code(error) {
        // ER_LOCK_WAIT_TIMEOUT, ER_LOCK_DEADLOCK, ER_CHECKREAD, ER_CON_COUNT_ERROR.
        Some(Code::MySql(number)) => [1205, 1213, 1020, 1040].contains(&number),
        // SQLITE_BUSY and SQLITE_LOCKED.
        Some(Code::Sqlite(code)) => matches!(code, 5 | 6),
        // deadlock_detected, lock_not_available, too_many_connections.
        Some(Code::Postgres(code)) => ["40P01", "55P03", "53300"].contains(&&*code),
        None => false,
    }
}

/// The error of a store whose database still has rows that were ended.
pub(crate) fn rows_are_kept() -> BoxError {
    "the database keeps rows that were ended, and reports no error: a trigger or a policy prevents that \
     they are deleted or marked"
        .into()
}

/// Whether a row with the same key exists.
pub(crate) fn is_taken(error: &BoxError) -> bool {
    error
        .downcast_ref::<sqlx::Error>()
        .and_then(sqlx::Error::as_database_error)
        .is_some_and(DatabaseError::is_unique_violation)
}

/// Whether a parameter is no value of the type that it is converted to. Only Postgres says so.
pub(crate) fn is_data_exception(error: &BoxError) -> bool {
    let error = error
        .downcast_ref::<sqlx::Error>()
        .and_then(sqlx::Error::as_database_error);
    let code = error.and_then(code);
    matches!(code, Some(Code::Postgres(code)) if code.starts_with("22"))
}

/// Whether a table is missing, or this user may not see it.
pub(crate) fn is_missing_table(error: &BoxError) -> bool {
    let Some(error) = error
        .downcast_ref::<sqlx::Error>()
        .and_then(sqlx::Error::as_database_error)
    else {
        return false;
    };
    match code(error) {
        // ER_NO_SUCH_TABLE, ER_BAD_DB_ERROR, ER_TABLEACCESS_DENIED_ERROR, ER_COLUMNACCESS_DENIED_ERROR.
        Some(Code::MySql(number)) => [1146, 1049, 1142, 1143].contains(&number),
        // SQLITE_ERROR, which is the code of many errors.
        Some(Code::Sqlite(code)) => code == 1 && error.message().starts_with("no such table"),
        // undefined_table, invalid_schema_name, insufficient_privilege.
        Some(Code::Postgres(code)) => ["42P01", "3F000", "42501"].contains(&&*code),
        None => false,
    }
}

/// Whether the error may come from another process that creates the same tables at the same time.
pub(crate) fn is_of_a_race(error: &sqlx::Error) -> bool {
    let Some(database) = error.as_database_error() else {
        return false;
    };
    if database.is_unique_violation() || is_passing(database) {
        return true;
    }
    match code(database) {
        // ER_TABLE_EXISTS_ERROR.
        Some(Code::MySql(number)) => number == 1050,
        Some(Code::Sqlite(code)) => code == 1 && database.message().ends_with("already exists"),
        // duplicate_table, duplicate_object, and "tuple concurrently updated".
        Some(Code::Postgres(code)) => ["42P07", "42710", "XX000"].contains(&&*code),
        None => false,
    }
}
