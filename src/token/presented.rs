//! What a request presents, and where it is read from.

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

/// All places that are looked at.
pub(crate) struct Sources {
    /// Before the cookies: what a client puts into a header itself is not to be crowded out by
    /// cookies that another host of its domain has planted.
    headers: Vec<TokenSource>,
    /// One for each name that the refresh cookie has or had.
    cookies: SmallVec<[CookieReader; 1]>,
    bounds: Bounds,
}

impl Sources {
    pub(crate) fn new(headers: Vec<TokenSource>, cookies: &AuthCookies, bounds: Bounds) -> Self {
        Self {
            headers,
            cookies: readers(cookies),
            bounds,
        }
    }

    #[inline]
    pub(crate) fn read(&self, request: &Parts) -> Presented {
        let mut found = Presented::default();
        for source in &self.headers {
            source.read(request, &self.bounds, &mut found);
        }
        for cookie in &self.cookies {
            cookie.read(&request.headers, &self.bounds, &mut found);
        }
        found
    }
}

/// A cookie of an older name may be from before its values were sealed, so the reader also reads its
/// value in clear.
fn readers(cookies: &AuthCookies) -> SmallVec<[CookieReader; 1]> {
    let encoding = cookies.refresh_encoding();
    let mut readers = SmallVec::new();
    for (index, name) in cookies.refresh_names().enumerate() {
        readers.push(CookieReader::new(name, encoding.clone()));
        if index > 0 && !encoding.is_plain() {
            readers.push(CookieReader::new(name, CookieEncoding::plain()));
        }
    }
    readers
}

/// What a request presented.
#[derive(Debug, Default)]
pub(crate) struct Presented {
    /// The distinct tokens that the store is asked for: of each value all of its readings.
    pub(crate) tokens: SmallVec<[Token; 1]>,
    /// Where there was something.
    pub(crate) kinds: TokenSourceKinds,
    /// Why something that was presented is not among the tokens. The logout must not succeed then.
    pub(crate) unread: Option<FailureKind>,
    /// How many values there were that brought a new token.
    values: usize,
}

impl Presented {
    /// A value that is a token and nothing else.
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
                Ok(text) if value.is_ascii() => self.push(text, &mut false, bounds),
                text => self.push_all([latin1(value).as_str()].into_iter().chain(text), bounds),
            }
        }
    }

    /// A value that some jars quote or percent-encode: each of its readings is a token.
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
        self.push_all(texts.iter().map(|text| text.as_str()), bounds);
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

    /// The readings of one value.
    fn push_all<'t>(&mut self, readings: impl IntoIterator<Item = &'t str>, bounds: &Bounds) {
        let mut is_counted = false;
        for reading in readings {
            self.push(reading, &mut is_counted, bounds);
        }
    }

    #[inline]
    fn push(&mut self, reading: &str, is_counted: &mut bool, bounds: &Bounds) {
        if self.tokens.iter().any(|known| known.expose() == reading) {
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
        self.tokens.push(Token::new(reading));
    }
}

/// How frameworks read a header that is not ASCII, where they do not read it as UTF-8
/// (RFC 9110 §5.5).
fn latin1(value: &[u8]) -> String {
    value.iter().copied().map(char::from).collect()
}

pub(super) fn unquote(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] => inner,
        value => value,
    }
}
