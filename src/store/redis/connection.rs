//! A connection to one server or to a cluster.

use futures::StreamExt;
use redis::aio::{ConnectionLike, ConnectionManager};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{Route, SingleNodeRoutingInfo, SlotAddr};
use redis::{Cmd, Pipeline, RedisFuture, RedisResult, Value};

use super::cluster::Cluster;

/// How many commands are under way at once in a cluster.
const AT_ONCE: usize = 64;

/// A connection to one server that reconnects by itself, or to a cluster: made from the redis crate's
/// own.
#[derive(Clone)]
pub struct RedisConnection(Connection);

#[derive(Clone)]
enum Connection {
    Server(ConnectionManager),
    Cluster(Cluster),
}

impl std::fmt::Debug for RedisConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.0 {
            Connection::Server(_) => "server",
            Connection::Cluster(_) => "cluster",
        };
        f.debug_tuple("RedisConnection").field(&kind).finish()
    }
}

impl From<ConnectionManager> for RedisConnection {
    fn from(connection: ConnectionManager) -> Self {
        Self(Connection::Server(connection))
    }
}

impl From<ClusterConnection> for RedisConnection {
    fn from(connection: ClusterConnection) -> Self {
        Self(Connection::Cluster(Cluster::of(connection)))
    }
}

impl From<Cluster> for RedisConnection {
    fn from(cluster: Cluster) -> Self {
        Self(Connection::Cluster(cluster))
    }
}

impl RedisConnection {
    /// Sends commands to the primary that holds a key, on one connection and in one piece.
    pub(super) async fn send_to(
        &mut self,
        key: &str,
        commands: Pipeline,
        answers: usize,
    ) -> RedisResult<Vec<Value>> {
        match &mut self.0 {
            Connection::Server(connection) => {
                connection.req_packed_commands(&commands, 0, answers).await
            }
            Connection::Cluster(cluster) => {
                let route = Route::with_key(key, SlotAddr::Master);
                let route = SingleNodeRoutingInfo::SpecificNode(route);
                cluster
                    .ask(async move |mut connection| {
                        connection.route_pipeline(commands, 0, answers, route).await
                    })
                    .await
            }
        }
    }

    /// Sends commands of no consequence, wherever their keys lie.
    pub(super) async fn send_all(&mut self, commands: Vec<Cmd>) {
        match &mut self.0 {
            Connection::Server(connection) => {
                let mut pipeline = Pipeline::with_capacity(commands.len());
                for command in commands {
                    pipeline.add_command(command).ignore();
                }
                let _: RedisResult<()> = pipeline.query_async(connection).await;
            }
            Connection::Cluster(cluster) => {
                // Each finds its own node.
                let cluster = &*cluster;
                futures::stream::iter(commands)
                    .for_each_concurrent(AT_ONCE, async |command| {
                        let _: RedisResult<Value> = ask_one(cluster, command).await;
                    })
                    .await;
            }
        }
    }
}

async fn ask_one(cluster: &Cluster, command: Cmd) -> RedisResult<Value> {
    cluster
        .ask(async move |mut connection| connection.req_packed_command(&command).await)
        .await
}

impl ConnectionLike for RedisConnection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match &mut self.0 {
            Connection::Server(connection) => connection.req_packed_command(cmd),
            Connection::Cluster(cluster) => Box::pin(ask_one(cluster, cmd.clone())),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match &mut self.0 {
            Connection::Server(connection) => {
                connection.req_packed_commands(pipeline, offset, count)
            }
            Connection::Cluster(cluster) => {
                let pipeline = pipeline.clone();
                Box::pin(cluster.ask(async move |mut connection| {
                    connection
                        .req_packed_commands(&pipeline, offset, count)
                        .await
                }))
            }
        }
    }

    fn get_db(&self) -> i64 {
        match &self.0 {
            Connection::Server(connection) => connection.get_db(),
            // A cluster has one database.
            Connection::Cluster(_) => 0,
        }
    }
}
