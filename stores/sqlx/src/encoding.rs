//! How a digest is written as text.

use hex::encode as hex;

/// How a digest of 32 bytes is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Bytes,
    Hex,
    UpperHex,
    Base64,
    Base64Unpadded,
    Base64Url,
    Base64UrlUnpadded,
}

impl Encoding {
    /// The text of a digest, unless the digest is written as bytes.
    pub(crate) fn text(self, bytes: &[u8]) -> Option<String> {
        Some(match self {
            Self::Bytes => return None,
            Self::Hex => hex(bytes),
            Self::UpperHex => hex(bytes).to_ascii_uppercase(),
            Self::Base64 => base64(bytes, *b"+/", true),
            Self::Base64Unpadded => base64(bytes, *b"+/", false),
            Self::Base64Url => base64(bytes, *b"-_", true),
            Self::Base64UrlUnpadded => base64(bytes, *b"-_", false),
        })
    }

    /// The length of a digest, in bytes or characters.
    pub(crate) fn len(self) -> usize {
        match self {
            Self::Bytes => 32,
            Self::Hex | Self::UpperHex => 64,
            Self::Base64 | Self::Base64Url => 44,
            Self::Base64Unpadded | Self::Base64UrlUnpadded => 43,
        }
    }

    /// Whether a text can be a digest in this encoding.
    pub(crate) fn fits(self, text: &str) -> bool {
        let is = |also: &[u8]| {
            let digits = text.trim_end_matches('=').bytes();
            let mut digits = digits.filter(|byte| !byte.is_ascii_alphanumeric());
            digits.all(|byte| also.contains(&byte))
        };
        let padded = text.ends_with('=');
        let digits = |wrong: fn(&u8) -> bool| {
            text.bytes().all(|byte| byte.is_ascii_hexdigit())
                && !text.bytes().any(|byte| wrong(&byte))
        };
        text.len() == self.len()
            && match self {
                Self::Bytes => false,
                Self::Hex => digits(u8::is_ascii_uppercase),
                Self::UpperHex => digits(u8::is_ascii_lowercase),
                Self::Base64 => is(b"+/") && padded,
                Self::Base64Unpadded => is(b"+/") && !padded,
                Self::Base64Url => is(b"-_") && padded,
                Self::Base64UrlUnpadded => is(b"-_") && !padded,
            }
    }

    /// The words for this encoding.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bytes => "32 bytes",
            Self::Hex => "64 lower-case hexadecimal digits",
            Self::UpperHex => "64 upper-case hexadecimal digits",
            Self::Base64 => "44 characters of base64",
            Self::Base64Unpadded => "43 characters of base64 without padding",
            Self::Base64Url => "44 characters of URL-safe base64",
            Self::Base64UrlUnpadded => "43 characters of URL-safe base64 without padding",
        }
    }

    /// A text in words that show nothing of the text.
    pub(crate) fn describe(text: &str) -> String {
        const TEXTS: [Encoding; 6] = [
            Encoding::Hex,
            Encoding::UpperHex,
            Encoding::Base64,
            Encoding::Base64Unpadded,
            Encoding::Base64Url,
            Encoding::Base64UrlUnpadded,
        ];
        let encoding = TEXTS.into_iter().find(|encoding| encoding.fits(text));
        encoding.map_or_else(
            || format!("{} characters that are no SHA-256", text.chars().count()),
            |encoding| encoding.name().to_owned(),
        )
    }
}

/// RFC 4648 §4, with the last two digits of the alphabet as given.
fn base64(bytes: &[u8], last: [u8; 2], padded: bool) -> String {
    let digit = |value: u32| {
        char::from(match value & 63 {
            62 => last[0],
            63 => last[1],
            value => {
                b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"[value as usize]
            }
        })
    };
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for index in 0..4 {
            if index <= chunk.len() {
                text.push(digit(bits >> (18 - 6 * index)));
            } else if padded {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        // RFC 4648 §10.
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v")] {
            assert_eq!(Encoding::Base64.text(bytes.as_bytes()).unwrap(), text);
            let unpadded = text.trim_end_matches('=');
            assert_eq!(
                Encoding::Base64Unpadded.text(bytes.as_bytes()).unwrap(),
                unpadded
            );
        }
        assert_eq!(Encoding::Base64.text(&[0xfb, 0xff]).unwrap(), "+/8=");
        assert_eq!(Encoding::Base64Url.text(&[0xfb, 0xff]).unwrap(), "-_8=");
        assert_eq!(
            Encoding::Base64UrlUnpadded.text(&[0xfb, 0xff]).unwrap(),
            "-_8"
        );
    }

    #[test]
    fn an_encoding_is_recognised() {
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let base64 = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";
        let seen = [
            (digest, "64 lower-case hexadecimal digits"),
            (&*digest.to_uppercase(), "64 upper-case hexadecimal digits"),
            (base64, "44 characters of base64"),
            ("secret", "6 characters that are no SHA-256"),
        ];
        for (text, name) in seen {
            assert_eq!(Encoding::describe(text), name);
        }
        assert!(!Encoding::Base64Url.fits(base64));
        assert!(!Encoding::Base64Unpadded.fits(base64));
    }
}
