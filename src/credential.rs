//! The token, and where it is read from.

use std::fmt;

use http::HeaderMap;
use http::header::COOKIE;
use memchr::memmem::Finder;
use smallvec::SmallVec;
use zeroize::Zeroizing;

/// The longest token that is handed to a store, in bytes.
const MAX_TOKEN_LEN: usize = 4096;
/// The most distinct tokens of one request that are handed to a store.
const MAX_TOKENS: usize = 8;
/// Below this a substring search costs more to start than a hop from `;` to `;` does.
const SHORT_FIELD: usize = 128;

/// A refresh token, as the client presents it.
///
/// `Debug` and `Display` are redacted, and the memory is zeroed when it is dropped. Only
/// [`expose`](Self::expose) shows what it holds.
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
    /// Takes over a token.
    pub fn new(token: impl Into<String>) -> Self {
        Self(Zeroizing::new(token.into()))
    }

    /// Makes a token of 256 bits from the operating system's random source, as 64 hexadecimal
    /// digits.
    ///
    /// # Errors
    ///
    /// If the operating system has no random source.
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
    #[cfg(feature = "_random")]
    pub fn generate() -> Result<Self, crate::BoxError> {
        Ok(Self(crate::store::random_hex::<32>()?))
    }

    /// The token itself. Mind where it goes: not into a log, an error or a URL.
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

/// What a request presented.
#[derive(Debug, Default)]
pub(crate) struct Credentials {
    /// The distinct tokens that are worth a store call.
    pub(crate) tokens: SmallVec<[Token; 1]>,
    /// Whether anything was presented, be it too long, too many or not text.
    pub(crate) presented: bool,
}

impl Credentials {
    fn add(&mut self, value: &[u8]) {
        if value.is_empty() {
            return;
        }
        self.presented = true;
        let Ok(text) = std::str::from_utf8(value) else {
            return;
        };
        if text.len() <= MAX_TOKEN_LEN
            && self.tokens.len() < MAX_TOKENS
            && self.tokens.iter().all(|known| known.expose() != text)
        {
            self.tokens.push(Token::new(text));
        }
    }
}

/// Reads the values of one cookie out of all `Cookie` fields of a request.
///
/// The fields are scanned as bytes, in time linear to their length: HTTP/2 splits cookies over
/// several fields (RFC 9113 §8.2.3), browsers send the cookies of the parent domain and of the host
/// under one name, and a neighbour in Latin-1 must not hide the token. White space around name and
/// value and one pair of quotes around the value do not count.
#[derive(Clone, Debug)]
pub(crate) struct CookieReader {
    name: Finder<'static>,
}

impl CookieReader {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: Finder::new(name).into_owned(),
        }
    }

    pub(crate) fn read(&self, headers: &HeaderMap) -> Credentials {
        let mut found = Credentials::default();
        for field in headers.get_all(COOKIE) {
            let field = field.as_bytes();
            if field.len() < SHORT_FIELD {
                self.hop(field, &mut found);
            } else {
                self.search(field, &mut found);
            }
        }
        found
    }

    /// From `;` to `;`.
    fn hop(&self, mut field: &[u8], found: &mut Credentials) {
        let name = self.name.needle();
        loop {
            let end = memchr::memchr(b';', field);
            let rest = trim_start(field).strip_prefix(name);
            if let Some(value) = rest.and_then(|rest| trim_start(rest).strip_prefix(b"=")) {
                let len = end.map_or(value.len(), |end| value.len() + end - field.len());
                found.add(unquote(&value[..len]));
            }
            match end {
                Some(end) => field = &field[end + 1..],
                None => return,
            }
        }
    }

    /// From one occurrence of the name to the next.
    fn search(&self, field: &[u8], found: &mut Credentials) {
        let name = self.name.needle();
        let mut from = 0;
        while let Some(at) = self.name.find(&field[from..]) {
            let start = from + at;
            from = start + name.len();
            let begins_pair = matches!(trim_end(&field[..start]).last(), None | Some(b';'));
            if !begins_pair {
                continue;
            }
            if let Some(value) = trim_start(&field[from..]).strip_prefix(b"=") {
                let len = memchr::memchr(b';', value).unwrap_or(value.len());
                found.add(unquote(&value[..len]));
                from = field.len() - value.len() + len;
            }
        }
    }
}

fn trim_start(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

fn trim_end(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

fn unquote(value: &[u8]) -> &[u8] {
    match trim_start(trim_end(value)) {
        [b'"', inner @ .., b'"'] => inner,
        value => value,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn read(fields: &[&[u8]]) -> Credentials {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(COOKIE, HeaderValue::from_bytes(field).unwrap());
        }
        CookieReader::new("refreshToken").read(&headers)
    }

    fn exposed(found: &Credentials) -> Vec<&str> {
        found.tokens.iter().map(Token::expose).collect()
    }

    /// The plain reading of RFC 6265 §5.4: split, trim, compare.
    fn reference(fields: &[Vec<u8>]) -> (Vec<String>, bool) {
        let trim = |bytes: &[u8]| -> Vec<u8> {
            let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
            let start = bytes.iter().position(|b| !blank(b)).unwrap_or(bytes.len());
            let end = bytes
                .iter()
                .rposition(|b| !blank(b))
                .map_or(start, |at| at + 1);
            bytes[start..end].to_vec()
        };
        let mut tokens: Vec<String> = Vec::new();
        let mut presented = false;
        for field in fields {
            for pair in field.split(|&byte| byte == b';') {
                let Some(equals) = pair.iter().position(|&byte| byte == b'=') else {
                    continue;
                };
                if trim(&pair[..equals]) != b"refreshToken" {
                    continue;
                }
                let mut value = trim(&pair[equals + 1..]);
                if value.len() >= 2 && value[0] == b'"' && value[value.len() - 1] == b'"' {
                    value = value[1..value.len() - 1].to_vec();
                }
                if value.is_empty() {
                    continue;
                }
                presented = true;
                let Ok(text) = String::from_utf8(value) else {
                    continue;
                };
                if text.len() <= 4096 && tokens.len() < 8 && !tokens.contains(&text) {
                    tokens.push(text);
                }
            }
        }
        (tokens, presented)
    }

    fn arbitrary_field() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            4 => Just(b"refreshToken".to_vec()),
            2 => Just(b"refreshToken=".to_vec()),
            2 => Just(b"=".to_vec()),
            4 => Just(b";".to_vec()),
            2 => Just(b"; ".to_vec()),
            1 => Just(b" \t".to_vec()),
            1 => Just(b"\"".to_vec()),
            1 => Just("ü".as_bytes().to_vec()),
            3 => proptest::collection::vec(
                prop_oneof![0x20_u8..=0x7e, 0x80_u8..=0xff],
                0..80,
            ),
        ];
        proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn the_scan_reads_what_the_plain_reading_reads(
            fields in proptest::collection::vec(arbitrary_field(), 0..5)
        ) {
            let slices: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
            let found = read(&slices);
            let (tokens, presented) = reference(&fields);
            prop_assert_eq!(exposed(&found), tokens);
            prop_assert_eq!(found.presented, presented);
        }
    }

    #[test]
    fn every_distinct_value_is_read_up_to_the_bound() {
        let many = (0..20)
            .map(|n| format!("refreshToken=t{n}"))
            .collect::<Vec<_>>()
            .join("; ");
        let found = read(&[many.as_bytes(), b"refreshToken=t1"]);
        assert_eq!(
            exposed(&found),
            ["t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7"]
        );
    }

    #[test]
    fn a_token_over_the_bound_is_presented_but_not_read() {
        let long = format!("refreshToken={}", "x".repeat(MAX_TOKEN_LEN + 1));
        let found = read(&[long.as_bytes()]);
        assert!(found.tokens.is_empty() && found.presented);

        let longest = format!("refreshToken={}", "x".repeat(MAX_TOKEN_LEN));
        assert_eq!(read(&[longest.as_bytes()]).tokens.len(), 1);
    }
}
