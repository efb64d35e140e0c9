//! The setter of the ended sessions.

use super::LogoutLayerBuilder;
use crate::ended::EndedSessions;
use crate::store::TokenStore;

impl<T: TokenStore> LogoutLayerBuilder<T> {
    /// Ends the sessions of a logout on this node before the answer, so that
    /// [`EndedSessions::check`] refuses their access tokens at once. None by default.
    ///
    /// If the store finds no session, the layer first waits for a read of the log
    /// ([`EndedSessions::catch_up`]), because another node may have ended the session.
    ///
    /// The store has to name the sessions that it ends. A
    /// [`Revocation::Revoked`](crate::store::Revocation::Revoked) is a failed logout
    /// ([`FailureKind::SessionNotNamed`](crate::outcome::FailureKind::SessionNotNamed)), because access tokens of
    /// the session would still be accepted.
    ///
    /// ```
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// use tower_logout::ended::EndedSessions;
    /// use tower_logout::{LogoutLayer, MemoryStore};
    ///
    /// let store = MemoryStore::new();
    /// let (ended, following) = EndedSessions::builder().follow(store.ended_log());
    /// let layer = LogoutLayer::builder(store).ended(&ended).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn ended(mut self, ended: &EndedSessions) -> Self {
        self.ended = Some(ended.clone());
        self
    }
}
