//! An answer in the format of the client.

use http::Response;
use http::request::Parts;

use super::{Redirect, Reply, ReplyBody, grpc};
use crate::csrf::content_type::{accepts_html, is_form, is_grpc};
use crate::outcome::Outcome;

/// Answers gRPC calls in gRPC, HTML forms with a redirect, and all other requests with `otherwise`.
pub(crate) struct Negotiated {
    pub(crate) grpc: bool,
    pub(crate) forms: Option<Redirect>,
    pub(crate) otherwise: Box<dyn Reply>,
}

impl Reply for Negotiated {
    fn reply(&self, outcome: &Outcome, request: Parts) -> Response<ReplyBody> {
        let headers = &request.headers;
        if self.grpc && is_grpc(headers) {
            return grpc::reply(outcome);
        }
        match &self.forms {
            Some(redirect) if is_form(headers) && accepts_html(headers) => {
                redirect.reply(outcome, request)
            }
            _ => self.otherwise.reply(outcome, request),
        }
    }
}
