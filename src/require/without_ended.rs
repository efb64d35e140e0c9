//! Without the feature `ended`, a stream goes on when its session ends.

use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Extensions, Response};
use http_body::{Body, Frame};

#[derive(Default)]
pub(super) struct Watching {}

#[allow(clippy::unused_self)]
impl Watching {
    pub(super) fn announce(&self, _: &mut Extensions) {}
}

#[derive(Debug, Default)]
pub(super) struct Watch {}

#[allow(clippy::unused_self)]
impl Watch {
    #[allow(clippy::needless_pass_by_value)]
    pub(super) fn new<B: Body>(_: Watching, _: &Response<B>) -> Self {
        Self {}
    }

    pub(super) fn poll_end(&mut self, _: &mut Context<'_>) -> Poll<Option<Frame<Bytes>>> {
        Poll::Pending
    }

    pub(super) fn has_ended(&self) -> bool {
        false
    }
}
