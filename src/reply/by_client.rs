//! An answer in the language of the client.

use http::Response;
use http::request::Parts;

use super::{Redirect, Reply, ReplyBody, grpc};
use crate::Outcome;
use crate::media_type::{accepts_html, is_form, is_grpc};

/// gRPC calls and HTML forms are answered as such, where that is asked for.
pub(crate) struct ByClient {
    pub(crate) grpc: bool,
    pub(crate) forms: Option<Redirect>,
    pub(crate) otherwise: Box<dyn Reply>,
}

impl Reply for ByClient {
    fn reply(&self, outcome: &Outcome, request: &Parts) -> Response<ReplyBody> {
        if self.grpc && is_grpc(&request.headers) {
            return grpc::reply(outcome);
        }
        match &self.forms {
            Some(redirect) if is_form(&request.headers) && accepts_html(&request.headers) => {
                redirect.reply(outcome, request)
            }
            _ => self.otherwise.reply(outcome, request),
        }
    }
}
