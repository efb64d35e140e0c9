//! A session, as the indexes share it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::family::{Family, Key};
use super::index::Place;
use crate::store::{Session, SessionId};

pub(super) struct Record {
    pub(super) id: SessionId,
    pub(super) subject: Box<str>,
    /// Sessions are numbered in the order in which they were opened.
    pub(super) serial: u64,
    pub(super) id_hash: u64,
    pub(super) subject_hash: u64,
    pub(super) family: Mutex<Family>,
}

impl Record {
    /// Locks the tokens of the session.
    pub(super) fn lock(&self) -> MutexGuard<'_, Family> {
        // Only the allocator can panic under the lock, and the family is whole even then.
        self.family.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn session(&self, newest: &Key) -> Session {
        Session::new(self.id.clone(), &*self.subject, newest.expires_at())
    }

    /// Where the index of session ids has the session.
    pub(super) fn id_place(&self) -> Place {
        Place {
            hash: self.id_hash,
            serial: self.serial,
        }
    }

    /// Where the index of subjects has the session.
    pub(super) fn subject_place(&self) -> Place {
        Place {
            hash: self.subject_hash,
            serial: self.serial,
        }
    }
}
