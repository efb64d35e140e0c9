//! The answer to a request that is refused.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde_json::json;

use crate::reply::ReplyBody;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The session of the request has ended.
    Ended,
    /// The request has no session.
    NoSession,
    /// The store could not look the session up.
    Unavailable,
}

impl Refusal {
    fn text(self) -> &'static str {
        match self {
            Self::Ended => "The session has ended",
            Self::NoSession => "Not logged in",
            Self::Unavailable => "The session cannot be checked: try again",
        }
    }

    pub(super) fn reply(self, is_grpc: bool, removals: &[HeaderValue]) -> Response<ReplyBody> {
        let mut response = if is_grpc { self.grpc() } else { self.http() };
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self == Self::Ended {
            for removal in removals {
                headers.append(SET_COOKIE, removal.clone());
            }
        }
        response
    }

    fn http(self) -> Response<ReplyBody> {
        let body = json!({ "error": self.text() }).to_string();
        let mut response = Response::new(ReplyBody::from(body));
        let (status, name, value) = match self {
            // RFC 6750 §3.1.
            Self::Ended => (
                StatusCode::UNAUTHORIZED,
                WWW_AUTHENTICATE,
                r#"Bearer error="invalid_token", error_description="The session has ended""#,
            ),
            Self::NoSession => (StatusCode::UNAUTHORIZED, WWW_AUTHENTICATE, "Bearer"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, RETRY_AFTER, "1"),
        };
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(name, HeaderValue::from_static(value));
        let json = HeaderValue::from_static("application/json");
        headers.insert(CONTENT_TYPE, json);
        response
    }

    /// The status in the headers alone ("Trailers-Only" in gRPC over HTTP/2).
    fn grpc(self) -> Response<ReplyBody> {
        let mut response = Response::new(ReplyBody::default());
        let headers = response.headers_mut();
        let grpc = HeaderValue::from_static("application/grpc");
        headers.insert(CONTENT_TYPE, grpc);
        self.grpc_status(headers);
        response
    }

    /// Adds the status and the message of a gRPC call, in its headers or in its trailers.
    pub(super) fn grpc_status(self, headers: &mut HeaderMap) {
        let status = match self {
            Self::Ended | Self::NoSession => "16", // UNAUTHENTICATED
            Self::Unavailable => "14",             // UNAVAILABLE
        };
        for (name, value) in [
            ("grpc-status", status),
            // The texts are ASCII without `%`, so they need no percent-encoding.
            ("grpc-message", self.text()),
        ] {
            let name = HeaderName::from_static(name);
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
}
