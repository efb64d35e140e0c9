//! The connections of the log, which it shares with nobody.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::{ClusterClient, ClusterConfig};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use redis::sentinel::SentinelClient;
use redis::{Client, Cmd, Pipeline, RedisResult, Value};
use tokio::sync::Mutex;

use crate::error::{extract_error, extract_errors};
use crate::keys::{BUCKETS, Keys};
use crate::server;

/// How long all attempts to connect may take together.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How many slots a cluster has.
const SLOTS: u16 = 16_384;

/// Where connections come from. Each one to a server leads to the server that is the primary then.
#[derive(Clone)]
pub(crate) enum Source {
    Server(Arc<Mutex<Client>>),
    Sentinel(Arc<Mutex<SentinelClient>>),
    Cluster(Arc<Mutex<ClusterClient>>),
}

pub(super) enum Connection {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Source {
    /// Makes a connection. An answer may take as long as the timeout.
    pub(super) async fn connect(&self, response_timeout: Duration) -> RedisResult<Connection> {
        let connected = tokio::time::timeout(TIMEOUT, self.try_connect(response_timeout)).await;
        connected.unwrap_or_else(|_elapsed| {
            let error = std::io::Error::from(std::io::ErrorKind::TimedOut);
            Err(error.into())
        })
    }

    async fn try_connect(&self, response_timeout: Duration) -> RedisResult<Connection> {
        let client = match self {
            Self::Server(client) => client.lock().await.clone(),
            Self::Sentinel(client) => client.lock().await.async_get_client().await?,
            Self::Cluster(client) => {
                let client = client.lock().await.clone();
                let config = ClusterConfig::new().set_response_timeout(response_timeout);
                let connection = client.get_async_connection_with_config(config);
                return connection.await.map(Connection::Cluster);
            }
        };
        let config = server::config().set_response_timeout(Some(response_timeout));
        let connection = client.get_multiplexed_async_connection_with_config(&config);
        connection.await.map(Connection::Server)
    }
}

impl Connection {
    /// Sends a command to the primary that holds a key.
    pub(super) async fn command(&mut self, key: &str, command: Cmd) -> RedisResult<Value> {
        extract_error(match self {
            Self::Server(server) => server.req_packed_command(&command).await,
            Self::Cluster(cluster) => {
                let route = RoutingInfo::SingleNode(primary_of(key));
                cluster.route_command(command, route).await
            }
        })
    }

    /// Sends commands to the primary that holds a key. Each command has one answer.
    pub(super) async fn pipeline(&self, key: &str, commands: Pipeline) -> RedisResult<Vec<Value>> {
        let count = commands.len();
        extract_errors(match self {
            Self::Server(server) => {
                let mut server = server.clone();
                server.req_packed_commands(&commands, 0, count).await
            }
            Self::Cluster(cluster) => {
                let mut cluster = cluster.clone();
                let route = primary_of(key);
                cluster.route_pipeline(commands, 0, count, route).await
            }
        })
    }

    /// The buckets of each primary.
    pub(super) async fn buckets(&mut self, keys: &Keys) -> RedisResult<Vec<Vec<u8>>> {
        let Self::Cluster(cluster) = self else {
            return Ok(vec![(0..BUCKETS).collect()]);
        };
        let mut command = redis::cmd("CLUSTER");
        command.arg("SLOTS");
        let route = RoutingInfo::SingleNode(SingleNodeRoutingInfo::RandomPrimary);
        let ranges = extract_error(cluster.route_command(command, route).await)?;
        Ok(by_primary(redis::from_redis_value(ranges)?, keys))
    }
}

/// The buckets of each primary, from the answer to `CLUSTER SLOTS`: the first and the last slot of each
/// range, and its nodes, of which the first one is the primary.
fn by_primary(ranges: Vec<Vec<Value>>, keys: &Keys) -> Vec<Vec<u8>> {
    let routes: Vec<_> = (0..BUCKETS)
        .map(|bucket| Route::with_key(keys.log(bucket), SlotAddr::Master))
        .collect();
    let mut primaries: Vec<(Value, Vec<u8>)> = Vec::new();
    for range in ranges {
        let [Value::Int(first), Value::Int(last), primary, ..] = range.as_slice() else {
            continue;
        };
        let slots = (0..SLOTS).filter(|slot| (*first..=*last).contains(&i64::from(*slot)));
        let range: Vec<_> = slots
            .map(|slot| Route::new(slot, SlotAddr::Master))
            .collect();
        let lies_there = |bucket: &u8| range.contains(&routes[usize::from(*bucket)]);
        let buckets = (0..BUCKETS).filter(lies_there);
        match primaries.iter_mut().find(|(known, _)| known == primary) {
            Some((_, known)) => known.extend(buckets),
            None => primaries.push((primary.clone(), buckets.collect())),
        }
    }
    primaries.into_iter().map(|(_, buckets)| buckets).collect()
}

fn primary_of(key: &str) -> SingleNodeRoutingInfo {
    SingleNodeRoutingInfo::SpecificNode(Route::with_key(key, SlotAddr::Master))
}
