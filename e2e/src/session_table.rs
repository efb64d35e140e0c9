//! Sessions of tower-sessions in a table, saved by upsert like the ones of tower-sessions-sqlx-store.
//!
//! tower-sessions-sqlx-store itself needs sqlx 0.8, which would hold the whole workspace at its old SQLite.

use axum_login::tower_sessions::SessionStore;
use axum_login::tower_sessions::session::{Id, Record};
use axum_login::tower_sessions::session_store::{Error, Result};
use sqlx::AnyPool;
use sqlx::any::AnyPoolOptions;
use tower_logout::async_trait;

#[derive(Clone, Debug)]
pub struct SessionTable(AnyPool);

impl SessionTable {
    /// Connects to Postgres or SQLite, and creates the table unless it exists.
    pub async fn connect(url: &str) -> Self {
        sqlx::any::install_default_drivers();
        // The connections of SQLite wait for each other in no order, and give up after five seconds.
        let is_sqlite = url.starts_with("sqlite:");
        let pool = AnyPoolOptions::new().max_connections(if is_sqlite { 1 } else { 8 });
        let pool = pool.connect(url).await.unwrap();
        if is_sqlite {
            let log = sqlx::query("PRAGMA journal_mode = WAL");
            log.execute(&pool).await.unwrap();
        }
        let create = "CREATE TABLE IF NOT EXISTS sessions \
                      (id TEXT PRIMARY KEY, data TEXT NOT NULL, expires_at BIGINT NOT NULL)";
        sqlx::query(create).execute(&pool).await.unwrap();
        Self(pool)
    }

    async fn insert(&self, record: &Record, on_conflict: &str) -> Result<u64> {
        let data =
            serde_json::to_string(record).map_err(|error| Error::Encode(error.to_string()))?;
        let insert = format!(
            "INSERT INTO sessions (id, data, expires_at) VALUES ($1, $2, $3) \
             ON CONFLICT (id) DO {on_conflict}"
        );
        let inserted = sqlx::query(sqlx::AssertSqlSafe(insert))
            .bind(record.id.to_string())
            .bind(data)
            .bind(record.expiry_date.unix_timestamp())
            .execute(&self.0)
            .await
            .map_err(failed)?;
        Ok(inserted.rows_affected())
    }
}

fn failed(error: sqlx::Error) -> Error {
    Error::Backend(error.to_string())
}

#[async_trait]
impl SessionStore for SessionTable {
    async fn create(&self, record: &mut Record) -> Result<()> {
        while self.insert(record, "NOTHING").await? == 0 {
            record.id = Id::default();
        }
        Ok(())
    }

    async fn save(&self, record: &Record) -> Result<()> {
        let update = "UPDATE SET data = excluded.data, expires_at = excluded.expires_at";
        self.insert(record, update).await.map(drop)
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        let select = "SELECT data FROM sessions WHERE id = $1 AND expires_at > $2";
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let data: Option<String> = sqlx::query_scalar(select)
            .bind(id.to_string())
            .bind(i64::try_from(now.unwrap().as_secs()).unwrap())
            .fetch_optional(&self.0)
            .await
            .map_err(failed)?;
        data.map(|data| serde_json::from_str(&data))
            .transpose()
            .map_err(|error| Error::Decode(error.to_string()))
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        let delete = sqlx::query("DELETE FROM sessions WHERE id = $1").bind(id.to_string());
        delete.execute(&self.0).await.map(drop).map_err(failed)
    }
}
