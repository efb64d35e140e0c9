//! The limits of the tokens of a request.

/// A logout beyond these limits fails, because a token that was not read may still work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// The number of distinct values. A browser sends one cookie of a name for each prefix of the path and
    /// each level of the domain (RFC 6265 §5.4). The default path has four prefixes, and three domain
    /// levels are common.
    pub(crate) tokens: usize,
    /// The length of a cookie value. Browsers keep at most 4,096 bytes for the name and the value (RFC
    /// 6265bis §5.6).
    pub(crate) cookie_len: usize,
    /// The length of a token outside cookies.
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
