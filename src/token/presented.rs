//! The tokens that a request presents.

use std::borrow::Cow;

use http::request::Parts;
use smallvec::SmallVec;

use crate::cookies::{AuthCookies, CookieEncoding};
use crate::outcome::FailureKind;

use super::Token;
use super::bounds::Bounds;
use super::cookie::CookieReader;
use super::kind::{TokenSourceKind, TokenSourceKinds};
use super::source::TokenSource;

/// The settings of a layer about tokens.
#[derive(Default)]
pub(crate) struct TokenSettings {
    pub(crate) sources: Vec<TokenSource>,
    /// Whether the access cookie is read too.
    pub(crate) access_cookie: bool,
    pub(crate) bounds: Bounds,
}

/// All places where a layer looks for tokens.
pub(crate) struct Sources {
    /// Read before the cookies, so that cookies planted by another host of the site cannot use up the
    /// limit.
    headers: Vec<TokenSource>,
    /// The readers for each current or older name of the refresh cookie.
    cookies: SmallVec<[CookieReader; 1]>,
    bounds: Bounds,
}

impl Sources {
    pub(crate) fn new(settings: TokenSettings, cookies: &AuthCookies) -> Self {
        Self {
            headers: settings.sources,
            cookies: readers(cookies, settings.access_cookie),
            bounds: settings.bounds,
        }
    }

    #[inline]
    pub(crate) fn read(&self, request: &Parts, found: &mut Presented) {
        for source in &self.headers {
            source.read(request, &self.bounds, found);
        }
        for cookie in &self.cookies {
            cookie.read(&request.headers, &self.bounds, found);
        }
    }

    /// The tokens of a body, or why they are not known.
    pub(crate) fn read_body(&self, tokens: Result<Vec<Token>, FailureKind>) -> Presented {
        let mut found = Presented::default();
        match tokens {
            Ok(tokens) => {
                for token in tokens {
                    let (text, bounds) = (token.expose().as_bytes(), &self.bounds);
                    found.add(TokenSourceKind::Body, text, bounds.token_len, bounds);
                }
            }
            Err(kind) => found.unread = Some(kind),
        }
        found
    }
}

/// Creates the readers.
fn readers(cookies: &AuthCookies, access_cookie: bool) -> SmallVec<[CookieReader; 1]> {
    let encoding = cookies.refresh_encoding();
    let mut readers = SmallVec::new();
    let mut add = |name, kind, may_be_plain| {
        readers.push(CookieReader::new(name, encoding.clone(), kind));
        if may_be_plain && !encoding.is_plain() {
            readers.push(CookieReader::new(name, CookieEncoding::plain(), kind));
        }
    };
    for (index, name) in cookies.refresh_names().enumerate() {
        // A cookie with an older name may be older than the signing or the encryption.
        add(name, TokenSourceKind::Cookie, index > 0);
    }
    if access_cookie {
        for name in cookies.access_names() {
            // The encoding is the one of the refresh cookie. The access cookie may have none.
            add(name, TokenSourceKind::AccessCookie, true);
        }
    }
    readers
}

/// The tokens of a request, and what could not be read.
#[derive(Debug, Default)]
pub(crate) struct Presented {
    /// The distinct tokens: all readings of each value.
    pub(crate) tokens: SmallVec<[Token; 1]>,
    /// The kinds of places that had a value.
    pub(crate) kinds: TokenSourceKinds,
    /// Why a presented value is not among the tokens. If set, the logout must not succeed.
    pub(crate) unread: Option<FailureKind>,
    /// The number of values that added a token.
    values: usize,
}

impl Presented {
    /// Adds a value that is a token and nothing else.
    #[inline]
    pub(super) fn add(
        &mut self,
        kind: TokenSourceKind,
        value: &[u8],
        max_len: usize,
        bounds: &Bounds,
    ) {
        if self.is_readable(kind, value, max_len) {
            match std::str::from_utf8(value) {
                Ok(text) if value.is_ascii() => self.push(kind, text, &mut false, bounds),
                text => {
                    self.push_all(
                        kind,
                        [latin1(value).as_str()].into_iter().chain(text),
                        bounds,
                    );
                }
            }
        }
    }

    /// Adds each reading of a value that a cookie jar may have quoted or percent-encoded.
    #[inline(never)]
    pub(super) fn add_readings(
        &mut self,
        kind: TokenSourceKind,
        value: &[u8],
        max_len: usize,
        bounds: &Bounds,
    ) {
        if unquote(value).is_empty() || !self.is_readable(kind, value, max_len) {
            return;
        }
        let mut readings: SmallVec<[Cow<'_, [u8]>; 4]> = SmallVec::new();
        for quoted in [value, unquote(value)] {
            readings.push(Cow::Borrowed(quoted));
            readings.push(percent_encoding::percent_decode(quoted).into());
        }
        let texts: Vec<_> = readings
            .iter()
            .flat_map(|reading| {
                let text = std::str::from_utf8(reading).ok().map(ToOwned::to_owned);
                let other = (!reading.is_ascii()).then(|| latin1(reading));
                text.into_iter().chain(other)
            })
            .map(zeroize::Zeroizing::new)
            .collect();
        self.push_all(kind, texts.iter().map(|text| text.as_str()), bounds);
    }

    #[inline]
    fn is_readable(&mut self, kind: TokenSourceKind, value: &[u8], max_len: usize) -> bool {
        if value.is_empty() {
            return false;
        }
        self.kinds.insert(kind);
        if value.len() > max_len {
            self.unread = Some(FailureKind::TokenTooLong);
            return false;
        }
        true
    }

    /// Adds the readings of one value, which count as one.
    fn push_all<'t>(
        &mut self,
        kind: TokenSourceKind,
        readings: impl IntoIterator<Item = &'t str>,
        bounds: &Bounds,
    ) {
        let mut is_counted = false;
        for reading in readings {
            self.push(kind, reading, &mut is_counted, bounds);
        }
    }

    #[inline]
    fn push(
        &mut self,
        kind: TokenSourceKind,
        reading: &str,
        is_counted: &mut bool,
        bounds: &Bounds,
    ) {
        // A store may look an access token up in another place than the same text elsewhere.
        let is_known = |known: &Token| {
            known.expose() == reading
                && (kind != TokenSourceKind::AccessCookie || known.source() == Some(kind))
        };
        if self.tokens.iter().any(is_known) {
            return;
        }
        if !*is_counted {
            if self.values == bounds.tokens {
                self.unread = Some(FailureKind::TooManyTokens);
                return;
            }
            self.values += 1;
            *is_counted = true;
        }
        self.tokens.push(Token::presented(reading, kind));
    }
}

/// Decodes Latin-1, as some frameworks do with a header that is not ASCII (RFC 9110 §5.5).
fn latin1(value: &[u8]) -> String {
    value.iter().copied().map(char::from).collect()
}

pub(super) fn unquote(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] => inner,
        value => value,
    }
}
