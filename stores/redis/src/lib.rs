#![cfg_attr(test, allow(clippy::unwrap_used))]

//! Sessions of [`tower-logout`](tower_logout) in Redis or Valkey: on one server, behind sentinels, or in
//! a cluster.
//!
//! ```no_run
//! use tower_logout::store::SessionStore;
//! use tower_logout::{BoxError, LogoutLayer, Token};
//! use tower_logout_redis::RedisStore;
//!
//! # async fn build() -> Result<(), BoxError> {
//! let store = RedisStore::connect("redis://127.0.0.1/").await?;
//!
//! // The layer ends sessions.
//! let layer = LogoutLayer::new(store.clone());
//!
//! // Your login opens one, and sends the token in the refresh cookie.
//! let token = Token::generate()?;
//! let session = store.open("alice", &token).await?;
//! # Ok(())
//! # }
//! ```
//!
//! The server must be Redis 6.2 or later, or Valkey.
//!
//! # What is stored
//!
//! Tokens are stored only as SHA-256 digests. A session is two keys: a hash, and a sorted set of its
//! rotated tokens. A script changes both atomically. Each token also has a key of its own, the pointer
//! to its session. The pointer is written first. A pointer to a session that is gone, or to one that
//! does not have the token, counts as an unknown token.
//!
//! The store remembers a rotated token until the token would have expired. That takes about 370 bytes:
//! a little more than 3 MB for a session of 30 days that rotates every five minutes. The server deletes
//! what has expired, by its own clock.
//!
//! | key, with the prefix `tower-logout` | type | what it holds |
//! |---|---|---|
//! | `tower-logout:token:<digest>` | string | the pointer from a token to its session |
//! | `tower-logout:subject:<subject>` | sorted set | the sessions of a subject |
//! | `{tower-logout:2a}:session:<id>` | hash | a session |
//! | `{tower-logout:2a}:rotated:<id>` | sorted set | the rotated tokens of the session |
//! | `{tower-logout:2a}:ended` | stream | the log of ended sessions, see below |
//! | `tower-logout:bell` | stream | in a cluster, one entry: the log has news |
//!
//! `2a` is the bucket of the session: the first 6 bits of its id, from `00` to `3f`.
//!
//! # The log of ended sessions
//!
//! The script that ends a session adds the session to the log, whatever ends it: a logout, a scope, reuse
//! of a rotated token, or too many rotations. So no session ends without its entry. Each node follows the
//! log ([`RedisStore::ended_log`]), and refuses the access tokens of the session
//! ([`ended`](tower_logout::ended)).
//!
//! An entry takes about 32 bytes, and matters for
//! [`ended_retention`](tower_logout::store::SessionPolicy::ended_retention): 2 minutes longer than an access
//! token lives. The server keeps entries and streams up to a quarter of that time longer. Give all processes
//! the same access lifetime.
//!
//! - A node has two connections for the log: one reads, and one waits for the next entry. An idle node reads
//!   once a second.
//! - The log is read on the primary. A replica is an error, because it may lag. A primary that was replaced
//!   believes in itself until it hears of its successor: set `min-replicas-to-write 1`, and such a primary
//!   rejects the read.
//! - A revocation fails if the server cannot write the entry, for example because its memory is full. The
//!   session is live then.
//! - The log loses what the server loses (below). A node that has read the entry still refuses the session.
//!
//! # Rights
//!
//! A user of the server needs these rights:
//!
//! ```text
//! ACL SETUSER app on >secret resetchannels ~tower-logout:* ~{tower-logout:*
//!     +evalsha +eval +script|load +time +getex +set +unlink
//!     +hmget +hset +hdel +pexpire +pttl +zadd +zcard +zrange +zrem +zremrangebyscore +zscore
//!     +xadd +xread +xtrim +info
//! ```
//!
//! With [`with_replicas`](RedisStore::with_replicas), also `+wait`. With sentinels, also `+role`. In a
//! cluster, also `+cluster|slots`.
//!
//! # What a crash keeps
//!
//! An acknowledged revocation has ended the session in the server's memory. Your settings decide what
//! survives beyond that:
//!
//! - With `appendonly yes` and `appendfsync always`, a revocation survives a crash of the process and of
//!   the machine. With `appendfsync everysec`, the server's default, either crash may lose the last two
//!   seconds.
//! - Set `maxmemory-policy noeviction`. A server that evicts keys may evict a log of ended sessions. It may
//!   also evict a pointer without its session; a logout by that token then finds nothing. With
//!   `allkeys-lru` and a tenth of the memory that the sessions needed, nearly half of the remaining sessions
//!   had lost their pointer.
//! - Replication is asynchronous. If the primary fails before a replica has the revocation, and that
//!   replica becomes the primary, the session is live again. [`RedisStore::with_replicas`] waits for
//!   replicas, and returns an error if too few have the revocation. That narrows the window, but does not
//!   close it: the replica that becomes the primary may be another one.
//!
//! # In a cluster
//!
//! All keys of a bucket lie in one slot, by a hash tag, so that a script can change them together. With 64
//! buckets, the sessions use up to 64 slots, and other ones for each prefix. The pointers of the tokens,
//! and the list of a subject's sessions, may lie on other nodes. The log is read on each primary.
//!
//! Connect by [`RedisStore::connect_cluster`] or by a [`ClusterClient`](redis::cluster::ClusterClient):
//! the store replaces a connection that stops answering. It cannot replace a
//! [`ClusterConnection`](redis::cluster_async::ClusterConnection) that you made yourself. Do not let that
//! connection read from replicas, because a replica that lags does not know the latest logins.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `tls` | no | `rediss://` URLs, by rustls and the system's root certificates |

mod background;
mod cleanup;
mod cluster;
mod commands;
mod connection;
mod detach;
mod ended;
mod error;
mod keys;
mod reconnect;
mod scripts;
mod sentinel;
mod server;
mod store;

pub use self::connection::RedisConnection;
pub use self::ended::RedisEndedLog;
pub use self::store::RedisStore;
