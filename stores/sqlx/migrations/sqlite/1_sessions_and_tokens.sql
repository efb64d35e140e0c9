CREATE TABLE tower_logout_sessions (
    id          TEXT    NOT NULL PRIMARY KEY,
    subject     TEXT    NOT NULL,
    generation  INTEGER NOT NULL, -- the generation of the live tokens
    predecessor BLOB,             -- the token that they replaced
    rotated_at  INTEGER NOT NULL, -- when it was replaced, or 0 after it was replaced again
    tokens      INTEGER NOT NULL, -- the number of remembered tokens
    expires_at  INTEGER NOT NULL  -- milliseconds since 1970
) WITHOUT ROWID;

CREATE INDEX tower_logout_sessions_subject ON tower_logout_sessions (subject);
CREATE INDEX tower_logout_sessions_expires_at ON tower_logout_sessions (expires_at);

CREATE TABLE tower_logout_tokens (
    digest     BLOB    NOT NULL PRIMARY KEY,
    session_id TEXT    NOT NULL REFERENCES tower_logout_sessions (id) ON DELETE CASCADE,
    generation INTEGER NOT NULL, -- replaced if below the generation of the session
    expires_at INTEGER NOT NULL  -- on its own, also while the session goes on
) WITHOUT ROWID;

CREATE INDEX tower_logout_tokens_session_id ON tower_logout_tokens (session_id, expires_at);
