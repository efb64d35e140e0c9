//! Checks and refreshes that race with logouts.

use http::StatusCode;
use tower::Layer;
use tower_logout::ended::{EndedLog, EndedSessions};
use tower_logout::require::RequireSessionLayer;
use tower_logout::store::SessionStore;
use tower_logout::{LogoutLayer, Token};

use super::{Claims, inner, logout_with, open_session, request_of, send};

const CLIENTS: usize = 64;
const LOGOUTS: usize = 160;
const CHECKS: usize = 10;

/// Checks sessions on the node that answers their logouts, while their clients refresh. Of the 102,400 checks after the
/// answers none may pass, whether the refresh came before the logout or not.
pub async fn check_and_log_out(store: impl SessionStore + Clone, log: impl EndedLog) {
    let (ended, following) = EndedSessions::builder().follow(log);
    tokio::spawn(following);
    ended.ready().await;
    let logout = LogoutLayer::builder(store.clone()).ended(&ended);
    let require = RequireSessionLayer::new(&ended, |claims: &Claims| &claims.sid);
    let app = logout.build().unwrap().layer(require.layer(inner()));
    let clients = (0..CLIENTS).map(|_| {
        let (store, app) = (store.clone(), app.clone());
        tokio::spawn(async move {
            for _ in 0..LOGOUTS {
                let (token, id) = open_session(&store).await;
                let racing = {
                    let (app, id) = (app.clone(), id.clone());
                    // Both answers are right.
                    tokio::spawn(async move {
                        for _ in 0..CHECKS {
                            send(app.clone(), request_of(Some(id.as_str()))).await;
                        }
                    })
                };
                let refreshing = {
                    let (store, token) = (store.clone(), token.clone());
                    let next = Token::generate().unwrap();
                    tokio::spawn(async move { store.rotate(&token, &next).await })
                };
                send(app.clone(), logout_with(&token))
                    .await
                    .assert_is_logged_out();
                for _ in 0..CHECKS {
                    let answer = send(app.clone(), request_of(Some(id.as_str()))).await;
                    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
                }
                racing.await.unwrap();
                refreshing.await.unwrap().unwrap();
                assert_eq!(store.find_session(&id).await.unwrap(), None);
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
}
