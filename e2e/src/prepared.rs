//! The statements that a connection has prepared, as its server has them.

/// Statements in Postgres.
pub mod postgres {
    use sqlx::postgres::{PgPool, PgRow};
    use sqlx::{AssertSqlSafe, Row};

    /// The statements of the pool's one connection that meet a condition on `statement` and
    /// `parameter_types`: the name, the text, and the number of parameters.
    pub async fn prepared(pool: &PgPool, condition: &str) -> Vec<(String, String, usize)> {
        let sql = format!(
            "SELECT name, statement, cardinality(parameter_types) FROM pg_prepared_statements \
             WHERE {condition}"
        );
        let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(pool).await;
        let parameters = |row: &PgRow| usize::try_from(row.get::<i32, _>(2));
        let rows = rows.unwrap();
        rows.iter()
            .map(|row| (row.get(0), row.get(1), parameters(row).unwrap()))
            .collect()
    }

    /// The plan of a prepared statement.
    pub async fn plan(pool: &PgPool, name: &str, parameters: usize) -> String {
        let values = vec!["NULL"; parameters].join(", ");
        let explain = format!("EXPLAIN EXECUTE \"{name}\" ({values})");
        let rows = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(pool).await;
        let lines: Vec<String> = rows.unwrap().iter().map(|row| row.get(0)).collect();
        lines.join("\n")
    }
}

/// Statements in MariaDB.
pub mod mariadb {
    use sqlx::mysql::MySqlPool;
    use sqlx::{AssertSqlSafe, Row};

    /// The statements of the pool's one connection that were prepared since the server has logged
    /// them, and that meet a condition on `argument`.
    pub async fn prepared(pool: &MySqlPool, condition: &str) -> Vec<String> {
        let off = sqlx::raw_sql("SET GLOBAL general_log = OFF");
        off.execute(pool).await.unwrap();
        let sql = format!(
            "SELECT DISTINCT CONVERT(argument USING utf8mb4) FROM mysql.general_log \
             WHERE command_type = 'Prepare' AND thread_id = CONNECTION_ID() AND {condition}"
        );
        let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(pool).await;
        rows.unwrap().iter().map(|row| row.get(0)).collect()
    }
}
