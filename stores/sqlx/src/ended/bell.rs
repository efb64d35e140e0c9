//! Tells the readers of the log that there is something to read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::dialect::Dialect;
use crate::names::Names;
use crate::pool::{Fetch, SqlPool};

/// How much time passes between two notifications. A burst of ends needs no more.
const PAUSE: Duration = Duration::from_millis(2);

/// The bell of a store. It is rung after the commit, in the background: a notification within the transaction would
/// hold a lock of the whole server while the commit is written to the disk.
#[derive(Debug)]
pub(crate) struct Bell {
    #[cfg(feature = "postgres")]
    channel: String,
    sql: Arc<str>,
    /// For readers in this process.
    rung: watch::Sender<()>,
    turns: Arc<Turns>,
}

#[derive(Debug, Default)]
struct Turns {
    /// Somebody has asked for a notification since the last one began.
    asked: AtomicBool,
    /// Somebody sends notifications.
    taken: AtomicBool,
}

/// The right to send notifications.
struct Turn(Arc<Turns>);

impl Bell {
    pub(crate) fn new(names: &Names) -> Self {
        // A prefix has nothing to quote.
        let channel = format!("{}ended", names.prefix);
        Self {
            sql: format!("SELECT pg_notify('{channel}', '')").into(),
            #[cfg(feature = "postgres")]
            channel,
            rung: watch::Sender::new(()),
            turns: Arc::default(),
        }
    }

    /// The channel of the notifications of Postgres.
    #[cfg(feature = "postgres")]
    pub(super) fn channel(&self) -> &str {
        &self.channel
    }

    /// What this process does.
    pub(super) fn subscribe(&self) -> watch::Receiver<()> {
        self.rung.subscribe()
    }

    pub(crate) fn ring(&self, pool: &SqlPool) {
        self.rung.send_replace(());
        if pool.dialect() != Dialect::Postgres {
            return;
        }
        self.turns.asked.store(true, Ordering::SeqCst);
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if let Some(turn) = Turn::take(&self.turns) {
            runtime.spawn(notify(pool.clone(), Arc::clone(&self.sql), turn));
        }
    }
}

impl Turn {
    fn take(turns: &Arc<Turns>) -> Option<Self> {
        let was_taken = turns.taken.swap(true, Ordering::SeqCst);
        (!was_taken).then(|| Self(Arc::clone(turns)))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.taken.store(false, Ordering::SeqCst);
    }
}

async fn notify(pool: SqlPool, sql: Arc<str>, turn: Turn) {
    let turns = Arc::clone(&turn.0);
    let mut next = Some(turn);
    while let Some(turn) = next {
        while turns.asked.swap(false, Ordering::SeqCst) {
            // Without the notification, a reader waits for its next read.
            let _ = pool.fetch(&sql, &[], |_| Ok(())).await;
            tokio::time::sleep(PAUSE).await;
        }
        drop(turn);
        // Who asked just before found the turn taken.
        let is_asked = turns.asked.load(Ordering::SeqCst);
        next = is_asked.then(|| Turn::take(&turns)).flatten();
    }
}
