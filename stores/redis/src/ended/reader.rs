//! Reads the streams of all buckets.

use std::time::{Duration, Instant};

use futures::future::try_join_all;
use redis::{FromRedisValue, Pipeline, Value};

use tower_logout::BoxError;
use tower_logout::store::{SessionId, Transient};

use super::entry;
use super::positions::{EntryId, Positions};
use super::source::{Connection, Source};
use crate::error::store_error;
use crate::keys::{BUCKETS, Keys};
use crate::reconnect::RESPONSE_TIMEOUT;

/// How many entries of a bucket one read returns at most. All buckets together have about 10,000.
pub(super) const PER_BUCKET: usize = 160;
/// How often a read looks for the last entries that were read before, also on a server that is known. An
/// operator may have deleted a stream, and ids follow a clock that may have been set back.
const VERIFY_EVERY: Duration = Duration::from_secs(10);

/// A connection, and which buckets each of its servers has.
pub(super) struct Reader {
    connection: Connection,
    primaries: Vec<Vec<u8>>,
    verified: Option<Verified>,
}

/// The streams had these positions on these servers.
struct Verified {
    positions: Positions,
    servers: Vec<Server>,
    at: Instant,
}

/// Changes with each restart, and with each promotion.
#[derive(Clone, PartialEq, Eq)]
struct Server {
    /// Of a cluster, whose connections may lead to another process. A connection to one server ends with its process.
    run: Option<String>,
    replication: String,
}

/// What the servers have.
pub(super) struct Answers {
    /// Whether the entries of each stream begin with the last one that was read before, if the stream still
    /// has that entry.
    pub(super) overlap: bool,
    servers: Vec<Server>,
    pub(super) streams: Vec<Stream>,
}

/// The entries of a bucket.
pub(super) struct Stream {
    pub(super) bucket: u8,
    /// The time of the server, in milliseconds since 1970.
    pub(super) now: u64,
    pub(super) entries: Vec<(EntryId, Option<SessionId>)>,
}

/// An answer to `XREAD`: the entries by key, each with its id and fields.
type Found = Option<Vec<(String, Vec<(String, Vec<Vec<u8>>)>)>>;

impl Reader {
    pub(super) async fn connect(source: &Source, keys: &Keys) -> Result<Self, BoxError> {
        let connection = source.connect(RESPONSE_TIMEOUT).await;
        let mut connection = connection.map_err(store_error)?;
        let mut primaries = connection.buckets(keys).await.map_err(store_error)?;
        primaries.retain(|buckets| !buckets.is_empty());
        if primaries.iter().map(Vec::len).sum::<usize>() != usize::from(BUCKETS) {
            return Err(Transient::new("some slots of the cluster have no primary").into());
        }
        Ok(Self {
            connection,
            primaries,
            verified: None,
        })
    }

    /// Reads each bucket from its position on. A read that overlaps costs more, and proves that the servers
    /// have what was read before.
    pub(super) async fn read(
        &self,
        keys: &Keys,
        positions: &Positions,
    ) -> Result<Answers, BoxError> {
        if let Some(verified) = &self.verified {
            if verified.positions == *positions && verified.at.elapsed() < VERIFY_EVERY {
                let answers = self.read_from(keys, positions, false).await?;
                if answers.servers == verified.servers {
                    return Ok(answers);
                }
            }
        }
        self.read_from(keys, positions, true).await
    }

    /// Remembers where the next read begins.
    pub(super) fn has_read(&mut self, answers: &Answers, positions: Positions) {
        let before = self.verified.take().map(|verified| verified.at);
        let at = before.filter(|_| !answers.overlap);
        self.verified = Some(Verified {
            positions,
            servers: answers.servers.clone(),
            at: at.unwrap_or_else(Instant::now),
        });
    }

    async fn read_from(
        &self,
        keys: &Keys,
        positions: &Positions,
        overlap: bool,
    ) -> Result<Answers, BoxError> {
        let primaries = self.primaries.iter();
        let reads = primaries.map(|buckets| self.read_primary(buckets, keys, positions, overlap));
        let (servers, streams): (_, Vec<_>) = try_join_all(reads).await?.into_iter().unzip();
        Ok(Answers {
            overlap,
            servers,
            streams: streams.into_iter().flatten().collect(),
        })
    }

    async fn read_primary(
        &self,
        buckets: &[u8],
        keys: &Keys,
        positions: &Positions,
        overlap: bool,
    ) -> Result<(Server, Vec<Stream>), BoxError> {
        let after = |bucket| {
            if overlap {
                positions.before_last(bucket)
            } else {
                positions.last(bucket)
            }
        };
        let streams: Vec<_> = buckets
            .iter()
            .map(|bucket| (keys.log(*bucket), after(*bucket)))
            .collect();
        let Some((key, _)) = streams.first() else {
            return Err("a primary without buckets".into());
        };
        let answers = self.connection.pipeline(key, self.commands(key, &streams));
        let mut answers = answers.await.map_err(store_error)?;
        let replication: String = parse(answers.pop())?;
        let process: Option<String> = match self.connection {
            Connection::Server(_) => None,
            Connection::Cluster(_) => Some(parse(answers.pop())?),
        };
        let server = server(&replication, process.as_deref())?;
        let now = time(answers.pop())?;
        // The probe.
        answers.pop();
        let answers = answers.into_iter().map(|answer| parse(Some(answer)));
        let answers: Vec<Found> = answers.collect::<Result<_, _>>()?;
        let mut found = answers.into_iter().flatten().flatten().peekable();
        // A stream that has nothing is not in the answer. The others have the order of the command.
        let streams = buckets.iter().zip(&streams).map(|(bucket, (key, _))| {
            let found = found.next_if(|(name, _)| name == key);
            let entries = found.map_or_else(Vec::new, |(_, entries)| entries);
            let entries = entries.into_iter().filter_map(|(id, fields)| {
                let id = id.parse().ok()?;
                Some((id, entry::session(&fields)))
            });
            Stream {
                bucket: *bucket,
                now,
                entries: entries.collect(),
            }
        });
        Ok((server, streams.collect()))
    }

    /// Reads the streams, and proves that the server takes writes.
    fn commands(&self, key: &str, streams: &[(String, String)]) -> Pipeline {
        let together = match self.connection {
            Connection::Server(_) => streams.len(),
            // A command has keys of one slot.
            Connection::Cluster(_) => 1,
        };
        let mut commands = redis::pipe();
        for streams in streams.chunks(together) {
            let command = commands.cmd("XREAD").arg("COUNT").arg(PER_BUCKET);
            command.arg("STREAMS");
            for (key, _) in streams {
                command.arg(key);
            }
            for (_, after) in streams {
                command.arg(after);
            }
        }
        // Deletes nothing, and counts as a write: a replica rejects it, and so does a primary that has lost
        // its replicas if `min-replicas-to-write` is set. The checks come last, so that they hold for the
        // entries before them.
        commands.cmd("XTRIM").arg(key).arg("MINID").arg(0);
        commands.cmd("TIME");
        if let Connection::Cluster(_) = self.connection {
            commands.cmd("INFO").arg("server");
        }
        commands.cmd("INFO").arg("replication");
        commands
    }
}

/// A server, from the answers to `INFO`. A replica may take writes if `replica-read-only` is off, so that
/// the probe alone does not suffice.
fn server(replication: &str, server: Option<&str>) -> Result<Server, BoxError> {
    let field = |info: &str, name: &str| {
        let lines = info.lines().filter_map(|line| line.split_once(':'));
        let mut values = lines.filter(|(field, _)| *field == name);
        values.next().map(|(_, value)| value.to_owned())
    };
    let role = field(replication, "role").unwrap_or_default();
    if role != "master" {
        let error = format!("the log of ended sessions was read from a server of the role {role}");
        return Err(Transient::new(error).into());
    }
    Ok(Server {
        run: server.and_then(|server| field(server, "run_id")),
        replication: field(replication, "master_replid").unwrap_or_default(),
    })
}

fn time(answer: Option<Value>) -> Result<u64, BoxError> {
    let (seconds, micros): (u64, u64) = parse(answer)?;
    Ok(seconds * 1000 + micros / 1000)
}

fn parse<T: FromRedisValue>(answer: Option<Value>) -> Result<T, BoxError> {
    let value = redis::from_redis_value(answer.unwrap_or(Value::Nil));
    value.map_err(|error| store_error(error.into()))
}
