//! What a request presents, and where it is read from.

mod cookie;
mod format;
mod kind;
mod source;
mod token;

use http::request::Parts;
use smallvec::SmallVec;

pub(crate) use cookie::CookieReader;
pub use format::CookieFormat;
pub use kind::{CredentialKind, CredentialKinds};
pub(crate) use source::Source;
pub use token::Token;

/// The longest token that is handed to a store, in bytes.
const MAX_TOKEN_LEN: usize = 4096;
/// The most distinct tokens of one request that are handed to a store.
const MAX_TOKENS: usize = 8;

/// All places that are looked at.
pub(crate) struct Sources {
    /// Before the cookies: what a client puts into a header itself is not to be crowded out by
    /// cookies that another host of its domain has planted.
    pub(crate) headers: Vec<Source>,
    pub(crate) cookie: CookieReader,
}

impl Sources {
    #[inline]
    pub(crate) fn read(&self, request: &Parts) -> Credentials {
        let mut found = Credentials::default();
        for source in &self.headers {
            source.read(request, &mut found);
        }
        self.cookie.read(&request.headers, &mut found);
        found
    }
}

/// What a request presented.
#[derive(Debug, Default)]
pub(crate) struct Credentials {
    /// The distinct tokens that are worth a store call.
    pub(crate) tokens: SmallVec<[Token; 1]>,
    /// What was presented, be it too long, too many or not text.
    pub(crate) kinds: CredentialKinds,
}

impl Credentials {
    #[inline]
    fn add(&mut self, kind: CredentialKind, value: &[u8]) {
        if value.is_empty() {
            return;
        }
        self.kinds.insert(kind);
        let Ok(text) = std::str::from_utf8(value) else {
            return;
        };
        if text.len() <= MAX_TOKEN_LEN
            && self.tokens.len() < MAX_TOKENS
            && self.tokens.iter().all(|known| known.expose() != text)
        {
            self.tokens.push(Token::new(text));
        }
    }
}
