//! The response future: it asks the store, and then is the future of the inner service or an answer.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Extensions, Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower::Service;

use super::body::ResponseBody;
use super::check::Refused;
use super::stream::{Watch, Watching};

pin_project! {
    /// Response future of [`RequireSession`](super::RequireSession).
    pub struct ResponseFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S::Future, Asking<S, B>>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, A> {
        // Boxed, so that the future of a request that passes stays small.
        Asking { asking: Option<Box<A>> },
        Calling { #[pin] future: F, watching: Watching },
        Refused { response: Option<Refused> },
    }
}

type Checked = Pin<Box<dyn Future<Output = Result<Extensions, Refused>> + Send>>;

/// A request that waits for the store.
struct Asking<S, B> {
    /// Has the extensions of the request meanwhile.
    checked: Checked,
    watching: Watching,
    inner: S,
    request: Request<B>,
}

impl<S, B> ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    pub(super) fn calling(future: S::Future, watching: Watching) -> Self {
        Self {
            state: State::Calling { future, watching },
        }
    }

    pub(super) fn refused(response: Refused) -> Self {
        Self {
            state: State::Refused {
                response: Some(response),
            },
        }
    }

    pub(super) fn asking(
        checked: Checked,
        watching: Watching,
        inner: S,
        request: Request<B>,
    ) -> Self {
        let asking = Asking {
            checked,
            watching,
            inner,
            request,
        };
        Self {
            state: State::Asking {
                asking: Some(Box::new(asking)),
            },
        }
    }
}

impl<S, B> fmt::Debug for ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

impl<S, B, ResBody> Future for ResponseFuture<S, B>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    ResBody: Body,
{
    type Output = Result<Response<ResponseBody<ResBody>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProj::Calling { future, watching } => {
                    let response = ready!(future.poll(cx))?;
                    let watch = Watch::new(std::mem::take(watching), &response);
                    let pass = |body| ResponseBody::passed(body, watch);
                    return Poll::Ready(Ok(response.map(pass)));
                }
                StateProj::Refused { response } => {
                    let Some(response) = response.take() else {
                        return Poll::Pending;
                    };
                    return Poll::Ready(Ok(response.map(ResponseBody::refused)));
                }
                StateProj::Asking { asking } => {
                    let Some(waiting) = asking else {
                        return Poll::Pending;
                    };
                    let checked = ready!(waiting.checked.as_mut().poll(cx));
                    let Some(waiting) = asking.take() else {
                        return Poll::Pending;
                    };
                    let Asking {
                        watching,
                        mut inner,
                        mut request,
                        ..
                    } = *waiting;
                    match checked {
                        Ok(extensions) => {
                            *request.extensions_mut() = extensions;
                            watching.announce(request.extensions_mut());
                            State::Calling {
                                future: inner.call(request),
                                watching,
                            }
                        }
                        Err(response) => State::Refused {
                            response: Some(response),
                        },
                    }
                }
            };
            state.set(next);
        }
    }
}
