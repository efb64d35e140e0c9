//! The conformance suite finds the faults of a store with rotated tokens.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use tower_logout::store::{
    Rotation, Session, SessionId, SessionPolicy, SessionStore, SubjectStore,
};
use tower_logout::testing::{Conformance, Report};
use tower_logout::{BoxError, MemoryStore, Revocation, Token, TokenStore, async_trait};

use support::*;

use crate::caught::assert_breaks;

const LEEWAY: Duration = Duration::from_millis(400);

const A_MOMENT: Duration = Duration::from_millis(20);

/// The fault of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    RemembersAThousand,
    RemembersForAMoment,
    RemembersForEver,
    RefusesWithinTheLeeway,
    HasALeewayWithoutEnd,
    EndsTheFirstOfTwo,
    KeepsBothAfterARotation,
    RotatesAThirdTime,
    EndsOneOfTwoAlone,
    KeepsOneAlone,
    KeepsByARotatedToken,
    NamesAgain,
    NamesTheSubjectOfLiveTokensAlone,
}

/// A memory store with a fault.
#[derive(Clone)]
struct Faulty {
    store: MemoryStore,
    fault: Fault,
    seen: Arc<Mutex<Seen>>,
}

/// The calls that a faulty store has seen.
#[derive(Default)]
struct Seen {
    rotated: HashMap<String, Vec<RotatedTo>>,
    /// The last token of each session, and the number of rotations.
    last: HashMap<SessionId, (Token, usize)>,
    ended: Vec<Session>,
}

struct RotatedTo {
    id: SessionId,
    next: String,
    at: Instant,
    number: usize,
}

impl Seen {
    fn add(&mut self, presented: &Token, next: &Token, id: &SessionId) {
        let number = self.last.get(id).map_or(1, |(_, number)| number + 1);
        self.last.insert(id.clone(), (next.clone(), number));
        let rotated = self.rotated.entry(presented.expose().into()).or_default();
        rotated.push(RotatedTo {
            id: id.clone(),
            next: next.expose().into(),
            at: Instant::now(),
            number,
        });
    }

    /// The time since the first rotation of a token, and the number of rotations of its session since then.
    fn since(&self, token: &Token) -> Option<(Duration, usize)> {
        let first = self.rotated.get(token.expose())?.first()?;
        let (_, last) = &self.last[&first.id];
        Some((first.at.elapsed(), last - first.number))
    }

    fn times(&self, token: &Token) -> usize {
        self.rotated.get(token.expose()).map_or(0, Vec::len)
    }

    /// The last token of the session of a rotated token.
    fn last_of(&self, token: &Token) -> Option<Token> {
        let first = self.rotated.get(token.expose())?.first()?;
        Some(self.last[&first.id].0.clone())
    }

    /// Whether a token is the first (0) or the second (1) of two successors.
    fn is_next_of_two(&self, token: &Token, index: usize) -> bool {
        let mut twice = self.rotated.values().filter(|nexts| nexts.len() > 1);
        twice.any(|nexts| nexts[index].next == token.expose())
    }
}

impl Faulty {
    fn new(fault: Fault, lifetime: Duration) -> Self {
        let leeway = match fault {
            Fault::RefusesWithinTheLeeway => Duration::ZERO,
            Fault::HasALeewayWithoutEnd => Duration::from_secs(3600),
            _ => LEEWAY,
        };
        let policy = SessionPolicy::new()
            .with_lifetime(lifetime)
            .with_reuse_leeway(leeway);
        Self {
            store: MemoryStore::new().with_policy(policy),
            fault,
            seen: Arc::default(),
        }
    }

    fn has_forgotten(&self, token: &Token) -> bool {
        let since = self.seen.lock().unwrap().since(token);
        match (self.fault, since) {
            (Fault::RemembersAThousand, Some((_, rotations))) => rotations >= 1000,
            (Fault::RemembersForAMoment, Some((age, _))) => age > A_MOMENT,
            _ => false,
        }
    }
}

#[async_trait]
impl TokenStore for Faulty {
    async fn revoke(&self, token: &Token) -> Result<Revocation, BoxError> {
        if self.has_forgotten(token) {
            return Ok(Revocation::NotFound);
        }
        let found = self.store.find(token).await?;
        if self.fault == Fault::EndsOneOfTwoAlone
            && self.seen.lock().unwrap().is_next_of_two(token, 1)
        {
            return Ok(found.map_or(Revocation::NotFound, |found| {
                Revocation::Sessions(found.id.into())
            }));
        }
        self.seen.lock().unwrap().ended.extend(found);
        let revoked = self.store.revoke(token).await?;
        let last = self.seen.lock().unwrap().last_of(token);
        match (self.fault, revoked, last) {
            (Fault::RemembersForEver, Revocation::NotFound, Some(last)) => {
                self.store.revoke(&last).await
            }
            (_, revoked, _) => Ok(revoked),
        }
    }
}

#[async_trait]
impl SubjectStore for Faulty {
    async fn subject(&self, token: &Token) -> Result<Option<String>, BoxError> {
        if self.fault == Fault::NamesTheSubjectOfLiveTokensAlone {
            let found = self.store.find(token).await?;
            return Ok(found.map(|session| session.subject));
        }
        self.store.subject(token).await
    }

    async fn revoke_subject(&self, subject: &str, keep: &[Token]) -> Result<Revocation, BoxError> {
        let mut keep = keep.to_vec();
        match self.fault {
            Fault::KeepsOneAlone => keep.truncate(3),
            Fault::KeepsByARotatedToken => {
                let seen = self.seen.lock().unwrap();
                let last: Vec<_> = keep
                    .iter()
                    .filter_map(|token| seen.last_of(token))
                    .collect();
                keep.extend(last);
            }
            _ => {}
        }
        let revoked = self.store.revoke_subject(subject, &keep).await?;
        if self.fault != Fault::NamesAgain {
            return Ok(revoked);
        }
        let mut seen = self.seen.lock().unwrap();
        if let Revocation::Sessions(ids) = &revoked {
            let now = std::time::SystemTime::now();
            let ended = ids.iter().map(|id| Session::new(id.clone(), subject, now));
            seen.ended.extend(ended);
        }
        let ended = seen.ended.iter().filter(|ended| ended.subject == subject);
        Ok(ended.map(|ended| ended.id.clone()).collect())
    }
}

#[async_trait]
impl SessionStore for Faulty {
    async fn open(&self, subject: &str, token: &Token) -> Result<Session, BoxError> {
        self.store.open(subject, token).await
    }

    async fn rotate(&self, presented: &Token, next: &Token) -> Result<Rotation, BoxError> {
        if self.has_forgotten(presented) {
            return Ok(Rotation::NotFound);
        }
        let (times, last) = {
            let seen = self.seen.lock().unwrap();
            (seen.times(presented), seen.last_of(presented))
        };
        if self.fault == Fault::RotatesAThirdTime
            && times == 2
            && let Some(last) = last
            && let Some(session) = self.store.find(&last).await?
        {
            return Ok(Rotation::Rotated(session));
        }
        let rotation = self.store.rotate(presented, next).await?;
        if let Rotation::Rotated(session) = &rotation {
            self.seen.lock().unwrap().add(presented, next, &session.id);
        }
        Ok(rotation)
    }

    fn reuse_leeway(&self) -> Duration {
        LEEWAY
    }

    async fn find(&self, token: &Token) -> Result<Option<Session>, BoxError> {
        let found = self.store.find(token).await?;
        let is_next_of_two = |index| self.seen.lock().unwrap().is_next_of_two(token, index);
        match self.fault {
            Fault::EndsTheFirstOfTwo if is_next_of_two(0) => Ok(None),
            Fault::KeepsBothAfterARotation if is_next_of_two(0) || is_next_of_two(1) => {
                let subject = self.store.subject(token).await?;
                let id = SessionId::new("of-the-family");
                let session = |subject| Session::new(id, subject, std::time::SystemTime::now());
                Ok(found.or(subject.map(session)))
            }
            _ => Ok(found),
        }
    }

    async fn find_session(&self, id: &SessionId) -> Result<Option<Session>, BoxError> {
        self.store.find_session(id).await
    }

    async fn delete_expired(&self, at_most: u32) -> Result<u32, BoxError> {
        self.store.delete_expired(at_most).await
    }
}

/// The promise that each fault breaks, as a part of its text.
const CAUGHT: [(Fault, &str); 13] = [
    (
        Fault::RemembersAThousand,
        "the first token of a session is remembered",
    ),
    (Fault::RemembersForAMoment, "until its own expiry"),
    (Fault::RemembersForEver, "even if its session"),
    (
        Fault::RefusesWithinTheLeeway,
        "can be rotated a second time",
    ),
    (Fault::HasALeewayWithoutEnd, "its reuse ends the session"),
    (Fault::EndsTheFirstOfTwo, "both successors live"),
    (
        Fault::KeepsBothAfterARotation,
        "until one of them is rotated",
    ),
    (Fault::RotatesAThirdTime, "a third time"),
    (
        Fault::EndsOneOfTwoAlone,
        "either successor ends the session",
    ),
    (Fault::KeepsOneAlone, "a presented live token is kept"),
    (Fault::KeepsByARotatedToken, "a rotated token keeps none"),
    (Fault::NamesAgain, "session is named once"),
    (
        Fault::NamesTheSubjectOfLiveTokensAlone,
        "names the subject of its session",
    ),
];

async fn verdict(fault: Fault) -> Result<Report, Report> {
    let suite = Conformance::new(Faulty::new(fault, Duration::from_secs(3600)))
        .with_subjects()
        .with_short_lived(Faulty::new(fault, Duration::from_secs(2)))
        .with_rounds(5);
    tokio::spawn(suite.run()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_breaks_its_promise() {
    let verdicts = stream::iter(CAUGHT).map(async |(fault, promise)| {
        let verdict = verdict(fault).await;
        (fault, promise, verdict)
    });
    let mut verdicts = verdicts.buffer_unordered(4);
    while let Some((fault, promise, verdict)) = verdicts.next().await {
        assert_breaks(fault, promise, verdict);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promise_that_does_not_apply_is_not_checked() {
    let store =
        MemoryStore::new().with_policy(SessionPolicy::new().with_reuse_leeway(Duration::ZERO));
    let report = Conformance::new(store)
        .with_rotations(3)
        .run()
        .await
        .unwrap();
    let report = report.to_string();
    assert_eq!(report.matches("there is no leeway").count(), 3, "{report}");
    assert!(
        report.contains("with_short_lived was not called"),
        "{report}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_expire_before_they_can_be_checked_are_reported() {
    let policy = SessionPolicy::new().with_reuse_leeway(Duration::ZERO);
    let store = MemoryStore::new().with_policy(policy);
    let short = store
        .clone()
        .with_policy(policy.with_lifetime(Duration::from_millis(20)));
    assert!(is_live(&store, &open(&store, "alice").await).await);
    let suite = Conformance::new(store).with_short_lived(short);
    let report = suite.run().await.unwrap_err();
    let mut broken = report.broken();
    assert!(broken.any(|(_, seen)| seen.contains("sessions live longer")));
}
