//! The answer to a gRPC call.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Response};

use super::ReplyBody;
use crate::outcome::{Outcome, Rejection};

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// Not compressed, and of no length: the empty message of every message type.
const EMPTY_MESSAGE: &str = "\0\0\0\0\0";

/// An empty message and `OK` in the trailers, or an error in the headers alone ("Trailers-Only" in
/// gRPC's protocol over HTTP/2). The HTTP status is always `200`.
pub(super) fn reply(outcome: &Outcome) -> Response<ReplyBody> {
    let status = match outcome {
        Outcome::Revoked { .. } | Outcome::Inactive { .. } | Outcome::NoToken => "0",
        Outcome::Rejected {
            rejection: Rejection::NoSubject,
            ..
        } => "16", // UNAUTHENTICATED
        Outcome::Rejected { .. } => "7", // PERMISSION_DENIED
        Outcome::Failed(_) => "13",      // INTERNAL
    };
    let status = HeaderValue::from_static(status);
    let mut response = Response::new(ReplyBody::default());
    if outcome.is_logged_out() {
        let trailers = HeaderMap::from_iter([(STATUS, status)]);
        *response.body_mut() = ReplyBody::from(EMPTY_MESSAGE).with_trailers(trailers);
    } else {
        response.headers_mut().insert(STATUS, status);
        // ASCII without `%`, which needs no encoding.
        if let Ok(message) = HeaderValue::try_from(super::error_text(outcome)) {
            response.headers_mut().insert(MESSAGE, message);
        }
    }
    let grpc = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(CONTENT_TYPE, grpc);
    response
}
