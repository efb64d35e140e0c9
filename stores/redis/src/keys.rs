//! The names of the keys.

use std::sync::Arc;

/// The names of all keys start with one prefix. In a cluster, the hash tag of a key chooses its slot: the
/// text between the first braces. Both keys of a session have the id there, so no brace may open in
/// the prefix.
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

    /// The pointer from a token to its session: a string, the id of the session.
    pub(super) fn pointer(&self, digest: &str) -> String {
        format!("{}:token:{digest}", self.prefix)
    }

    /// A session (a hash), and its rotated tokens (a sorted set).
    pub(super) fn session(&self, id: &str) -> (String, String) {
        (
            format!("{}:session:{{{id}}}", self.prefix),
            format!("{}:rotated:{{{id}}}", self.prefix),
        )
    }

    /// The ids of a subject's sessions: a sorted set.
    pub(super) fn subject(&self, subject: &str) -> String {
        format!("{}:subject:{subject}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hash tag of a key, as a server reads it.
    fn hash_tag(key: &str) -> &str {
        let (_, rest) = key.split_once('{').unwrap();
        rest.split_once('}').unwrap().0
    }

    #[test]
    fn both_keys_of_a_session_have_its_id_as_hash_tag_with_any_prefix() {
        for prefix in ["app", "{app}", "a{b", "a{}b", "{", "}", "{{}}"] {
            let (session, rotated) = Keys::new(prefix).session("1f0c");
            assert_eq!(hash_tag(&session), "1f0c", "{session}");
            assert_eq!(hash_tag(&rotated), "1f0c", "{rotated}");
        }
        assert_eq!(Keys::new("app").pointer("0a"), "app:token:0a");
    }
}
