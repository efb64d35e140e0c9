//! The complete answer: the reply and the headers of every answer.

use http::header::{CACHE_CONTROL, CONTENT_LENGTH, SET_COOKIE, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Response, StatusCode, Uri};

use super::{Reply, ReplyBody};
use crate::outcome::Outcome;
use crate::store::Scope;

/// The settings for the answers of a layer.
pub(crate) struct Answer {
    pub(crate) reply: Box<dyn Reply>,
    pub(crate) removals: Box<[HeaderValue]>,
    pub(crate) clear_site_data: Option<HeaderValue>,
    pub(crate) clear_on_failure: bool,
}

impl Answer {
    /// Keeps the parts of the request that the reply needs. A URI or a header would keep the buffer of the
    /// whole request in memory, including the tokens, until the store has answered.
    pub(crate) fn needs(&self, mut request: Parts) -> Parts {
        if !self.reply.reads_request() {
            request.uri = Uri::default();
            request.headers.clear();
            request.extensions.clear();
        }
        request
    }

    pub(crate) fn to(&self, outcome: Outcome, request: Parts) -> Response<ReplyBody> {
        let mut response = self.reply.reply(&outcome, request);
        let headers = response.headers_mut();
        headers.remove(CONTENT_LENGTH);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let clears = outcome.scope() != Scope::Others
            && match &outcome {
                Outcome::Failed(_) => self.clear_on_failure,
                outcome => outcome.is_logged_out(),
            };
        if clears {
            for removal in &self.removals {
                headers.append(SET_COOKIE, removal.clone());
            }
            if let Some(value) = &self.clear_site_data {
                headers.insert(HeaderName::from_static("clear-site-data"), value.clone());
            }
        } else if response.status() == StatusCode::UNAUTHORIZED {
            // RFC 9110 §11.6.1. Browsers show no password dialog for this scheme.
            let challenge = response.headers_mut().entry(WWW_AUTHENTICATE);
            challenge.or_insert(HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(outcome);
        response
    }
}
