//! How a token is written into the value of a cookie.

use std::borrow::Cow;

#[cfg(any(feature = "signed", feature = "private"))]
use cookie::{Cookie, CookieJar, Key};

/// How the refresh cookie's value holds the token. [`plain`](Self::plain) by default.
///
/// It is the format of the `cookie` crate, and of what is built on it: axum-extra's jars,
/// tower-cookies, and so on. The login goes on to set its cookies as it does.
///
/// A value whose signature or encryption is not that of the login holds no token: the store is not
/// called for it, and the cookie is removed like any other. Four values are tried for each token that a
/// request may present
/// ([`max_tokens`](crate::builder::LogoutLayerBuilder::max_tokens)). With more the logout fails.
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
    /// The token as it is, in quotes, or with `%` and two hexadecimal digits for what a cookie cannot
    /// hold: as `Cookie::encoded` of the crate `cookie` and axum-extra's `CookieJar` write it.
    ///
    /// Jars differ, so each distinct reading of a value is presented to the store.
    pub fn plain() -> Self {
        Self(Encoding::Plain)
    }

    /// The token behind its signature, as a [`SignedJar`](cookie::SignedJar) and axum-extra's
    /// `SignedCookieJar` write it, percent-encoded or not.
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

    /// The token encrypted, as a [`PrivateJar`](cookie::PrivateJar) and axum-extra's
    /// `PrivateCookieJar` write it, percent-encoded or not.
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

    /// The token in a value of the cookie of this name.
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

/// As it is, and percent-decoded: what passes its check in either reading is what the login wrote.
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
        // Borrowed where nothing was encoded.
        matches!(decoded, Cow::Owned(_))
            .then(|| passed(&decoded))
            .flatten()
    })
}
