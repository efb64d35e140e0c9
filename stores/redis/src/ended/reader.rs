//! Reads the streams of all buckets.

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

/// A connection, and which buckets each of its servers has.
pub(super) struct Reader {
    connection: Connection,
    primaries: Vec<Vec<u8>>,
}

/// What one server has.
pub(super) struct Answer {
    /// The time of the server, in milliseconds since 1970.
    pub(super) now: u64,
    pub(super) streams: Vec<Stream>,
}

/// The entries of a bucket. The first one is the last entry that was read before, if the stream still has
/// that entry.
pub(super) struct Stream {
    pub(super) bucket: u8,
    pub(super) entries: Vec<(EntryId, Option<SessionId>)>,
}

/// An answer to `XREAD`: the entries by key, each with its id and fields.
type Streams = Option<Vec<(String, Vec<(String, Vec<Vec<u8>>)>)>>;

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
        })
    }

    /// Reads each bucket from its position on.
    pub(super) async fn read(
        &self,
        keys: &Keys,
        positions: &Positions,
    ) -> Result<Vec<Answer>, BoxError> {
        let reads = self.primaries.iter().map(async |buckets| {
            let streams: Vec<_> = buckets
                .iter()
                .map(|bucket| (keys.log(*bucket), positions.before_last(*bucket)))
                .collect();
            let Some((key, _)) = streams.first() else {
                return Err("a primary without buckets".into());
            };
            let answers = self.connection.pipeline(key, self.commands(key, &streams));
            let mut answers = answers.await.map_err(store_error)?;
            check_role(answers.pop())?;
            let now = time(answers.pop())?;
            // The probe.
            answers.pop();
            let answers = answers.into_iter().map(|answer| parse(Some(answer)));
            let answers: Vec<Streams> = answers.collect::<Result<_, _>>()?;
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
                    entries: entries.collect(),
                }
            });
            Ok(Answer {
                now,
                streams: streams.collect(),
            })
        });
        try_join_all(reads).await
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
        commands.cmd("ROLE");
        commands
    }
}

/// A replica may take writes if `replica-read-only` is off, so that the probe alone does not suffice.
fn check_role(answer: Option<Value>) -> Result<(), BoxError> {
    let role: Vec<Value> = parse(answer)?;
    let role: String = parse(role.into_iter().next())?;
    if role == "master" {
        return Ok(());
    }
    let error = format!("the log of ended sessions was read from a server of the role {role}");
    Err(Transient::new(error).into())
}

fn time(answer: Option<Value>) -> Result<u64, BoxError> {
    let (seconds, micros): (u64, u64) = parse(answer)?;
    Ok(seconds * 1000 + micros / 1000)
}

fn parse<T: FromRedisValue>(answer: Option<Value>) -> Result<T, BoxError> {
    let value = redis::from_redis_value(answer.unwrap_or(Value::Nil));
    value.map_err(|error| store_error(error.into()))
}
