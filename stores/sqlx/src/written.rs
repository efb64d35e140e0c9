//! How bytes are written as text.

use hex::encode as hex;

/// How a digest is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    Bytes,
    Hex,
    UpperHex,
    Base64,
    Base64Unpadded,
    Base64Url,
    Base64UrlUnpadded,
}

impl Written {
    /// Bytes as text, if they are written as text.
    pub(super) fn text(self, bytes: &[u8]) -> Option<String> {
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

    /// How long a digest is.
    pub(super) fn len(self) -> usize {
        match self {
            Self::Bytes => 32,
            Self::Hex | Self::UpperHex => 64,
            Self::Base64 | Self::Base64Url => 44,
            Self::Base64Unpadded | Self::Base64UrlUnpadded => 43,
        }
    }

    /// Whether a text can be a digest that is written so.
    pub(super) fn fits(self, text: &str) -> bool {
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

    /// The words for it.
    pub(super) fn name(self) -> &'static str {
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

    /// What a text looks like, in words that show nothing of it.
    pub(super) fn describe(text: &str) -> String {
        const TEXTS: [Written; 6] = [
            Written::Hex,
            Written::UpperHex,
            Written::Base64,
            Written::Base64Unpadded,
            Written::Base64Url,
            Written::Base64UrlUnpadded,
        ];
        let written = TEXTS.into_iter().find(|written| written.fits(text));
        written.map_or_else(
            || format!("{} characters that are no SHA-256", text.chars().count()),
            |written| written.name().to_owned(),
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
            assert_eq!(Written::Base64.text(bytes.as_bytes()).unwrap(), text);
            let unpadded = text.trim_end_matches('=');
            assert_eq!(
                Written::Base64Unpadded.text(bytes.as_bytes()).unwrap(),
                unpadded
            );
        }
        assert_eq!(Written::Base64.text(&[0xfb, 0xff]).unwrap(), "+/8=");
        assert_eq!(Written::Base64Url.text(&[0xfb, 0xff]).unwrap(), "-_8=");
        assert_eq!(
            Written::Base64UrlUnpadded.text(&[0xfb, 0xff]).unwrap(),
            "-_8"
        );
    }

    #[test]
    fn a_digest_is_told_by_its_looks() {
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let base64 = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";
        let seen = [
            (digest, "64 lower-case hexadecimal digits"),
            (&*digest.to_uppercase(), "64 upper-case hexadecimal digits"),
            (base64, "44 characters of base64"),
            ("secret", "6 characters that are no SHA-256"),
        ];
        for (text, name) in seen {
            assert_eq!(Written::describe(text), name);
        }
        assert!(!Written::Base64Url.fits(base64));
        assert!(!Written::Base64Unpadded.fits(base64));
    }
}
