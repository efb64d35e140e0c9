//! The names of the keys.

use std::sync::Arc;

/// What all keys begin with. A session's keys lie in one slot of a cluster by the hash tag of its id,
/// which is what stands between the first braces of a key: none may open in the prefix.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    prefix: Arc<str>,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.replace('{', "%7B").into(),
        }
    }

    /// Where a token's session is.
    pub(super) fn pointer(&self, digest: &str) -> String {
        format!("{}:token:{digest}", self.prefix)
    }

    /// A session, and its rotated tokens.
    pub(super) fn session(&self, id: &str) -> (String, String) {
        (
            format!("{}:session:{{{id}}}", self.prefix),
            format!("{}:rotated:{{{id}}}", self.prefix),
        )
    }

    /// The list of a subject's sessions.
    pub(super) fn subject(&self, subject: &str) -> String {
        format!("{}:subject:{subject}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the server cuts it out of a key.
    fn hash_tag(key: &str) -> &str {
        let (_, rest) = key.split_once('{').unwrap();
        rest.split_once('}').unwrap().0
    }

    #[test]
    fn whatever_the_prefix_a_session_lies_where_its_id_says() {
        for prefix in ["app", "{app}", "a{b", "a{}b", "{", "}", "{{}}"] {
            let (session, rotated) = Keys::new(prefix).session("1f0c");
            assert_eq!(hash_tag(&session), "1f0c", "{session}");
            assert_eq!(hash_tag(&rotated), "1f0c", "{rotated}");
        }
        assert_eq!(Keys::new("app").pointer("0a"), "app:token:0a");
    }
}
