//! Black-box tests that need no external server: one file per promise, in one binary.

#![allow(missing_docs, unreachable_pub)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod a_request_needs_a_live_session;
#[cfg(feature = "tracing")]
mod axum_placement;
#[cfg(feature = "testing")]
#[path = "support/caught.rs"]
mod caught;
mod cookie_configuration;
mod disconnect_timeout_panic;
#[cfg(feature = "retry")]
mod each_session_is_named_once;
#[cfg(feature = "ended")]
mod ended_sessions_are_followed;
#[cfg(feature = "ended")]
mod ended_sessions_are_refused;
mod every_token_is_read;
mod grpc_clients;
mod grpc_streams;
mod how_far_a_logout_reaches;
mod hung_stores;
mod logout_contract;
#[cfg(feature = "metrics")]
mod logouts_are_counted;
#[cfg(feature = "ended")]
mod open_streams_end_with_their_session;
#[cfg(feature = "tracing")]
mod operator_sees_the_outcome;
mod pass_through;
mod paths_and_methods;
mod redirect_targets;
mod replies;
mod request_forgery;
#[cfg(all(feature = "private", feature = "signed"))]
mod sealed_cookies;
#[cfg(feature = "testing")]
mod the_suite_catches_broken_families;
#[cfg(all(feature = "ended", feature = "testing"))]
mod the_suite_catches_broken_logs;
#[cfg(feature = "testing")]
mod the_suite_catches_broken_stores;
mod through_real_sockets;
#[cfg(feature = "tracing")]
mod tokens_in_headers;
mod tokens_in_the_body;
