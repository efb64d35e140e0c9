//! The answer to a gRPC call.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Response};

use super::ReplyBody;
use crate::outcome::{Outcome, Rejection};

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// The flag "not compressed" and a length of zero: an empty message of any message type.
const EMPTY_MESSAGE: &str = "\0\0\0\0\0";

/// Answers with an empty message and `OK` in the trailers, or with an error in the headers alone
/// ("Trailers-Only" in gRPC over HTTP/2). The HTTP status is always `200`.
pub(super) fn reply(outcome: &Outcome) -> Response<ReplyBody> {
    let status = match outcome {
        Outcome::Revoked { .. } | Outcome::Inactive { .. } | Outcome::NoToken => "0",
        Outcome::Rejected {
            rejection: Rejection::NoSubject | Rejection::NoToken,
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
        // The texts are ASCII without `%`, so they need no percent-encoding.
        if let Ok(message) = HeaderValue::try_from(super::error_text(outcome)) {
            response.headers_mut().insert(MESSAGE, message);
        }
    }
    let grpc = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(CONTENT_TYPE, grpc);
    response
}
