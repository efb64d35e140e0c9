//! The cursor of the log: the last entry that was read in each stream.

use std::fmt;
use std::str::FromStr;

use tower_logout::ended::Cursor;

use crate::keys::BUCKETS;

/// The id of an entry: milliseconds since 1970 by the clock of the server, and a number within the
/// millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EntryId {
    pub(super) millis: u64,
    number: u64,
}

/// The last entry of each bucket, or none if all entries are to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Positions(Vec<Option<EntryId>>);

impl EntryId {
    /// The greatest id below this one. A read from there begins with the entry itself.
    fn predecessor(self) -> Self {
        match self.number.checked_sub(1) {
            Some(number) => Self { number, ..self },
            None => Self {
                millis: self.millis.saturating_sub(1),
                number: u64::MAX,
            },
        }
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.millis, self.number)
    }
}

impl FromStr for EntryId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (millis, number) = text.split_once('-').ok_or(())?;
        Ok(Self {
            millis: millis.parse().map_err(drop)?,
            number: number.parse().map_err(drop)?,
        })
    }
}

impl Positions {
    /// Before all entries.
    pub(super) fn start() -> Self {
        Self(vec![None; usize::from(BUCKETS)])
    }

    /// The positions of a cursor. A cursor of another log is the start.
    pub(super) fn of(cursor: Option<&Cursor>) -> Self {
        cursor.and_then(Self::parse).unwrap_or_else(Self::start)
    }

    fn parse(cursor: &Cursor) -> Option<Self> {
        let parts = cursor.as_str().split(',');
        let positions = parts.map(|part| match part {
            "" => Some(None),
            id => id.parse().ok().map(Some),
        });
        let positions: Vec<_> = positions.collect::<Option<_>>()?;
        (positions.len() == usize::from(BUCKETS)).then_some(Self(positions))
    }

    pub(super) fn cursor(&self) -> Cursor {
        let id = |id: &Option<EntryId>| id.map_or_else(String::new, |id| id.to_string());
        let ids: Vec<_> = self.0.iter().map(id).collect();
        Cursor::new(ids.join(","))
    }

    pub(super) fn get(&self, bucket: u8) -> Option<EntryId> {
        self.0.get(usize::from(bucket)).copied().flatten()
    }

    pub(super) fn set(&mut self, bucket: u8, last: Option<EntryId>) {
        if let Some(position) = self.0.get_mut(usize::from(bucket)) {
            *position = last;
        }
    }

    /// The id after which a stream is read: the last entry comes again, and shows that the stream is still
    /// the one that was read before.
    pub(super) fn before_last(&self, bucket: u8) -> String {
        self.get(bucket)
            .map_or_else(|| "0".to_owned(), |last| last.predecessor().to_string())
    }

    /// The id after which an entry is news.
    pub(super) fn last(&self, bucket: u8) -> String {
        self.get(bucket)
            .map_or_else(|| "0".to_owned(), |last| last.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_keeps_each_position() {
        let mut positions = Positions::start();
        assert_eq!(Positions::of(Some(&positions.cursor())), positions);
        positions.set(0, "1764151234567-0".parse().ok());
        positions.set(63, "1764151234567-12".parse().ok());
        assert_eq!(Positions::of(Some(&positions.cursor())), positions);
        assert_eq!(positions.last(63), "1764151234567-12");
        assert_eq!(positions.before_last(63), "1764151234567-11");
        let before = format!("1764151234566-{}", u64::MAX);
        assert_eq!(positions.before_last(0), before);
        assert_eq!(positions.before_last(1), "0");
    }

    #[test]
    fn a_cursor_of_another_log_is_the_start() {
        let short = ",".repeat(62);
        let wrong = format!("{}x", ",".repeat(63));
        for text in ["", "17", "(0,5,)", &short, &wrong] {
            assert_eq!(
                Positions::of(Some(&Cursor::new(text))),
                Positions::start(),
                "{text}"
            );
        }
        assert_eq!(Positions::of(None), Positions::start());
    }
}
