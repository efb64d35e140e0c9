//! Reads the body of a logout, within its limits.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use bytes::Buf;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use http_body::Body;
use http_body_util::BodyExt;
use zeroize::Zeroizing;

use super::BodyToken;
use super::fields::{form_tokens, json_tokens};
use crate::csrf::content_type::is_url_encoded;
use crate::in_time::in_time;
use crate::outcome::FailureKind;
use crate::token::Token;

/// The tokens of a body, or why they are not known.
pub(super) type BodyTokens = Result<Vec<Token>, FailureKind>;

impl BodyToken {
    pub(super) fn read<B>(
        self: &Arc<Self>,
        headers: &HeaderMap,
        body: B,
    ) -> impl Future<Output = BodyTokens> + Send + use<B>
    where
        B: Body + Send + 'static,
    {
        let is_form = is_url_encoded(headers);
        let is_encoded = headers.contains_key(CONTENT_ENCODING);
        let token = Arc::clone(self);
        async move {
            let collected = in_time(token.timeout, collect(body, token.max_len)).await;
            let bytes = collected.unwrap_or(Err(FailureKind::BodyIncomplete))?;
            let tokens = if bytes.is_empty() {
                Some(Vec::new())
            } else if is_encoded {
                // The text is compressed.
                None
            } else if is_form {
                form_tokens(&token.field, &bytes)
            } else {
                json_tokens(&token.field, &bytes)
            };
            tokens.ok_or(FailureKind::BodyMalformed)
        }
    }
}

/// A buffer that grows leaves copies, so it begins with room for the default limit.
const ROOM: usize = 16 * 1024;

/// Collects the data of the body. The buffer is zeroed on drop.
async fn collect<B: Body>(body: B, max_len: usize) -> Result<Zeroizing<Vec<u8>>, FailureKind> {
    let mut body = pin!(body);
    let mut bytes = Zeroizing::new(Vec::with_capacity(max_len.min(ROOM)));
    if body.size_hint().lower() > u64::try_from(max_len).unwrap_or(u64::MAX) {
        return Err(FailureKind::BodyTooLong);
    }
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| FailureKind::BodyIncomplete)?;
        let Ok(mut data) = frame.into_data() else {
            continue;
        };
        while data.has_remaining() {
            let chunk = data.chunk();
            if chunk.len() > max_len - bytes.len() {
                return Err(FailureKind::BodyTooLong);
            }
            bytes.extend_from_slice(chunk);
            let len = chunk.len();
            data.advance(len);
        }
    }
    Ok(bytes)
}
