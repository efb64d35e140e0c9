//! The scripts, each of which changes one key or one session as a whole.

use redis::Script;

/// A script over a session.
macro_rules! over_a_session {
    ($file:literal) => {
        concat!(
            include_str!("scripts/family.lua"),
            include_str!(concat!("scripts/", $file))
        )
    };
}

pub(super) const REVOKE: &str = over_a_session!("revoke.lua");

#[derive(Debug)]
pub(super) struct Scripts {
    pub(super) list: Script,
    pub(super) member: Script,
    pub(super) open: Script,
    pub(super) revoke: Script,
    pub(super) rotate: Script,
}

impl Default for Scripts {
    fn default() -> Self {
        Self {
            list: Script::new(include_str!("scripts/list.lua")),
            member: Script::new(over_a_session!("member.lua")),
            open: Script::new(over_a_session!("open.lua")),
            revoke: Script::new(REVOKE),
            rotate: Script::new(over_a_session!("rotate.lua")),
        }
    }
}
