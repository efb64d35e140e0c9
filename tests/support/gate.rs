//! A store that waits at a gate, so that a test can look at a running revocation.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tower_logout::{BoxError, MemoryStore, Revocation, Token, TokenStore, async_trait};

/// A store that calls its inner store after the gate was opened.
#[derive(Clone)]
pub struct GatedStore {
    store: MemoryStore,
    begun: Arc<Semaphore>,
    gate: Arc<Semaphore>,
    done: Arc<Semaphore>,
}

impl GatedStore {
    pub fn new(store: MemoryStore) -> Self {
        let closed = || Arc::new(Semaphore::new(0));
        Self {
            store,
            begun: closed(),
            gate: closed(),
            done: closed(),
        }
    }

    /// Waits until a revocation has begun.
    pub async fn begun(&self) {
        soon(&self.begun).await;
    }

    /// Lets one revocation through.
    pub fn open(&self) {
        self.gate.add_permits(1);
    }

    /// Waits until a revocation has ended.
    pub async fn done(&self) {
        soon(&self.done).await;
    }
}

/// Waits for an event that happens soon or never.
async fn soon(semaphore: &Semaphore) {
    let acquired = tokio::time::timeout(Duration::from_secs(10), semaphore.acquire()).await;
    acquired
        .expect("the event happens within 10 seconds")
        .unwrap()
        .forget();
}

#[async_trait]
impl TokenStore for GatedStore {
    async fn revoke(&self, token: &Token) -> Result<Revocation, BoxError> {
        self.begun.add_permits(1);
        self.gate.acquire().await?.forget();
        let revocation = self.store.revoke(token).await;
        self.done.add_permits(1);
        revocation
    }
}
