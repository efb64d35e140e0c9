//! What a logout is answered with.

mod json;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use crate::Outcome;

use json::Json;

/// A user's own.
pub(crate) type CustomReply = Box<dyn Fn(&Outcome) -> Response<Bytes> + Send + Sync>;

/// Makes the answer from the outcome alone.
pub(crate) enum Reply {
    Json(Box<Json>),
    Custom(CustomReply),
}

/// The answer to a logout: the reply, and what every answer has.
pub(crate) struct Answer {
    pub(crate) reply: Reply,
    pub(crate) removals: Box<[HeaderValue]>,
    pub(crate) clear_on_failure: bool,
}

impl Answer {
    /// `recycled` is the request's header map: emptied, it has room for the answer's headers.
    pub(crate) fn to(
        &self,
        outcome: Outcome,
        mut recycled: HeaderMap,
        clears_cookies: bool,
    ) -> Response<Bytes> {
        recycled.clear();
        let mut response = match &self.reply {
            Reply::Json(json) => json.reply(&outcome, recycled),
            Reply::Custom(reply) => {
                let mut response = reply(&outcome);
                let status = response.status();
                // RFC 9110 §8.6.
                if status.is_informational() || status == StatusCode::NO_CONTENT {
                    response.headers_mut().remove(CONTENT_LENGTH);
                } else {
                    let length = response.body().len();
                    response.headers_mut().insert(CONTENT_LENGTH, length.into());
                }
                response
            }
        };
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let clears = clears_cookies
            && match &outcome {
                Outcome::Revoked { .. } | Outcome::AlreadyEnded { .. } | Outcome::NoCredential => {
                    true
                }
                Outcome::Failed(_) => self.clear_on_failure,
                Outcome::Refused(_) => false,
            };
        if clears {
            for removal in &self.removals {
                headers.append(SET_COOKIE, removal.clone());
            }
        }
        response.extensions_mut().insert(outcome);
        response
    }
}
