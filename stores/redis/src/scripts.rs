//! The scripts. Each changes one session, or one key, atomically.

use redis::Script;

/// A script that works on a session.
macro_rules! session_script {
    ($file:literal) => {
        concat!(
            include_str!("scripts/session.lua"),
            include_str!(concat!("scripts/", $file))
        )
    };
}

pub(super) const REVOKE: &str = session_script!("revoke.lua");

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
            member: Script::new(session_script!("member.lua")),
            open: Script::new(session_script!("open.lua")),
            revoke: Script::new(REVOKE),
            rotate: Script::new(session_script!("rotate.lua")),
        }
    }
}
