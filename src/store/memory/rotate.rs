//! The rotation of a token.

use std::time::SystemTime;

use super::MemoryStore;
use super::family::Standing;
use crate::store::{BoxError, Rotation};
use crate::token::Token;

impl MemoryStore {
    /// Rotates a token. `None` if there is no room for the next one.
    pub(super) fn rotate_at(
        &self,
        now: SystemTime,
        presented: &Token,
        next: &Token,
    ) -> Result<Option<Rotation>, BoxError> {
        let state = &*self.state;
        let Some((presented, record)) = state.by_token(presented) else {
            return Ok(Some(Rotation::NotFound));
        };
        let mut family = record.lock();
        if !(presented.is_alive(now) && family.is_alive(now)) {
            return Ok(Some(Rotation::NotFound));
        }
        let standing = family.standing(presented.token(), now, self.policy.reuse_leeway());
        if standing == Standing::Rotated {
            self.end(&record, &mut family, now);
            return Ok(Some(Rotation::Reused(record.id.clone())));
        }
        state.forget(&record, &mut family, now);
        if standing == Standing::Live && family.rotated_next() > self.max_rotations() {
            self.end(&record, &mut family, now);
            return Ok(Some(Rotation::Exhausted(record.id.clone())));
        }
        let next = state.key(next, self.policy.expires_at(now));
        if !state.enter(next.clone(), &record, self.max_tokens)? {
            return Ok(None);
        }
        let session = record.session(&next);
        state.change(&record, &mut family, |family| {
            if standing == Standing::Live {
                family.rotate(presented, next, now);
            } else {
                family.rotate_again(next);
            }
        });
        Ok(Some(Rotation::Rotated(session)))
    }

    fn max_rotations(&self) -> usize {
        usize::try_from(self.policy.max_rotations()).unwrap_or(usize::MAX)
    }
}
