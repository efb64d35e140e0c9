//! How the value of a cookie holds the token.

use std::borrow::Cow;

#[cfg(any(feature = "signed", feature = "private"))]
use cookie::{Cookie, CookieJar, Key};

/// How the value of the refresh cookie holds the token. [`plain`](Self::plain) by default.
///
/// The formats are those of the crate `cookie` and of the crates that use it, for example axum-extra and
/// tower-cookies. Your login sets its cookies as before.
///
/// A value that fails the check of its signature or encryption is no token: the store is not called, and
/// the cookie is removed as usual. A logout checks up to four values for each token of the limit
/// [`max_tokens`](crate::builder::LogoutLayerBuilder::max_tokens). With more values, the logout fails.
#[derive(Clone, Debug, Default)]
pub struct CookieEncoding(Encoding);

#[derive(Clone, Debug, Default)]
enum Encoding {
    #[default]
    Plain,
    #[cfg(feature = "signed")]
    Signed(Key),
    #[cfg(feature = "private")]
    Private(Key),
}

impl CookieEncoding {
    /// The plain token, the token in quotes, or the percent-encoded token.
    ///
    /// `Cookie::encoded` of the crate `cookie` and axum-extra's `CookieJar` percent-encode. Cookie jars
    /// differ, so the layer presents each distinct reading of a value to the store.
    pub fn plain() -> Self {
        Self(Encoding::Plain)
    }

    /// The signed token of a [`SignedJar`](cookie::SignedJar) or of axum-extra's `SignedCookieJar`,
    /// percent-encoded or not.
    ///
    /// ```
    /// use tower_logout::AuthCookies;
    /// use tower_logout::cookie::Key;
    /// use tower_logout::cookies::CookieEncoding;
    ///
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// let key = Key::generate(); // The key of the login.
    /// let cookies = AuthCookies::builder()
    ///     .refresh_encoding(CookieEncoding::signed(key))
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "signed")]
    pub fn signed(key: Key) -> Self {
        Self(Encoding::Signed(key))
    }

    /// The encrypted token of a [`PrivateJar`](cookie::PrivateJar) or of axum-extra's `PrivateCookieJar`,
    /// percent-encoded or not.
    ///
    /// ```
    /// use tower_logout::AuthCookies;
    /// use tower_logout::cookie::Key;
    /// use tower_logout::cookies::CookieEncoding;
    ///
    /// # fn main() -> Result<(), tower_logout::ConfigError> {
    /// let key = Key::generate(); // The key of the login.
    /// let cookies = AuthCookies::builder()
    ///     .refresh_encoding(CookieEncoding::private(key))
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "private")]
    pub fn private(key: Key) -> Self {
        Self(Encoding::Private(key))
    }

    pub(crate) fn is_plain(&self) -> bool {
        matches!(self.0, Encoding::Plain)
    }

    /// Returns the token in a value of the cookie with this name.
    #[cfg_attr(
        not(any(feature = "signed", feature = "private")),
        allow(unused_variables, clippy::unnecessary_wraps)
    )]
    pub(crate) fn read<'v>(&self, name: &[u8], value: &'v [u8]) -> Option<Cow<'v, [u8]>> {
        match &self.0 {
            Encoding::Plain => Some(Cow::Borrowed(value)),
            #[cfg(feature = "signed")]
            Encoding::Signed(key) => unseal(name, value, |cookie| {
                CookieJar::new().signed(key).verify(cookie)
            }),
            #[cfg(feature = "private")]
            Encoding::Private(key) => unseal(name, value, |cookie| {
                CookieJar::new().private(key).decrypt(cookie)
            }),
        }
    }
}

/// Checks the value as it is, and percent-decoded.
#[cfg(any(feature = "signed", feature = "private"))]
fn unseal<'v>(
    name: &[u8],
    value: &'v [u8],
    check: impl Fn(Cookie<'static>) -> Option<Cookie<'static>>,
) -> Option<Cow<'v, [u8]>> {
    let name = std::str::from_utf8(name).ok()?;
    let passed = |value: &[u8]| {
        let value = std::str::from_utf8(value).ok()?;
        let cookie = check(Cookie::new(name.to_owned(), value.to_owned()))?;
        Some(Cow::Owned(cookie.value().as_bytes().to_vec()))
    };
    passed(value).or_else(|| {
        let decoded: Cow<'_, [u8]> = percent_encoding::percent_decode(value).into();
        // A borrowed value had nothing to decode.
        matches!(decoded, Cow::Owned(_))
            .then(|| passed(&decoded))
            .flatten()
    })
}
