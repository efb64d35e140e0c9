//! What a table holds in place of a token.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::dialect::{Dialect, Holds};
use super::driver::Value;
use super::written::Written;
use tower_logout::Token;

use crate::TableError;

const MIN_KEY_LEN: usize = 16;

/// What a table holds in place of a token: a digest, as bytes, hexadecimal digits or base64, or the
/// token itself.
///
/// ```
/// use tower_logout_sqlx::TokenFormat;
///
/// # fn main() -> Result<(), tower_logout_sqlx::TableError> {
/// let digest = TokenFormat::sha256();
/// let text = TokenFormat::sha256().hex();
/// let keyed = TokenFormat::hmac_sha256("0123456789abcdef0123456789abcdef")?;
/// let clear = TokenFormat::clear();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct TokenFormat {
    /// None for the token in clear.
    hash: Option<Hash>,
    written: Written,
}

/// A digest.
#[derive(Clone)]
pub(super) enum Hash {
    Sha256,
    HmacSha256(Hmac<Sha256>),
}

impl TokenFormat {
    /// The SHA-256 digest of the token.
    ///
    /// It needs no salt where tokens are random, of 128 bits at least: nobody guesses them.
    pub fn sha256() -> Self {
        Self {
            hash: Some(Hash::Sha256),
            written: Written::Bytes,
        }
    }

    /// The HMAC-SHA-256 of the token under a key that the database does not hold (a pepper).
    ///
    /// # Errors
    ///
    /// [`TableError::ShortKey`] for a key of fewer than 16 bytes.
    pub fn hmac_sha256(key: impl AsRef<[u8]>) -> Result<Self, TableError> {
        Ok(Self {
            hash: Some(Hash::keyed(key.as_ref())?),
            written: Written::Bytes,
        })
    }

    /// The token itself, in ASCII. Who reads the table is logged in as everybody: a table that exists
    /// may have to be taken as it is, one that is made should not.
    pub fn clear() -> Self {
        Self {
            hash: None,
            written: Written::Bytes,
        }
    }

    /// The digest as 64 lower-case hexadecimal digits, in a column of text. As bytes by default. It
    /// changes nothing of a token that is kept in clear, and neither do the other ways to write it.
    ///
    /// ```
    /// let format = tower_logout_sqlx::TokenFormat::sha256().hex();
    /// ```
    #[must_use]
    pub fn hex(self) -> Self {
        self.written(Written::Hex)
    }

    /// The digest as 64 upper-case hexadecimal digits, in a column of text. As bytes by default.
    ///
    /// ```
    /// let format = tower_logout_sqlx::TokenFormat::sha256().upper_hex();
    /// ```
    #[must_use]
    pub fn upper_hex(self) -> Self {
        self.written(Written::UpperHex)
    }

    /// The digest in base64 of the standard alphabet (`+` and `/`), 43 characters and a `=`. As bytes by
    /// default.
    ///
    /// ```
    /// let format = tower_logout_sqlx::TokenFormat::sha256().base64();
    /// ```
    #[must_use]
    pub fn base64(self) -> Self {
        self.written(Written::Base64)
    }

    /// The digest in base64 of the standard alphabet, 43 characters without a `=`. As bytes by default.
    ///
    /// ```
    /// let format = tower_logout_sqlx::TokenFormat::sha256().base64_unpadded();
    /// ```
    #[must_use]
    pub fn base64_unpadded(self) -> Self {
        self.written(Written::Base64Unpadded)
    }

    /// The digest in base64 of the URL-safe alphabet (`-` and `_`), 43 characters and a `=`. As bytes by
    /// default.
    ///
    /// ```
    /// let format = tower_logout_sqlx::TokenFormat::sha256().base64_url();
    /// ```
    #[must_use]
    pub fn base64_url(self) -> Self {
        self.written(Written::Base64Url)
    }

    /// The digest in base64 of the URL-safe alphabet, 43 characters without a `=`. As bytes by default.
    ///
    /// ```
    /// let format = tower_logout_sqlx::TokenFormat::sha256().base64_url_unpadded();
    /// ```
    #[must_use]
    pub fn base64_url_unpadded(self) -> Self {
        self.written(Written::Base64UrlUnpadded)
    }

    fn written(mut self, written: Written) -> Self {
        self.written = written;
        self
    }

    /// How the digest is written. `None` for a token in clear.
    pub(super) fn digest_written(&self) -> Option<Written> {
        self.hash.as_ref().map(|_| self.written)
    }

    pub(super) fn holds(&self) -> Holds {
        if self.digest_written() == Some(Written::Bytes) {
            Holds::Bytes
        } else {
            Holds::Text
        }
    }

    /// `None` for a token that no table in clear holds: Postgres has no text with a zero in it.
    pub(super) fn apply(&self, token: &Token, dialect: Dialect) -> Option<Stored> {
        let Some(hash) = &self.hash else {
            let fits = dialect != Dialect::Postgres || !token.expose().contains('\0');
            return fits.then(|| Stored::Text(Zeroizing::new(token.expose().to_owned())));
        };
        let digest = hash.digest(token);
        Some(match self.written.text(&digest) {
            Some(text) => Stored::Text(Zeroizing::new(text)),
            None => Stored::Bytes(digest),
        })
    }
}

impl Hash {
    pub(super) fn keyed(key: &[u8]) -> Result<Self, TableError> {
        let short = TableError::ShortKey { bytes: key.len() };
        if key.len() < MIN_KEY_LEN {
            return Err(short);
        }
        Ok(Self::HmacSha256(
            Hmac::new_from_slice(key).map_err(|_| short)?,
        ))
    }

    pub(super) fn digest(&self, token: &Token) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(token.expose()).to_vec(),
            Self::HmacSha256(keyed) => {
                let mut keyed = keyed.clone();
                keyed.update(token.expose().as_bytes());
                keyed.finalize().into_bytes().to_vec()
            }
        }
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sha256 => "SHA-256",
            Self::HmacSha256(_) => "HMAC-SHA-256",
        })
    }
}

/// What the table holds.
pub(super) enum Stored {
    Text(Zeroizing<String>),
    Bytes(Vec<u8>),
}

impl Stored {
    pub(super) fn value(&self) -> Value<'_> {
        match self {
            Self::Text(text) => Value::Text(text),
            Self::Bytes(bytes) => Value::Bytes(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex::encode as hex;

    fn stored(format: &TokenFormat) -> String {
        match format.apply(&Token::new("abc"), Dialect::Sqlite).unwrap() {
            Stored::Text(text) => text.to_string(),
            Stored::Bytes(bytes) => format!("bytes {}", hex(&bytes)),
        }
    }

    /// FIPS 180-2, appendix B.1.
    const SHA256_OF_ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn the_formats_are_what_they_say() {
        assert_eq!(stored(&TokenFormat::clear()), "abc");
        assert_eq!(stored(&TokenFormat::sha256().hex()), SHA256_OF_ABC);
        assert_eq!(
            stored(&TokenFormat::sha256()),
            format!("bytes {SHA256_OF_ABC}")
        );
        let keyed = TokenFormat::hmac_sha256([0xaa; 20]).unwrap().hex();
        assert_eq!(stored(&keyed), HMAC_OF_ABC);
    }

    #[test]
    fn a_digest_is_written_as_a_shell_writes_it() {
        // `printf abc | openssl sha256 -binary | base64`
        assert_eq!(
            stored(&TokenFormat::sha256().base64()),
            "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
        );
        assert_eq!(
            stored(&TokenFormat::sha256().upper_hex()),
            SHA256_OF_ABC.to_ascii_uppercase()
        );
    }

    const HMAC_OF_ABC: &str = "77c8df138f0258d3082c3c2dd73e64cbf353f1c4047c0a897ab227fe2bacced2";

    #[test]
    fn a_key_that_can_be_guessed_is_refused_and_none_is_shown() {
        assert_eq!(
            TokenFormat::hmac_sha256("secret").unwrap_err(),
            TableError::ShortKey { bytes: 6 }
        );
        let keyed = TokenFormat::hmac_sha256("a-key-of-sixteen").unwrap();
        assert!(!format!("{keyed:?}").contains("sixteen"));
    }
}
