//! An entry of the log: one field, whose name says how the value writes the id of a session.

use tower_logout::store::SessionId;

/// The field of an id of 32 lower-case hexadecimal digits. The value has its 16 bytes.
const RAW: &str = "id";
/// The field of any other id. The value has the text.
const TEXT: &str = "text";

/// The field and the value of a session.
pub(crate) fn entry(id: &str) -> (&'static str, Vec<u8>) {
    match raw_id(id) {
        Some(raw) => (RAW, raw.to_vec()),
        None => (TEXT, id.as_bytes().to_vec()),
    }
}

/// The session of an entry, or nothing if the store did not write the entry.
pub(super) fn session(fields: &[Vec<u8>]) -> Option<SessionId> {
    let [field, value] = fields else {
        return None;
    };
    match field.as_slice() {
        field if field == RAW.as_bytes() => Some(SessionId::new(hex::encode(value))),
        field if field == TEXT.as_bytes() => {
            let text = std::str::from_utf8(value).ok()?;
            Some(SessionId::new(text))
        }
        _ => None,
    }
}

/// The bytes of an id of 32 lower-case hexadecimal digits.
pub(crate) fn raw_id(id: &str) -> Option<[u8; 16]> {
    let mut raw = [0; 16];
    let is_lower_case = !id.bytes().any(|byte| byte.is_ascii_uppercase());
    (is_lower_case && hex::decode_to_slice(id, &mut raw).is_ok()).then_some(raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_names_its_session() {
        let generated = SessionId::generate().unwrap();
        let (_, value) = entry(generated.as_str());
        assert_eq!(value.len(), 16);
        for id in [
            generated.as_str(),
            "",
            "1f0c",
            // As text, an id that is as long as the bytes of another one.
            "0123456789abcdef",
            "AB54A98CEB1F0AD2AB54A98CEB1F0AD2",
            "zb54a98ceb1f0ad2ab54a98ceb1f0ad2",
            "\u{e9}",
        ] {
            let (field, value) = entry(id);
            let read = session(&[field.into(), value]).unwrap();
            assert_eq!(read.as_str(), id);
        }
        assert_eq!(session(&[b"other".to_vec(), b"1f0c".to_vec()]), None);
        assert_eq!(session(&[]), None);
    }
}
