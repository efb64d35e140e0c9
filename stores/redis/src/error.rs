//! What the errors of the redis crate mean.

use redis::{ErrorKind, RedisError, RedisResult, RetryMethod, ServerErrorKind, Value};
use tower_logout::BoxError;
use tower_logout::store::Transient;

/// Turns an error into one of a store, and marks an error that is worth another attempt.
pub(super) fn store_error(error: RedisError) -> BoxError {
    let is_transient = error.is_io_error() || !matches!(error.retry_method(), RetryMethod::NoRetry);
    if is_transient {
        Transient::new(error).into()
    } else {
        error.into()
    }
}

/// Whether the server is a replica. A demoted primary keeps its connections and answers so.
pub(super) fn is_read_only(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
}

/// Whether the server may be starting, or the sentinels may be choosing the next primary.
pub(super) fn is_starting(error: &RedisError) -> bool {
    error.is_timeout()
        || error.is_connection_dropped()
        || matches!(error.retry_method(), RetryMethod::WaitAndRetry)
}

/// The server's error as an `Err`. The redis crate returns one as an `Ok` value too.
pub(super) fn extract_error(answer: RedisResult<Value>) -> RedisResult<Value> {
    answer?.extract_error()
}

/// The first of the server's errors as an `Err`.
pub(super) fn extract_errors(answers: RedisResult<Vec<Value>>) -> RedisResult<Vec<Value>> {
    answers?.into_iter().map(Value::extract_error).collect()
}
