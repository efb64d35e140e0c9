//! The contract's answers (§5).

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response};
use serde_json::json;

use crate::{Outcome, Refusal};

/// The bodies, ready to be sent.
pub(crate) struct Json {
    success: Body,
    failure: Body,
    unsupported_media_type: Body,
    forbidden: Body,
}

struct Body {
    bytes: Bytes,
    length: HeaderValue,
}

impl Body {
    fn new(value: &serde_json::Value) -> Self {
        let bytes = Bytes::from(value.to_string());
        let length = bytes.len().into();
        Self { bytes, length }
    }
}

impl Default for Json {
    fn default() -> Self {
        Self {
            success: Body::new(&json!({ "message": "Logged out successfully" })),
            failure: Body::new(&json!({ "error": "Error logging out" })),
            unsupported_media_type: Body::new(&json!({ "error": Refusal::NotJson.to_string() })),
            forbidden: Body::new(&json!({ "error": Refusal::CrossOrigin.to_string() })),
        }
    }
}

impl Json {
    pub(crate) fn reply(&self, outcome: &Outcome, mut headers: HeaderMap) -> Response<Bytes> {
        let body = match outcome {
            Outcome::Revoked { .. } | Outcome::AlreadyEnded { .. } | Outcome::NoCredential => {
                &self.success
            }
            Outcome::Refused(Refusal::NotJson) => &self.unsupported_media_type,
            Outcome::Refused(Refusal::CrossOrigin) => &self.forbidden,
            Outcome::Failed(_) => &self.failure,
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_LENGTH, body.length.clone());
        let mut response = Response::new(body.bytes.clone());
        *response.status_mut() = outcome.status();
        *response.headers_mut() = headers;
        response
    }
}
