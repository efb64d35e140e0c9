//! Takes away what still names a session that has ended: of no use, and gone by itself in time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::Cmd;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use super::connection::RedisConnection;

/// The most pointers that are taken away with one command.
const AT_ONCE: usize = 1000;
/// How much may wait while the server does not answer. The rest is left until it expires.
const MAX_WAITING: usize = 100_000;
/// How long to wait for an answer of no consequence.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sweeps behind the answers, and what came up meanwhile in one piece: under load it is little beside
/// the logouts.
#[derive(Clone, Debug)]
pub(super) struct Sweeper {
    connection: RedisConnection,
    waiting: Arc<Mutex<Litter>>,
    turn: Arc<Turn<()>>,
}

#[derive(Debug, Default)]
pub(super) struct Litter {
    pub(super) pointers: Vec<String>,
    /// Lists, and the ids on them.
    pub(super) listed: Vec<(String, String)>,
}

impl Litter {
    fn is_empty(&self) -> bool {
        self.pointers.is_empty() && self.listed.is_empty()
    }

    /// As much as one command may hold up the server with.
    fn take(&mut self) -> Self {
        Self {
            pointers: take(&mut self.pointers),
            listed: take(&mut self.listed),
        }
    }
}

fn take<T>(from: &mut Vec<T>) -> Vec<T> {
    from.split_off(from.len().saturating_sub(AT_ONCE))
}

impl Sweeper {
    pub(super) fn new(connection: RedisConnection) -> Self {
        Self {
            connection,
            waiting: Arc::default(),
            turn: Arc::default(),
        }
    }

    pub(super) fn sweep(&self, litter: Litter) {
        self.with_waiting(|waiting| {
            if waiting.listed.len() < MAX_WAITING && waiting.pointers.len() < MAX_WAITING {
                waiting.pointers.extend(litter.pointers);
                waiting.listed.extend(litter.listed);
            }
        });
        if let Ok(turn) = Arc::clone(&self.turn).try_lock_owned() {
            tokio::spawn(self.clone().work(turn));
        }
    }

    /// Until nothing waits. Who comes while the turn is taken leaves its litter to who has it, who
    /// looks once more when it has given the turn away.
    async fn work(mut self, mut turn: OwnedMutexGuard<()>) {
        loop {
            let litter = self.with_waiting(Litter::take);
            let mut commands: Vec<_> = litter
                .listed
                .into_iter()
                .map(|(list, id)| Cmd::zrem(list, id))
                .collect();
            if !litter.pointers.is_empty() {
                commands.push(Cmd::unlink(litter.pointers));
            }
            let _ = tokio::time::timeout(PATIENCE, self.connection.send_all(commands)).await;
            drop(turn);
            if self.with_waiting(|waiting| waiting.is_empty()) {
                return;
            }
            turn = match Arc::clone(&self.turn).try_lock_owned() {
                Ok(turn) => turn,
                Err(_taken) => return,
            };
        }
    }

    fn with_waiting<T>(&self, change: impl FnOnce(&mut Litter) -> T) -> T {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut waiting)
    }
}
