//! Without tokio, a revocation stops with its request and has no timeout.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::builder::Limits;

pub(crate) struct Permit;

#[derive(Debug)]
pub(crate) struct InFlight;

#[allow(clippy::unused_self, clippy::unnecessary_wraps)]
impl InFlight {
    pub(crate) fn new(_: Limits) -> Self {
        Self
    }

    pub(crate) fn try_begin(self: &Arc<Self>) -> Option<Permit> {
        Some(Permit)
    }
}

pub(crate) struct Runtime;

#[allow(clippy::unused_self)]
impl Runtime {
    pub(crate) fn new(_: &Arc<InFlight>) -> Self {
        Self
    }

    pub(crate) fn poll_timeout(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    pub(crate) fn spawn<F: Future>(self, _: F, _: impl FnOnce(Option<F::Output>) + Send + 'static) {
    }
}
