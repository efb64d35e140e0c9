//! A connection to a cluster that is made anew when it has stopped answering.

use std::future::Future;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use redis::RedisResult;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use tokio::sync::Mutex;

/// How long it may take to make a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The redis crate's connection repairs itself, but after several faults at once it may wait for
/// itself for ever, and then each command runs into its time-out.
#[derive(Clone)]
pub(super) struct Cluster {
    current: Arc<RwLock<Numbered>>,
    /// Who makes a connection, and from what. The application's own cannot be made anew.
    client: Option<Arc<Mutex<ClusterClient>>>,
}

#[derive(Clone)]
struct Numbered {
    number: u64,
    connection: ClusterConnection,
}

impl Cluster {
    pub(super) async fn connect(client: ClusterClient) -> RedisResult<Self> {
        let mut cluster = Self::of(client.get_async_connection().await?);
        cluster.client = Some(Arc::new(Mutex::new(client)));
        Ok(cluster)
    }

    pub(super) fn of(connection: ClusterConnection) -> Self {
        let number = 0;
        Self {
            current: Arc::new(RwLock::new(Numbered { number, connection })),
            client: None,
        }
    }

    fn current(&self) -> Numbered {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.clone()
    }

    /// Asks in a task of its own: who gives up before the time-out is not to keep it from being seen.
    pub(super) async fn ask<T, F>(&self, ask: impl FnOnce(ClusterConnection) -> F) -> RedisResult<T>
    where
        T: Send + 'static,
        F: Future<Output = RedisResult<T>> + Send + 'static,
    {
        let asked = self.current();
        let answer = ask(asked.connection);
        let cluster = self.clone();
        let task = tokio::spawn(async move {
            let answer = answer.await;
            if matches!(&answer, Err(error) if error.is_timeout()) {
                tokio::spawn(cluster.replace(asked.number));
            }
            answer
        });
        task.await
            .unwrap_or_else(|error| Err(io::Error::other(error).into()))
    }

    /// Once, however many commands it has failed.
    async fn replace(self, number: u64) {
        let Some(client) = &self.client else {
            return;
        };
        let client = client.lock().await;
        if self.current().number != number {
            return;
        }
        let connection = tokio::time::timeout(CONNECT_TIMEOUT, client.get_async_connection());
        if let Ok(Ok(connection)) = connection.await {
            let number = number + 1;
            *self.current.write().unwrap_or_else(PoisonError::into_inner) =
                Numbered { number, connection };
        }
    }
}
