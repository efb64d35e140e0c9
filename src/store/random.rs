//! Random text for tokens and ids.

use zeroize::Zeroizing;

use super::BoxError;

/// Returns random bytes of the operating system as hexadecimal digits.
pub(crate) fn random_hex<const BYTES: usize>() -> Result<Zeroizing<String>, BoxError> {
    let mut random = Zeroizing::new([0; BYTES]);
    getrandom::fill(&mut *random)?;
    Ok(Zeroizing::new(hex(&*random)))
}

/// Lower-case hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}
