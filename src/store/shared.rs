//! What our own stores have in common.

use std::time::{Duration, SystemTime};

use zeroize::Zeroizing;

use super::BoxError;

/// How long a session lives unless the store is told otherwise: 30 days.
pub(super) const DEFAULT_LIFETIME: Duration = Duration::from_hours(30 * 24);

/// How many rotated tokens of a session are remembered. Without a bound, a client that refreshes in
/// a loop fills the store.
pub(super) const MAX_ROTATED: u16 = 1000;

pub(super) const TOKEN_TAKEN: &str = "the token is known already: open and rotate need one of their \
                                      own, such as Token::generate gives";

/// When a session that is opened or rotated at `now` ends. A lifetime beyond a century is a century,
/// lest the sum be more than a clock can show.
pub(super) fn expiry(now: SystemTime, lifetime: Duration) -> SystemTime {
    const CENTURY: Duration = Duration::from_hours(100 * 365 * 24);
    now + lifetime.min(CENTURY)
}

/// Bytes of the operating system's random source, as hexadecimal digits.
pub(crate) fn random_hex<const BYTES: usize>() -> Result<Zeroizing<String>, BoxError> {
    let mut random = Zeroizing::new([0; BYTES]);
    getrandom::fill(&mut *random)?;
    Ok(Zeroizing::new(hex(&*random)))
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}
