//! The token, and the places of a request where the layer looks for tokens.

mod bounds;
mod cookie;
mod kind;
mod presented;
mod source;

use std::fmt;

use zeroize::Zeroizing;

pub(crate) use self::bounds::Bounds;
pub use self::kind::{TokenSourceKind, TokenSourceKinds};
pub(crate) use self::presented::{Presented, Sources};
pub use self::source::TokenSource;

/// A refresh token as the client presents it.
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
pub struct Token(Zeroizing<String>);

impl Token {
    /// Creates a token from its text.
    pub fn new(token: impl Into<String>) -> Self {
        Self(Zeroizing::new(token.into()))
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
        Ok(Self(crate::store::random_hex::<32>()?))
    }

    /// Returns the text of the token. Keep the text out of logs, errors and URLs.
    pub fn expose(&self) -> &str {
        &self.0
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
