//! The clocks of the databases.

/// Milliseconds since 1970 in SQLite.
macro_rules! sqlite_now {
    () => {
        "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
    };
}

/// Milliseconds since 1970 in Postgres.
macro_rules! postgres_now {
    () => {
        "(extract(epoch FROM clock_timestamp()) * 1000)::BIGINT"
    };
}

/// Milliseconds since 1970 in MySQL. `UNIX_TIMESTAMP(NOW())` is an hour off when summer time ends.
macro_rules! mysql_now {
    () => {
        "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000"
    };
}

pub(crate) use {mysql_now, postgres_now, sqlite_now};
