//! The token, and the places of a request where the layer looks for tokens.

mod bounds;
mod cookie;
mod kind;
mod presented;
mod source;

use std::fmt;

use zeroize::Zeroizing;

pub use self::kind::{TokenSourceKind, TokenSourceKinds};
pub(crate) use self::presented::{Presented, Sources, TokenSettings};
pub use self::source::TokenSource;

/// A token of a session, as the client presents it.
///
/// `Debug` and `Display` are redacted, and the memory is zeroed on drop. Only [`expose`](Self::expose)
/// returns the text.
///
/// ```
/// use tower_logout::Token;
///
/// let token = Token::new("s3cret");
/// assert_eq!(token.expose(), "s3cret");
/// assert_eq!(format!("{token} {token:?}"), "[redacted] Token([redacted])");
/// ```
#[derive(Clone)]
pub struct Token {
    text: Zeroizing<String>,
    source: Option<TokenSourceKind>,
}

impl Token {
    /// Creates a token from its text.
    pub fn new(token: impl Into<String>) -> Self {
        Self {
            text: Zeroizing::new(token.into()),
            source: None,
        }
    }

    /// Generates a token of 256 random bits, as 64 hexadecimal digits.
    ///
    /// The bits come from the random source of the operating system.
    ///
    /// # Errors
    ///
    /// An error if the operating system has no random source.
    ///
    /// ```
    /// use tower_logout::Token;
    ///
    /// # fn main() -> Result<(), tower_logout::BoxError> {
    /// let token = Token::generate()?;
    /// assert_eq!(token.expose().len(), 64);
    /// # Ok(())
    /// # }
    /// ```
    pub fn generate() -> Result<Self, crate::store::BoxError> {
        Ok(Self {
            text: crate::store::random_hex::<32>()?,
            source: None,
        })
    }

    /// Returns the text of the token. Keep the text out of logs, errors and URLs.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Returns the kind of place where the request presented the token, so that a store can tell an access
    /// token from a refresh token. `None` for a token that no request presented.
    ///
    /// ```
    /// use tower_logout::token::TokenSourceKind;
    /// use tower_logout::{Revocation, store_fn};
    ///
    /// let store = store_fn(|token| async move {
    ///     if token.source() == Some(TokenSourceKind::AccessCookie) {
    ///         // End the access token.
    ///     }
    ///     Ok(Revocation::NotFound)
    /// });
    /// ```
    pub fn source(&self) -> Option<TokenSourceKind> {
        self.source
    }

    /// A token that a request presented.
    #[inline]
    fn presented(text: &str, source: TokenSourceKind) -> Self {
        Self {
            text: Zeroizing::new(text.to_owned()),
            source: Some(source),
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token([redacted])")
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
