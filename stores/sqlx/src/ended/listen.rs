//! Listens for news of the log.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tower_logout::BoxError;

use super::OnError;
use super::bell::Bell;
use crate::pool::{Fetch, SqlPool};

/// How often SQLite is asked.
const TICK: Duration = Duration::from_millis(5);

/// The time before another attempt to connect.
const PAUSE: Duration = Duration::from_secs(1);

/// How long a notification of Postgres may take to show that notifications arrive, and when that is tried again.
#[cfg(feature = "postgres")]
const HEARING: Duration = Duration::from_secs(3);
#[cfg(feature = "postgres")]
const DEAF: Duration = Duration::from_secs(90);

#[cfg(feature = "postgres")]
const NOTHING_ARRIVES: &str = "no notification of Postgres arrives, perhaps because of a pooler: connect to the server itself. Until then, a \
     node learns of the end of a session by its next read";

/// Why nothing is heard.
enum Silence {
    /// The connection is there, and a notification that was sent for a trial did not arrive.
    #[cfg(feature = "postgres")]
    Deaf,
    Error(BoxError),
}

/// Listens until it is dropped.
pub(super) struct Listening(JoinHandle<()>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Listening {
    pub(super) fn start(
        pool: SqlPool,
        bell: Arc<Bell>,
        rung: watch::Sender<()>,
        on_error: OnError,
    ) -> Self {
        Self(tokio::spawn(async move {
            let mut is_told = false;
            loop {
                let (error, pause) = match listen(&pool, &bell, &rung, &mut is_told).await {
                    #[cfg(feature = "postgres")]
                    Silence::Deaf => (NOTHING_ARRIVES.into(), DEAF),
                    Silence::Error(error) => (error, PAUSE),
                };
                if !is_told {
                    on_error(error);
                }
                is_told = true;
                // What was missed is to be read.
                rung.send_replace(());
                tokio::time::sleep(pause).await;
            }
        }))
    }
}

/// Returns once nothing is heard any more. Whoever is told of that once is told again after something was heard.
async fn listen(
    pool: &SqlPool,
    bell: &Bell,
    rung: &watch::Sender<()>,
    is_told: &mut bool,
) -> Silence {
    #[cfg(feature = "postgres")]
    if let Some(postgres) = pool.postgres() {
        return hear(pool, postgres, bell, rung, is_told)
            .await
            .unwrap_or_else(|error| Silence::Error(error.into()));
    }
    let _ = bell;
    Silence::Error(watch_version(pool, rung, is_told).await)
}

/// Looks whether another connection has committed to a SQLite database.
async fn watch_version(pool: &SqlPool, rung: &watch::Sender<()>, is_told: &mut bool) -> BoxError {
    let mut connection = match pool.connect().await {
        Ok(connection) => connection,
        Err(error) => return error,
    };
    let sql = "PRAGMA data_version".into();
    let mut last = Vec::new();
    loop {
        match connection.fetch(&sql, &[], |row| row.int(0)).await {
            Ok(version) if version == last => {}
            Ok(version) => {
                *is_told = false;
                last = version;
                rung.send_replace(());
            }
            Err(error) => return error,
        }
        tokio::time::sleep(TICK).await;
    }
}

/// Listens to Postgres on a connection of its own.
#[cfg(feature = "postgres")]
async fn hear(
    pool: &SqlPool,
    postgres: &sqlx::PgPool,
    bell: &Bell,
    rung: &watch::Sender<()>,
    is_told: &mut bool,
) -> Result<Silence, sqlx::Error> {
    use sqlx::postgres::{PgListener, PgPoolOptions};
    use tokio::time::timeout;

    // Of its own, so that the listener takes no connection of the application.
    let own = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(pool.statement_timeout())
        .connect_lazy_with(postgres.connect_options().as_ref().clone());
    let connected = async {
        let mut listener = PgListener::connect_with(&own).await?;
        listener.listen(bell.channel()).await?;
        Ok::<_, sqlx::Error>(listener)
    };
    let Ok(listener) = timeout(pool.statement_timeout(), connected).await else {
        return Err(sqlx::Error::PoolTimedOut);
    };
    let mut listener = listener?;
    bell.ring(pool);
    let Ok(heard) = timeout(HEARING, listener.try_recv()).await else {
        return Ok(Silence::Deaf);
    };
    heard?;
    *is_told = false;
    loop {
        rung.send_replace(());
        // `None` is a connection that was lost and opened again: something may have been missed.
        listener.try_recv().await?;
        while listener.next_buffered().is_some() {}
    }
}
