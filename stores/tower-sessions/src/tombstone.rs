//! The records that outlive a session.

use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::super::tower_sessions_core::session::{Id, Record};

/// The key under which a record holds its login.
const LOGIN: &str = "tower-logout.login";

/// The key by which a tombstone is told from a session.
const TOMBSTONE: &str = "tower-logout.tombstone";

/// The end of a session, as a record of its own in the same store.
#[derive(Clone, Copy)]
pub(super) enum Tombstone {
    /// The login has ended, with each id that its session ever had.
    Ended(Id),
    /// The id was deleted. The login may live on under another id, after `Session::cycle_id`.
    Deleted(Id),
}

impl Tombstone {
    /// The id of the record, which everybody can compute from the id of the session.
    pub(super) fn id(self) -> Id {
        let (kind, id) = match self {
            Self::Ended(login) => ("tower-logout ended", login),
            Self::Deleted(id) => ("tower-logout deleted", id),
        };
        let digest = Sha256::new_with_prefix(kind)
            .chain_update(id.0.to_le_bytes())
            .finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        Id(i128::from_le_bytes(bytes))
    }

    pub(super) fn record(self, login: Id, expiry_date: OffsetDateTime) -> Record {
        let mut record = Record {
            id: self.id(),
            data: [(TOMBSTONE.to_owned(), true.into())].into(),
            expiry_date,
        };
        set_login(&mut record, login);
        record
    }
}

pub(super) fn is_tombstone(record: &Record) -> bool {
    record.data.contains_key(TOMBSTONE)
}

/// The login of a session: the first id that the session had. `Session::cycle_id` changes the id and
/// keeps the data, so the login survives there.
pub(super) fn login_of(record: &Record) -> Option<Id> {
    record.data.get(LOGIN)?.as_str()?.parse().ok()
}

pub(super) fn set_login(record: &mut Record, login: Id) {
    record
        .data
        .insert(LOGIN.to_owned(), login.to_string().into());
}
