//! The names of the keys.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::ended::raw_id;

/// How many buckets the sessions share.
pub(super) const BUCKETS: u8 = 64;

/// The names of all keys contain one prefix. In a cluster, the hash tag of a key chooses its slot: the
/// text between the first braces. The keys of a session start with such a tag: the prefix, and the
/// number of a bucket. So the prefix must not contain a brace.
///
/// Sessions share 64 buckets, because a script can only change keys of one slot, and a log of ended
/// sessions cannot have a key for each session.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    prefix: Arc<str>,
}

/// The keys of a session.
pub(super) struct SessionKeys {
    /// The session: a hash.
    pub(super) session: String,
    /// Its rotated tokens: a sorted set.
    pub(super) rotated: String,
    /// The log of its bucket.
    pub(super) log: String,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.replace('{', "%7B").replace('}', "%7D").into(),
        }
    }

    /// The pointer from a token to its session: a string, the id of the session.
    pub(super) fn pointer(&self, digest: &str) -> String {
        format!("{}:token:{digest}", self.prefix)
    }

    pub(super) fn session(&self, id: &str) -> SessionKeys {
        let bucket = bucket(id);
        let tag = self.tag(bucket);
        SessionKeys {
            log: self.log(bucket),
            session: format!("{tag}:session:{id}"),
            rotated: format!("{tag}:rotated:{id}"),
        }
    }

    /// The ids of a subject's sessions: a sorted set.
    pub(super) fn subject(&self, subject: &str) -> String {
        format!("{}:subject:{subject}", self.prefix)
    }

    /// The ended sessions of a bucket: a stream.
    pub(super) fn log(&self, bucket: u8) -> String {
        format!("{}:ended", self.tag(bucket))
    }

    /// In a cluster, tells readers that the log has news: a stream of one entry.
    pub(super) fn bell(&self) -> String {
        format!("{}:bell", self.prefix)
    }

    fn tag(&self, bucket: u8) -> String {
        format!("{{{}:{bucket:02x}}}", self.prefix)
    }
}

/// The bucket of a session: the first 6 bits of its id, or of the digest of an id that is not one of
/// [`SessionId::generate`](tower_logout::store::SessionId::generate).
fn bucket(id: &str) -> u8 {
    let first = raw_id(id).map_or_else(|| Sha256::digest(id)[0], |[first, ..]| first);
    first >> 2
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use tower_logout::store::SessionId;

    use super::*;

    const ID: &str = "ab54a98ceb1f0ad2ab54a98ceb1f0ad2";

    /// The hash tag of a key, as a server reads it. Without one, the whole key chooses the slot.
    fn hash_tag(key: &str) -> &str {
        let (_, rest) = key.split_once('{').unwrap();
        let tag = rest.split_once('}').unwrap().0;
        assert!(!tag.is_empty(), "{key}");
        tag
    }

    #[test]
    fn all_keys_of_a_session_have_its_bucket_as_hash_tag_with_any_prefix() {
        for prefix in [
            "app", "{app}", "a{b", "a{}b", "a}b", "{", "}", "{{}}", "}{", "",
        ] {
            let keys = Keys::new(prefix).session(ID);
            let tag = hash_tag(&keys.session);
            assert!(tag.ends_with(":2a"), "{}", keys.session);
            assert_eq!(hash_tag(&keys.rotated), tag, "{}", keys.rotated);
            assert_eq!(hash_tag(&keys.log), tag, "{}", keys.log);
        }
    }

    #[test]
    fn the_names_of_the_keys_do_not_change() {
        let keys = Keys::new("app");
        assert_eq!(keys.pointer("0a"), "app:token:0a");
        assert_eq!(keys.subject("alice"), "app:subject:alice");
        assert_eq!(keys.bell(), "app:bell");
        let SessionKeys {
            session,
            rotated,
            log,
        } = keys.session(ID);
        assert_eq!(session, format!("{{app:2a}}:session:{ID}"));
        assert_eq!(rotated, format!("{{app:2a}}:rotated:{ID}"));
        assert_eq!(log, "{app:2a}:ended");
        assert_eq!(keys.log(0x2a), log);
        for (id, bucket) in [
            ("", "38"),
            ("1f0c", "0c"),
            ("AB54A98CEB1F0AD2AB54A98CEB1F0AD2", "22"),
            ("zb54a98ceb1f0ad2ab54a98ceb1f0ad2", "00"),
        ] {
            let key = keys.session(id).session;
            assert_eq!(hash_tag(&key), format!("app:{bucket}"), "{key}");
        }
    }

    #[test]
    fn sessions_use_64_buckets_of_the_same_size() {
        let mut sizes = [0; 64];
        for _ in 0..64_000 {
            sizes[usize::from(bucket(SessionId::generate().unwrap().as_str()))] += 1;
        }
        // A thousand each, and six standard deviations.
        assert!(sizes.iter().all(|size| (800..1200).contains(size)));
        let keys = |prefix| {
            let keys = Keys::new(prefix);
            (0..BUCKETS).map(move |bucket| keys.tag(bucket))
        };
        let tags: HashSet<_> = keys("app").chain(keys("other")).collect();
        assert_eq!(tags.len(), 128);
    }
}
