//! Connections to a cluster.

use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{Route, SingleNodeRoutingInfo, SlotAddr};
use redis::{Cmd, Pipeline, RedisError, RedisResult, Value};

use super::error::extract_errors;
use super::reconnect::{Connect, RESPONSE_TIMEOUT, Reconnecting};

/// How many commands are under way at once.
const CONCURRENCY: usize = 64;

pub(super) fn client<U: Into<String>>(
    urls: impl IntoIterator<Item = U>,
) -> RedisResult<ClusterClient> {
    ClusterClientBuilder::new(urls.into_iter().map(Into::into))
        .connection_timeout(RESPONSE_TIMEOUT)
        .response_timeout(RESPONSE_TIMEOUT)
        .build()
}

/// The redis crate repairs a connection to a cluster by itself. After several faults at once, the
/// repair may wait for itself forever. Each command to some of the nodes then times out, while the
/// other nodes still answer.
impl Connect for ClusterClient {
    type Connection = ClusterConnection;

    const TIMEOUT: Duration = Duration::from_secs(10);
    const KEEPS_BROKEN: bool = true;

    fn connect(&mut self) -> BoxFuture<'_, RedisResult<ClusterConnection>> {
        Box::pin(async { self.get_async_connection().await })
    }

    fn is_broken(error: &RedisError) -> bool {
        error.is_timeout()
    }
}

/// Sends commands as one pipeline to the primary that holds a key.
pub(super) async fn send_to(
    cluster: &Reconnecting<ClusterClient>,
    key: &str,
    commands: Pipeline,
    answers: usize,
) -> RedisResult<Vec<Value>> {
    let route = SingleNodeRoutingInfo::SpecificNode(Route::with_key(key, SlotAddr::Master));
    cluster
        .send(async move |mut connection| {
            let answers = connection.route_pipeline(commands, 0, answers, route);
            extract_errors(answers.await)
        })
        .await
}

/// Sends each command to the node that holds its key, and ignores the answers.
pub(super) async fn send_each(cluster: &Reconnecting<ClusterClient>, commands: Vec<Cmd>) {
    futures::stream::iter(commands)
        .for_each_concurrent(CONCURRENCY, async |command| {
            let _: RedisResult<Value> = cluster.command(command).await;
        })
        .await;
}
