//! The programs that the end-to-end tests start: databases, browsers, and the examples.

pub mod browser;
pub mod database;
pub mod ended_log;
pub mod node;
pub mod own_table;
pub mod prepared;
pub mod process;
pub mod program;
pub mod proxy;
pub mod rig;
pub mod session_table;

pub use program::find_program;
