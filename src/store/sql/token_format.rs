//! What a table holds in place of a token.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::dialect::Holds;
use super::driver::Value;
use crate::store::random::hex;
use crate::{ConfigError, Token};

const MIN_KEY_LEN: usize = 16;

/// What a table holds in place of a token: a digest, as bytes or as hexadecimal digits, or the token
/// itself.
///
/// ```
/// use tower_logout::TokenFormat;
///
/// # fn main() -> Result<(), tower_logout::ConfigError> {
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
    hex: bool,
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
            hex: false,
        }
    }

    /// The HMAC-SHA-256 of the token under a key that the database does not hold (a pepper).
    ///
    /// # Errors
    ///
    /// [`ConfigError::ShortKey`] for a key of fewer than 16 bytes.
    pub fn hmac_sha256(key: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        Ok(Self {
            hash: Some(Hash::keyed(key.as_ref())?),
            hex: false,
        })
    }

    /// The token itself, in ASCII. Who reads the table is logged in as everybody: a table that exists
    /// may have to be taken as it is, one that is made should not.
    pub fn clear() -> Self {
        Self {
            hash: None,
            hex: false,
        }
    }

    /// The digest as 64 lower-case hexadecimal digits, in a column of text. As bytes by default. It
    /// changes nothing of a token that is kept in clear.
    ///
    /// ```
    /// let format = tower_logout::TokenFormat::sha256().hex();
    /// ```
    #[must_use]
    pub fn hex(mut self) -> Self {
        self.hex = true;
        self
    }

    pub(super) fn holds(&self) -> Holds {
        if self.hash.is_some() && !self.hex {
            Holds::Bytes
        } else {
            Holds::Text
        }
    }

    /// `None` for a token that no table in clear holds. Beyond ASCII it would be the column's
    /// character set that says what is equal, and Postgres has no text with a zero in it.
    pub(super) fn apply(&self, token: &Token) -> Option<Stored> {
        let Some(hash) = &self.hash else {
            let plain = token.expose().bytes().all(|byte| matches!(byte, 1..=127));
            return plain.then(|| Stored::Text(Zeroizing::new(token.expose().to_owned())));
        };
        let digest = hash.digest(token);
        Some(if self.hex {
            Stored::Text(Zeroizing::new(hex(&digest)))
        } else {
            Stored::Bytes(digest)
        })
    }
}

impl Hash {
    pub(super) fn keyed(key: &[u8]) -> Result<Self, ConfigError> {
        let short = ConfigError::ShortKey { bytes: key.len() };
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

    fn stored(format: &TokenFormat) -> String {
        match format.apply(&Token::new("abc")).unwrap() {
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

    const HMAC_OF_ABC: &str = "77c8df138f0258d3082c3c2dd73e64cbf353f1c4047c0a897ab227fe2bacced2";

    #[test]
    fn a_key_that_can_be_guessed_is_refused_and_none_is_shown() {
        assert_eq!(
            TokenFormat::hmac_sha256("secret").unwrap_err(),
            ConfigError::ShortKey { bytes: 6 }
        );
        let keyed = TokenFormat::hmac_sha256("a-key-of-sixteen").unwrap();
        assert!(!format!("{keyed:?}").contains("sixteen"));
    }
}
