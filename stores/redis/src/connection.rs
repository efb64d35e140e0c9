//! A connection to one server, to the primary that sentinels name, or to a cluster.

use futures::StreamExt;
use redis::aio::{ConnectionLike, ConnectionManager};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{Route, SingleNodeRoutingInfo, SlotAddr};
use redis::sentinel::SentinelClient;
use redis::{Client, Cmd, Pipeline, RedisFuture, RedisResult, Value};

use super::renewed::{Renewed, Source, is_read_only};

/// How many commands are under way at once in a cluster.
const AT_ONCE: usize = 64;

/// A connection to one server, to the primary that sentinels name, or to a cluster: made from the redis
/// crate's own clients and connections.
///
/// Of a client the connection is made at the first command. It is made once more when an answer does not
/// come, or when the server turns out to be no primary any more. A connection of the application's own
/// is left to the redis crate.
#[derive(Clone)]
pub struct RedisConnection(Connection);

#[derive(Clone)]
enum Connection {
    Server(Renewed<Client>),
    Sentinel(Renewed<SentinelClient>),
    Cluster(Renewed<ClusterClient>),
    Managed(ConnectionManager),
}

impl std::fmt::Debug for RedisConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.0 {
            Connection::Server(_) | Connection::Managed(_) => "server",
            Connection::Sentinel(_) => "sentinel",
            Connection::Cluster(_) => "cluster",
        };
        f.debug_tuple("RedisConnection").field(&kind).finish()
    }
}

impl From<Client> for RedisConnection {
    fn from(client: Client) -> Self {
        Self(Connection::Server(Renewed::by(client)))
    }
}

impl From<SentinelClient> for RedisConnection {
    /// The client has to be one for the master.
    fn from(client: SentinelClient) -> Self {
        Self(Connection::Sentinel(Renewed::by(client)))
    }
}

impl From<ClusterClient> for RedisConnection {
    fn from(client: ClusterClient) -> Self {
        Self(Connection::Cluster(Renewed::by(client)))
    }
}

impl From<ConnectionManager> for RedisConnection {
    fn from(connection: ConnectionManager) -> Self {
        Self(Connection::Managed(connection))
    }
}

impl From<ClusterConnection> for RedisConnection {
    fn from(connection: ClusterConnection) -> Self {
        Self(Connection::Cluster(Renewed::of(connection)))
    }
}

/// Sends a command on one of our connections, whichever it is.
async fn command<S: Source>(renewed: &Renewed<S>, command: Cmd) -> RedisResult<Value> {
    renewed
        .ask(|mut connection| async move { whole(connection.req_packed_command(&command).await) })
        .await
}

/// Sends commands in one piece.
async fn pipeline<S: Source>(
    renewed: &Renewed<S>,
    commands: Pipeline,
    offset: usize,
    count: usize,
) -> RedisResult<Vec<Value>> {
    renewed
        .ask(|mut connection| async move {
            all(connection
                .req_packed_commands(&commands, offset, count)
                .await)
        })
        .await
}

/// An answer may be an error without being an `Err`.
fn whole(answer: RedisResult<Value>) -> RedisResult<Value> {
    answer?.extract_error()
}

fn all(answers: RedisResult<Vec<Value>>) -> RedisResult<Vec<Value>> {
    answers?.into_iter().map(Value::extract_error).collect()
}

impl RedisConnection {
    /// Connects, and says whether that failed.
    pub(super) async fn connected(self) -> RedisResult<Self> {
        Ok(Self(match self.0 {
            Connection::Server(server) => Connection::Server(server.connect().await?),
            Connection::Sentinel(sentinel) => Connection::Sentinel(sentinel.connect().await?),
            Connection::Cluster(cluster) => Connection::Cluster(cluster.connect().await?),
            managed @ Connection::Managed(_) => managed,
        }))
    }

    /// Sends commands to the primary that holds a key, on one connection and in one piece.
    pub(super) async fn send_to(
        &mut self,
        key: &str,
        commands: Pipeline,
        answers: usize,
    ) -> RedisResult<Vec<Value>> {
        let Connection::Cluster(cluster) = &self.0 else {
            return self.send_pipeline(commands, 0, answers).await;
        };
        let route = Route::with_key(key, SlotAddr::Master);
        let route = SingleNodeRoutingInfo::SpecificNode(route);
        cluster
            .ask(async move |mut connection| {
                all(connection.route_pipeline(commands, 0, answers, route).await)
            })
            .await
    }

    /// Sends commands of no consequence, wherever their keys lie.
    pub(super) async fn send_all(&mut self, commands: Vec<Cmd>) {
        if let Connection::Cluster(cluster) = &self.0 {
            // Each finds its own node.
            futures::stream::iter(commands)
                .for_each_concurrent(AT_ONCE, async |sent| {
                    let _: RedisResult<Value> = command(cluster, sent).await;
                })
                .await;
            return;
        }
        let mut pipeline = Pipeline::with_capacity(commands.len());
        for command in commands {
            pipeline.add_command(command).ignore();
        }
        let _: RedisResult<()> = pipeline.query_async(self).await;
    }

    async fn send(&mut self, sent: Cmd) -> RedisResult<Value> {
        match &mut self.0 {
            Connection::Server(server) => command(server, sent).await,
            Connection::Sentinel(sentinel) => command(sentinel, sent).await,
            Connection::Cluster(cluster) => command(cluster, sent).await,
            Connection::Managed(connection) => {
                let answer = whole(connection.req_packed_command(&sent).await);
                leave_replica(connection, &answer);
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
            Connection::Server(server) => pipeline(server, commands, offset, count).await,
            Connection::Sentinel(sentinel) => pipeline(sentinel, commands, offset, count).await,
            Connection::Cluster(cluster) => pipeline(cluster, commands, offset, count).await,
            Connection::Managed(connection) => {
                let answers = connection.req_packed_commands(&commands, offset, count);
                let answers = all(answers.await);
                leave_replica(connection, &answers);
                answers
            }
        }
    }
}

/// A manager makes its connection once more when that was lost, and not when it leads to a server that
/// is the primary no longer: that server is asked to close it.
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
        Box::pin(self.send(command.clone()))
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(self.send_pipeline(pipeline.clone(), offset, count))
    }

    /// Only a manager tells, and nothing of ours asks.
    fn get_db(&self) -> i64 {
        match &self.0 {
            Connection::Managed(connection) => connection.get_db(),
            _ => 0,
        }
    }
}
