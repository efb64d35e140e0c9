//! A session store in memory that stops where a test wants it to.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Semaphore;
use tower_logout::async_trait;

use super::super::tower_sessions::session::{Id, Record};
use super::super::tower_sessions::session_store::{ExpiredDeletion, Result};
use super::super::tower_sessions::{MemoryStore, SessionStore};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Point {
    BeforeCreate,
    AfterCreate,
    BeforeSave,
    AfterSave,
    BeforeDelete,
}

type Pauses = Vec<(Point, Arc<Pause>)>;

/// Saves by upsert, as most stores do.
#[derive(Clone, Debug, Default)]
pub struct TestStore {
    sessions: MemoryStore,
    created: Arc<Mutex<Vec<Id>>>,
    pauses: Arc<Mutex<Pauses>>,
}

#[derive(Debug)]
pub struct Pause {
    reached: Semaphore,
    resumed: Semaphore,
}

impl Pause {
    pub async fn reached(&self) {
        let reached = tokio::time::timeout(Duration::from_secs(10), self.reached.acquire()).await;
        reached
            .expect("the point is reached within 10 seconds")
            .unwrap()
            .forget();
    }

    pub fn resume(&self) {
        self.resumed.add_permits(1);
    }
}

impl TestStore {
    /// Stops the next call at this point.
    pub fn pause(&self, point: Point) -> Arc<Pause> {
        let pause = Arc::new(Pause {
            reached: Semaphore::new(0),
            resumed: Semaphore::new(0),
        });
        self.pauses
            .lock()
            .unwrap()
            .push((point, Arc::clone(&pause)));
        pause
    }

    /// The ids of all records, tombstones too.
    pub fn created(&self) -> Vec<Id> {
        self.created.lock().unwrap().clone()
    }

    async fn at(&self, point: Point) {
        let pause = {
            let mut pauses = self.pauses.lock().unwrap();
            let next = pauses.iter().position(|(at, _)| *at == point);
            next.map(|index| pauses.remove(index).1)
        };
        if let Some(pause) = pause {
            pause.reached.add_permits(1);
            pause.resumed.acquire().await.unwrap().forget();
        }
    }
}

#[async_trait]
impl SessionStore for TestStore {
    async fn create(&self, record: &mut Record) -> Result<()> {
        self.at(Point::BeforeCreate).await;
        self.sessions.create(record).await?;
        self.created.lock().unwrap().push(record.id);
        self.at(Point::AfterCreate).await;
        Ok(())
    }

    async fn save(&self, record: &Record) -> Result<()> {
        self.at(Point::BeforeSave).await;
        self.sessions.save(record).await?;
        self.at(Point::AfterSave).await;
        Ok(())
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        // So that tasks take turns as often as over a network.
        tokio::task::yield_now().await;
        self.sessions.load(id).await
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        self.at(Point::BeforeDelete).await;
        self.sessions.delete(id).await
    }
}

#[async_trait]
impl ExpiredDeletion for TestStore {
    async fn delete_expired(&self) -> Result<()> {
        self.created.lock().unwrap().clear();
        Ok(())
    }
}
