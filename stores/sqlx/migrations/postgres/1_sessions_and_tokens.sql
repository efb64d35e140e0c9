CREATE TABLE tower_logout_sessions (
    id          TEXT   NOT NULL PRIMARY KEY,
    subject     TEXT   NOT NULL,
    generation  BIGINT NOT NULL, -- the generation of the live tokens
    predecessor BYTEA,           -- the token that they replaced
    rotated_at  BIGINT NOT NULL, -- when it was replaced, or 0 after it was replaced again
    tokens      BIGINT NOT NULL, -- the number of remembered tokens
    expires_at  BIGINT NOT NULL  -- milliseconds since 1970
);

CREATE INDEX tower_logout_sessions_subject ON tower_logout_sessions (subject);
CREATE INDEX tower_logout_sessions_expires_at ON tower_logout_sessions (expires_at);

CREATE TABLE tower_logout_tokens (
    digest     BYTEA  NOT NULL PRIMARY KEY,
    session_id TEXT   NOT NULL REFERENCES tower_logout_sessions (id) ON DELETE CASCADE,
    generation BIGINT NOT NULL, -- replaced if below the generation of the session
    expires_at BIGINT NOT NULL  -- on its own, also while the session goes on
);

CREATE INDEX tower_logout_tokens_session_id ON tower_logout_tokens (session_id, expires_at);
