//! A connection to one server, to the primary behind sentinels, or to a cluster.

use redis::aio::{ConnectionLike, ConnectionManager};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::SentinelClient;
use redis::{Client, Cmd, Pipeline, RedisFuture, RedisResult, Value};

use super::cluster;
use super::ended::Source;
use super::error::{extract_error, extract_errors, is_read_only};
use super::reconnect::Reconnecting;

/// A connection to one server, to the primary behind sentinels, or to a cluster. It is made from a
/// client or a connection of the redis crate.
///
/// A client connects at the first command. The store replaces the client's connection when an answer
/// does not arrive, or when the server is no longer a primary. The redis crate alone repairs a
/// connection that you made yourself ([`ConnectionManager`], [`ClusterConnection`]).
#[derive(Clone)]
pub struct RedisConnection(Kind);

#[derive(Clone)]
enum Kind {
    Server(Reconnecting<Client>),
    Sentinel(Reconnecting<SentinelClient>),
    Cluster(Reconnecting<ClusterClient>),
    Managed(ConnectionManager),
}

impl std::fmt::Debug for RedisConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.0 {
            Kind::Server(_) | Kind::Managed(_) => "server",
            Kind::Sentinel(_) => "sentinel",
            Kind::Cluster(_) => "cluster",
        };
        f.debug_tuple("RedisConnection").field(&kind).finish()
    }
}

impl From<Client> for RedisConnection {
    fn from(client: Client) -> Self {
        Self(Kind::Server(Reconnecting::new(client)))
    }
}

impl From<SentinelClient> for RedisConnection {
    /// The client must ask for the master
    /// ([`SentinelServerType::Master`](redis::sentinel::SentinelServerType::Master)).
    fn from(client: SentinelClient) -> Self {
        Self(Kind::Sentinel(Reconnecting::new(client)))
    }
}

impl From<ClusterClient> for RedisConnection {
    fn from(client: ClusterClient) -> Self {
        Self(Kind::Cluster(Reconnecting::new(client)))
    }
}

impl From<ConnectionManager> for RedisConnection {
    fn from(connection: ConnectionManager) -> Self {
        Self(Kind::Managed(connection))
    }
}

impl From<ClusterConnection> for RedisConnection {
    /// The connection must not read from replicas.
    fn from(connection: ClusterConnection) -> Self {
        Self(Kind::Cluster(Reconnecting::with_connection(connection)))
    }
}

impl RedisConnection {
    /// Connects, and reports whether that failed.
    pub(super) async fn connected(self) -> RedisResult<Self> {
        Ok(Self(match self.0 {
            Kind::Server(server) => Kind::Server(server.connect().await?),
            Kind::Sentinel(sentinel) => Kind::Sentinel(sentinel.connect().await?),
            Kind::Cluster(cluster) => Kind::Cluster(cluster.connect().await?),
            managed @ Kind::Managed(_) => managed,
        }))
    }

    /// Where to make more connections to the same servers, or nothing for a connection of the
    /// application.
    pub(super) fn source(&self) -> Option<Source> {
        match &self.0 {
            Kind::Server(server) => server.client().map(Source::Server),
            Kind::Sentinel(sentinel) => sentinel.client().map(Source::Sentinel),
            Kind::Cluster(cluster) => cluster.client().map(Source::Cluster),
            Kind::Managed(_) => None,
        }
    }

    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.0, Kind::Cluster(_))
    }

    /// Sends commands as one pipeline to the primary that holds a key.
    pub(super) async fn send_to(
        &mut self,
        key: &str,
        commands: Pipeline,
        answers: usize,
    ) -> RedisResult<Vec<Value>> {
        match &self.0 {
            Kind::Cluster(cluster) => cluster::send_to(cluster, key, commands, answers).await,
            _ => self.send_pipeline(commands, 0, answers).await,
        }
    }

    /// Sends commands, and ignores their answers. Their keys may lie on several nodes.
    pub(super) async fn send_each(&mut self, commands: Vec<Cmd>) {
        if let Kind::Cluster(cluster) = &self.0 {
            return cluster::send_each(cluster, commands).await;
        }
        let mut pipeline = Pipeline::with_capacity(commands.len());
        for command in commands {
            pipeline.add_command(command).ignore();
        }
        let _: RedisResult<()> = pipeline.query_async(self).await;
    }

    async fn send_command(&mut self, command: Cmd) -> RedisResult<Value> {
        match &mut self.0 {
            Kind::Server(server) => server.command(command).await,
            Kind::Sentinel(sentinel) => sentinel.command(command).await,
            Kind::Cluster(cluster) => cluster.command(command).await,
            Kind::Managed(manager) => {
                let answer = extract_error(manager.req_packed_command(&command).await);
                leave_replica(manager, &answer);
                answer
            }
        }
    }

    async fn send_pipeline(
        &mut self,
        commands: Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisResult<Vec<Value>> {
        match &mut self.0 {
            Kind::Server(server) => server.pipeline(commands, offset, count).await,
            Kind::Sentinel(sentinel) => sentinel.pipeline(commands, offset, count).await,
            Kind::Cluster(cluster) => cluster.pipeline(commands, offset, count).await,
            Kind::Managed(manager) => {
                let answers = manager.req_packed_commands(&commands, offset, count);
                let answers = extract_errors(answers.await);
                leave_replica(manager, &answers);
                answers
            }
        }
    }
}

/// Asks a replica to close the connection. A manager replaces a lost connection, but keeps a
/// connection to a server that is no longer a primary.
fn leave_replica<T>(manager: &ConnectionManager, answer: &RedisResult<T>) {
    if matches!(answer, Err(error) if is_read_only(error)) {
        let mut manager = manager.clone();
        tokio::spawn(async move {
            for command in ["QUIT", "PING"] {
                let _: RedisResult<Value> = redis::cmd(command).query_async(&mut manager).await;
            }
        });
    }
}

impl ConnectionLike for RedisConnection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(self.send_command(command.clone()))
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(self.send_pipeline(pipeline.clone(), offset, count))
    }

    /// Only a manager knows its database, and the store never asks.
    fn get_db(&self) -> i64 {
        match &self.0 {
            Kind::Managed(manager) => manager.get_db(),
            _ => 0,
        }
    }
}
