//! A table of refresh tokens that an application has already.

mod check;
mod description;
mod group;
mod held;
mod mark;
mod probe;
mod references;
mod sample;
mod statements;
mod store;
mod subject;

pub use self::description::ExistingTable;
pub use self::mark::{Expiry, Live, Mark};
pub use self::store::TableStore;
pub use self::subject::SubjectTableStore;
