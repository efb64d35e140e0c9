//! What is open of each session: streams of responses and of requests, and each WebSocket.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::refused::Refused;

/// The sessions of which something is open, by the hash of their id.
#[derive(Default)]
pub(super) struct Open(Mutex<HashMap<u64, Signal>>);

/// The signal of a session, and how many handles wait for it.
#[derive(Default)]
struct Signal {
    token: CancellationToken,
    handles: usize,
    /// Whether the session has ended. The token of a live session is cancelled by a stale node.
    has_ended: bool,
}

impl Open {
    pub(super) fn add(self: &Arc<Self>, hash: u64) -> SessionEnded {
        let mut open = self.lock();
        let signal = open.entry(hash).or_default();
        if signal.token.is_cancelled() && !signal.has_ended {
            // Handles of a time when the node was stale are still there. The session goes on.
            signal.token = CancellationToken::new();
        }
        signal.handles += 1;
        let token = signal.token.clone();
        drop(open);
        SessionEnded(Arc::new(Handle {
            open: Arc::clone(self),
            hash,
            token,
        }))
    }

    pub(super) fn end(&self, hash: u64) {
        let token = self.lock().get_mut(&hash).map(|signal| {
            signal.has_ended = true;
            signal.token.clone()
        });
        // Outside of the lock, because the signal wakes tasks.
        if let Some(token) = token {
            token.cancel();
        }
    }

    /// Ends a share of the sessions, from 0 to 1. A larger share has each session of a smaller one.
    pub(super) fn end_share(&self, share: f64) {
        // The hash is evenly spread. A float of 64 bits is as good as the hash here.
        #[allow(clippy::cast_precision_loss)]
        let is_in = |hash: u64| hash as f64 / u64::MAX as f64 <= share;
        let open = self.lock();
        let tokens: Vec<_> = open
            .iter()
            .filter(|(hash, signal)| is_in(**hash) && !signal.token.is_cancelled())
            .map(|(_, signal)| signal.token.clone())
            .collect();
        drop(open);
        for token in tokens {
            token.cancel();
        }
    }

    /// Why the token of a session was cancelled.
    fn reason(&self, hash: u64) -> Refused {
        match self.lock().get(&hash) {
            Some(signal) if signal.has_ended => Refused::Ended,
            _ => Refused::Stale,
        }
    }

    fn remove(&self, hash: u64) {
        let mut open = self.lock();
        if let Some(signal) = open.get_mut(&hash) {
            signal.handles -= 1;
            if signal.handles == 0 {
                open.remove(&hash);
            }
        }
        // Many streams may have ended at once.
        if open.len() < open.capacity() / 8 {
            let half = open.capacity() / 2;
            open.shrink_to(half);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Signal>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells when the session of a request ends. In the extensions of a request with
/// [`RequireSessionLayer::end_streams`](crate::require::RequireSessionLayer::end_streams).
///
/// A WebSocket and a stream of requests have no response body that the layer could end. Select over the signal
/// there:
///
/// ```
/// use axum::Extension;
/// use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
/// use axum::response::Response;
/// use tower_logout::ended::{Refused, SessionEnded};
///
/// async fn chat(upgrade: WebSocketUpgrade, Extension(session): Extension<SessionEnded>) -> Response {
///     upgrade.on_upgrade(|mut socket: WebSocket| async move {
///         loop {
///             tokio::select! {
///                 refused = session.ended() => {
///                     let (code, reason) = match refused {
///                         Refused::Ended => (close_code::POLICY, "The session has ended"),
///                         _ => (close_code::AGAIN, "Connect again"),
///                     };
///                     let close = CloseFrame { code, reason: reason.into() };
///                     let _ = socket.send(Message::Close(Some(close))).await;
///                     return;
///                 }
///                 received = socket.recv() => match received {
///                     Some(Ok(message)) => { /* answer the message */ }
///                     _ => return,
///                 },
///             }
///         }
///     })
/// }
/// ```
#[derive(Clone)]
pub struct SessionEnded(Arc<Handle>);

struct Handle {
    open: Arc<Open>,
    hash: u64,
    token: CancellationToken,
}

impl SessionEnded {
    /// Waits until the session ends, or until this node cannot tell, and returns which of both happened.
    ///
    /// After [`Refused::Stale`], the session may be live, so that the client may connect again.
    pub async fn ended(&self) -> Refused {
        self.0.token.cancelled().await;
        self.reason()
    }

    /// Whether [`ended`](Self::ended) returns at once.
    pub fn is_ended(&self) -> bool {
        self.0.token.is_cancelled()
    }

    pub(crate) fn reason(&self) -> Refused {
        self.0.open.reason(self.0.hash)
    }

    pub(super) fn end(&self) {
        self.0.open.end(self.0.hash);
    }

    /// A future that needs no reference to the signal.
    pub(crate) fn waiting(&self) -> WaitForCancellationFutureOwned {
        self.0.token.clone().cancelled_owned()
    }
}

impl fmt::Debug for SessionEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionEnded")
            .field("is_ended", &self.is_ended())
            .finish_non_exhaustive()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.open.remove(self.hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_of_sessions_whose_handles_are_dropped() {
        let open = Arc::new(Open::default());
        let handles: Vec<_> = (0..10_000).map(|hash| open.add(hash % 5_000)).collect();
        assert_eq!(open.lock().len(), 5_000);
        let (ended, other) = (handles[7].clone(), handles[8].clone());
        open.end(7);
        assert!(ended.is_ended() && !other.is_ended());
        drop(handles);
        assert_eq!(open.lock().len(), 2);
        drop((ended, other));
        assert_eq!(open.lock().len(), 0);
        assert!(open.lock().capacity() < 100);
    }

    #[test]
    fn a_live_session_whose_streams_a_stale_node_ended_opens_others() {
        let open = Arc::new(Open::default());
        let cut = open.add(7);
        open.end_share(1.0);
        assert!(cut.is_ended());
        assert_eq!(cut.reason(), Refused::Stale);

        let opened = open.add(7);
        assert!(!opened.is_ended());
        open.end(7);
        assert!(opened.is_ended() && open.add(7).is_ended());
        assert_eq!(opened.reason(), Refused::Ended);
        drop((cut, opened));
        assert_eq!(open.lock().len(), 0);
    }

    #[test]
    fn a_larger_share_has_each_session_of_a_smaller_one() {
        let open = Arc::new(Open::default());
        let step = u64::MAX / 1000;
        let handles: Vec<_> = (0..1000).map(|number| open.add(number * step)).collect();
        let ended = || handles.iter().filter(|handle| handle.is_ended()).count();
        open.end_share(0.1);
        assert!((90..=110).contains(&ended()), "{}", ended());
        open.end_share(0.5);
        assert!((490..=510).contains(&ended()), "{}", ended());
        open.end_share(1.0);
        assert_eq!(ended(), 1000);
    }
}
