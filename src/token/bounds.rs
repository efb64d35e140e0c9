//! How much of a request is presented to the store.

/// A request that goes beyond is a failed logout: what was not looked at may still work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// A browser sends one cookie of a name for each prefix of the path and each level of the domain
    /// (RFC 6265 §5.4): four paths for the default one, and three domains that are not a public suffix.
    pub(crate) tokens: usize,
    /// The longest that browsers keep, name and attributes included (RFC 6265bis §5.6).
    pub(crate) cookie_len: usize,
    /// Of a token that is not in a cookie.
    pub(crate) token_len: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            tokens: 16,
            cookie_len: 4096,
            token_len: 16 * 1024,
        }
    }
}
