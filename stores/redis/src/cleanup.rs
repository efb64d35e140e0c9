//! Deletes the keys that still name an ended session. They do no harm, and expire by themselves.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use redis::Cmd;

use super::background::Background;
use super::connection::RedisConnection;

/// How many keys one command deletes at most.
const BATCH: usize = 1000;
/// How many keys the queue holds at most while the server does not answer. Keys beyond the limit expire.
const MAX_QUEUED: usize = 100_000;
/// How long to wait for the answers to one batch.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Deletes garbage in the background, in batches. Under load, the cleanup costs little beside the
/// logouts.
#[derive(Clone, Debug)]
pub(super) struct Cleaner {
    connection: RedisConnection,
    queue: Arc<Mutex<Garbage>>,
    background: Background,
}

/// Keys and list entries that name ended sessions.
#[derive(Debug, Default)]
pub(super) struct Garbage {
    /// The keys of pointers.
    pub(super) pointers: Vec<String>,
    /// The keys of lists, each with a session id on the list.
    pub(super) listed: Vec<(String, String)>,
}

impl Garbage {
    fn is_empty(&self) -> bool {
        self.pointers.is_empty() && self.listed.is_empty()
    }

    fn take_batch(&mut self) -> Self {
        Self {
            pointers: take_batch(&mut self.pointers),
            listed: take_batch(&mut self.listed),
        }
    }

    fn into_commands(self) -> Vec<Cmd> {
        let mut commands: Vec<_> = self
            .listed
            .into_iter()
            .map(|(list, id)| Cmd::zrem(list, id))
            .collect();
        if !self.pointers.is_empty() {
            commands.push(Cmd::unlink(self.pointers));
        }
        commands
    }
}

fn take_batch<T>(from: &mut Vec<T>) -> Vec<T> {
    from.split_off(from.len().saturating_sub(BATCH))
}

impl Cleaner {
    pub(super) fn new(connection: RedisConnection) -> Self {
        Self {
            connection,
            queue: Arc::default(),
            background: Background::new(),
        }
    }

    /// Queues garbage, and starts the cleanup unless it is running.
    pub(super) fn clean(&self, garbage: Garbage) {
        self.with_queue(|queue| {
            if queue.listed.len() < MAX_QUEUED && queue.pointers.len() < MAX_QUEUED {
                queue.pointers.extend(garbage.pointers);
                queue.listed.extend(garbage.listed);
            }
        });
        let (worker, queue) = (self.clone(), self.clone());
        self.background.start(
            move || worker.clone().clean_batch().boxed(),
            move || !queue.with_queue(|queue| queue.is_empty()),
        );
    }

    async fn clean_batch(mut self) {
        let commands = self.with_queue(Garbage::take_batch).into_commands();
        let _ = tokio::time::timeout(TIMEOUT, self.connection.send_each(commands)).await;
    }

    fn with_queue<T>(&self, change: impl FnOnce(&mut Garbage) -> T) -> T {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut queue)
    }
}
