//! The digest that a table holds instead of a token.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use tower_logout::Token;
use zeroize::Zeroizing;

use crate::dialect::Dialect;
use crate::encoding::Encoding;
use crate::pool::Value;

/// The digest that a table holds instead of a token: SHA-256 or HMAC-SHA-256, as bytes, hexadecimal digits or
/// base64. Or the token in clear.
///
/// ```
/// use tower_logout_sqlx::TokenDigest;
///
/// # fn main() -> Result<(), tower_logout_sqlx::ShortKey> {
/// let bytes = TokenDigest::sha256();
/// let text = TokenDigest::sha256().hex();
/// let keyed = TokenDigest::hmac_sha256("0123456789abcdef0123456789abcdef")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct TokenDigest {
    /// `None` for a token in clear.
    hash: Option<Hash>,
    encoding: Encoding,
}

/// An HMAC key of fewer than 16 bytes, which can be guessed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShortKey {
    /// The length of the key, in bytes.
    pub bytes: usize,
}

/// A hash function.
#[derive(Clone)]
pub(crate) enum Hash {
    Sha256,
    HmacSha256(Hmac<Sha256>),
}

impl TokenDigest {
    /// The SHA-256 of the token, as 32 bytes.
    ///
    /// A random token of at least 128 bits needs no salt: nobody can guess it.
    ///
    /// ```
    /// let digest = tower_logout_sqlx::TokenDigest::sha256();
    /// ```
    pub fn sha256() -> Self {
        Self::of(Some(Hash::Sha256))
    }

    /// The HMAC-SHA-256 of the token under a key that the database does not hold (a pepper), as 32 bytes.
    ///
    /// # Errors
    ///
    /// [`ShortKey`] for a key of fewer than 16 bytes.
    ///
    /// ```
    /// use tower_logout_sqlx::TokenDigest;
    ///
    /// assert!(TokenDigest::hmac_sha256("0123456789abcdef").is_ok());
    /// assert_eq!(TokenDigest::hmac_sha256("secret").unwrap_err().bytes, 6);
    /// ```
    pub fn hmac_sha256(key: impl AsRef<[u8]>) -> Result<Self, ShortKey> {
        Ok(Self::of(Some(Hash::hmac_sha256(key.as_ref())?)))
    }

    /// The token itself, in clear.
    ///
    /// Whoever reads such a table can log in as each user. Use `clear` for a table that exists, and a digest
    /// for a table that you create.
    ///
    /// ```
    /// let digest = tower_logout_sqlx::TokenDigest::clear();
    /// ```
    pub fn clear() -> Self {
        Self::of(None)
    }

    fn of(hash: Option<Hash>) -> Self {
        Self {
            hash,
            encoding: Encoding::Bytes,
        }
    }

    /// Writes the digest as 64 lower-case hexadecimal digits, in a column of text. As bytes by default. A token
    /// in clear has no digest to write, and stays in clear.
    ///
    /// ```
    /// let digest = tower_logout_sqlx::TokenDigest::sha256().hex();
    /// ```
    #[must_use]
    pub fn hex(self) -> Self {
        self.encoded(Encoding::Hex)
    }

    /// Writes the digest as 64 upper-case hexadecimal digits, in a column of text. As bytes by default.
    ///
    /// ```
    /// let digest = tower_logout_sqlx::TokenDigest::sha256().upper_hex();
    /// ```
    #[must_use]
    pub fn upper_hex(self) -> Self {
        self.encoded(Encoding::UpperHex)
    }

    /// Writes the digest in base64 of the standard alphabet (`+` and `/`), as 43 characters and a `=`. As bytes
    /// by default.
    ///
    /// ```
    /// let digest = tower_logout_sqlx::TokenDigest::sha256().base64();
    /// ```
    #[must_use]
    pub fn base64(self) -> Self {
        self.encoded(Encoding::Base64)
    }

    /// Writes the digest in base64 of the standard alphabet, as 43 characters without a `=`. As bytes by
    /// default.
    ///
    /// ```
    /// let digest = tower_logout_sqlx::TokenDigest::sha256().base64_unpadded();
    /// ```
    #[must_use]
    pub fn base64_unpadded(self) -> Self {
        self.encoded(Encoding::Base64Unpadded)
    }

    /// Writes the digest in base64 of the URL-safe alphabet (`-` and `_`), as 43 characters and a `=`. As bytes
    /// by default.
    ///
    /// ```
    /// let digest = tower_logout_sqlx::TokenDigest::sha256().base64_url();
    /// ```
    #[must_use]
    pub fn base64_url(self) -> Self {
        self.encoded(Encoding::Base64Url)
    }

    /// Writes the digest in base64 of the URL-safe alphabet, as 43 characters without a `=`. As bytes by
    /// default.
    ///
    /// ```
    /// let digest = tower_logout_sqlx::TokenDigest::sha256().base64_url_unpadded();
    /// ```
    #[must_use]
    pub fn base64_url_unpadded(self) -> Self {
        self.encoded(Encoding::Base64UrlUnpadded)
    }

    fn encoded(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// How the digest is written. `None` for a token in clear.
    pub(crate) fn encoding(&self) -> Option<Encoding> {
        self.hash.as_ref().map(|_| self.encoding)
    }

    /// `None` for a token that the table cannot hold: text in Postgres has no zero byte.
    pub(crate) fn apply(&self, token: &Token, dialect: Dialect) -> Option<Stored> {
        let Some(hash) = &self.hash else {
            let fits = dialect != Dialect::Postgres || !token.expose().contains('\0');
            return fits.then(|| Stored::Text(Zeroizing::new(token.expose().to_owned())));
        };
        let digest = hash.digest(token);
        Some(match self.encoding.text(&digest) {
            Some(text) => Stored::Text(Zeroizing::new(text)),
            None => Stored::Bytes(digest),
        })
    }
}

impl fmt::Display for ShortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a key of {} bytes can be guessed: use at least {MIN_KEY_LEN} random bytes",
            self.bytes
        )
    }
}

impl std::error::Error for ShortKey {}

const MIN_KEY_LEN: usize = 16;

impl Hash {
    pub(crate) fn hmac_sha256(key: &[u8]) -> Result<Self, ShortKey> {
        let short = ShortKey { bytes: key.len() };
        if key.len() < MIN_KEY_LEN {
            return Err(short);
        }
        let keyed = Hmac::new_from_slice(key).map_err(|_| short)?;
        Ok(Self::HmacSha256(keyed))
    }

    pub(crate) fn digest(&self, token: &Token) -> Vec<u8> {
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

/// A token as the table holds it.
pub(crate) enum Stored {
    Text(Zeroizing<String>),
    Bytes(Vec<u8>),
}

impl Stored {
    pub(crate) fn value(&self) -> Value<'_> {
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

    fn stored(digest: &TokenDigest) -> String {
        match digest.apply(&Token::new("abc"), Dialect::Sqlite).unwrap() {
            Stored::Text(text) => text.to_string(),
            Stored::Bytes(bytes) => format!("bytes {}", hex(&bytes)),
        }
    }

    /// FIPS 180-2, appendix B.1.
    const SHA256_OF_ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_digest_is_what_its_name_says() {
        assert_eq!(stored(&TokenDigest::clear()), "abc");
        assert_eq!(stored(&TokenDigest::sha256().hex()), SHA256_OF_ABC);
        assert_eq!(
            stored(&TokenDigest::sha256()),
            format!("bytes {SHA256_OF_ABC}")
        );
        let keyed = TokenDigest::hmac_sha256([0xaa; 20]).unwrap().hex();
        assert_eq!(stored(&keyed), HMAC_OF_ABC);
    }

    #[test]
    fn a_digest_is_written_as_a_shell_writes_it() {
        // `printf abc | openssl sha256 -binary | base64`
        assert_eq!(
            stored(&TokenDigest::sha256().base64()),
            "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
        );
        assert_eq!(
            stored(&TokenDigest::sha256().upper_hex()),
            SHA256_OF_ABC.to_ascii_uppercase()
        );
    }

    const HMAC_OF_ABC: &str = "77c8df138f0258d3082c3c2dd73e64cbf353f1c4047c0a897ab227fe2bacced2";

    #[test]
    fn a_key_that_can_be_guessed_is_refused_and_none_is_shown() {
        assert_eq!(
            TokenDigest::hmac_sha256("secret").unwrap_err(),
            ShortKey { bytes: 6 }
        );
        let keyed = TokenDigest::hmac_sha256("a-key-of-sixteen").unwrap();
        assert!(!format!("{keyed:?}").contains("sixteen"));
    }
}
