//! Sessions in an existing table.

mod builder;
mod catalog;
mod check;
mod column;
mod description;
mod ended;
mod error;
mod group;
mod held;
mod lookup;
mod mark;
mod probe;
mod queries;
mod references;
mod sample;
mod shape;
mod statement;
mod store;
mod subject;
mod subject_queries;
mod table_statement;

pub use self::builder::TableStoreBuilder;
pub use self::error::TableError;
pub use self::lookup::TableSession;
pub use self::mark::{Expiry, Live, Mark};
pub use self::store::TableStore;
pub use self::subject::WithSubjects;
pub use self::table_statement::TableStatement;
