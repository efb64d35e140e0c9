//! A connection to a cluster that is made anew when it has stopped answering.

use std::sync::{Arc, PoisonError, RwLock};

use redis::RedisResult;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use tokio::sync::Mutex;

/// The redis crate's connection repairs itself, but after several faults at once it may wait for
/// itself for ever, and then each command runs into its time-out.
#[derive(Clone)]
pub(super) struct Cluster {
    current: Arc<RwLock<ClusterConnection>>,
    /// Who makes a connection, and from what. The application's own cannot be made anew.
    client: Option<Arc<Mutex<ClusterClient>>>,
}

impl Cluster {
    pub(super) async fn connect(client: ClusterClient) -> RedisResult<Self> {
        Ok(Self {
            current: Arc::new(RwLock::new(client.get_async_connection().await?)),
            client: Some(Arc::new(Mutex::new(client))),
        })
    }

    pub(super) fn of(connection: ClusterConnection) -> Self {
        Self {
            current: Arc::new(RwLock::new(connection)),
            client: None,
        }
    }

    pub(super) fn current(&self) -> ClusterConnection {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.clone()
    }

    /// Has the connection made anew behind an answer that did not come, once at a time.
    pub(super) fn check<T>(&self, answer: RedisResult<T>) -> RedisResult<T> {
        if let Err(error) = &answer
            && error.is_timeout()
            && let Some(client) = &self.client
            && let Ok(client) = Arc::clone(client).try_lock_owned()
        {
            let current = Arc::clone(&self.current);
            tokio::spawn(async move {
                if let Ok(connection) = client.get_async_connection().await {
                    *current.write().unwrap_or_else(PoisonError::into_inner) = connection;
                }
            });
        }
        answer
    }
}
