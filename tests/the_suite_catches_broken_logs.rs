//! The conformance suite finds and reports the faults of a log of ended sessions.

use std::time::Duration;

use tower_logout::ended::{Cursor, EndedLog, Page};
use tower_logout::store::SessionPolicy;
use tower_logout::testing::{Conformance, Report};
use tower_logout::{BoxError, MemoryStore, async_trait};

use crate::caught::assert_breaks;

/// The fault of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    BelongsToAnotherStore,
    RemembersNothing,
    ForgetsAtOnce,
    KeepsForEver,
    LosesAllButOneOfABurst,
    FailsOnAnotherCursor,
    StartsAtTheEnd,
    NeverCompletes,
    Panics,
}

struct Faulty<L> {
    log: L,
    fault: Fault,
}

#[async_trait]
impl<L: EndedLog> EndedLog for Faulty<L> {
    async fn read(&self, since: Option<&Cursor>) -> Result<Page, BoxError> {
        if self.fault == Fault::FailsOnAnotherCursor {
            if let Some(cursor) = since {
                cursor.as_str().parse::<u64>()?;
            }
        }
        let mut page = self.log.read(since).await?;
        match self.fault {
            Fault::ForgetsAtOnce => page.ended.iter_mut().for_each(|(_, left)| *left /= 10),
            Fault::KeepsForEver => page.ended.iter_mut().for_each(|(_, left)| *left *= 10),
            Fault::LosesAllButOneOfABurst => page.ended.truncate(1),
            Fault::StartsAtTheEnd if since.is_none() => page.ended.clear(),
            Fault::NeverCompletes => page.is_complete = false,
            Fault::Panics => panic!("in a read"),
            _ => {}
        }
        Ok(page)
    }

    fn retention(&self) -> Duration {
        match self.fault {
            Fault::RemembersNothing => Duration::ZERO,
            _ => self.log.retention(),
        }
    }
}

fn store() -> MemoryStore {
    MemoryStore::new().with_policy(SessionPolicy::new().with_reuse_leeway(Duration::ZERO))
}

async fn verdict(fault: Fault) -> Result<Report, Report> {
    let store = store();
    let log = match fault {
        Fault::BelongsToAnotherStore => self::store().ended_log(),
        _ => store.ended_log(),
    };
    Conformance::new(store)
        .with_subjects()
        .with_ended_log(Faulty { log, fault })
        .run()
        .await
}

/// The promise that each fault breaks, as a part of its text.
const CAUGHT: [(Fault, &str); 9] = [
    (Fault::BelongsToAnotherStore, "reuse of a rotated token"),
    (Fault::RemembersNothing, "when its revocation returns"),
    (Fault::ForgetsAtOnce, "when its revocation returns"),
    (Fault::KeepsForEver, "when its revocation returns"),
    (Fault::LosesAllButOneOfABurst, "ends with its subject"),
    (Fault::FailsOnAnotherCursor, "a cursor of another log"),
    (Fault::StartsAtTheEnd, "a read without a cursor"),
    (Fault::NeverCompletes, "misses no session"),
    (Fault::Panics, "misses no session"),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_breaks_its_promise() {
    for (fault, promise) in CAUGHT {
        assert_breaks(fault, promise, verdict(fault).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_the_store_in_memory_keeps_its_promises() {
    let store = store();
    let log = store.ended_log();
    let suite = Conformance::new(store).with_subjects().with_rounds(200);
    let report = suite.with_ended_log(log).run().await.unwrap();
    let promises: Vec<_> = report.verdicts().map(|(promise, _)| promise).collect();
    assert!(
        promises
            .iter()
            .any(|promise| promise.contains("misses no session"))
    );
}
