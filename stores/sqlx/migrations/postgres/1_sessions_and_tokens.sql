CREATE TABLE tower_logout_sessions (
    id          TEXT   NOT NULL PRIMARY KEY,
    subject     TEXT   NOT NULL,
    generation  BIGINT NOT NULL, -- that of the live tokens
    predecessor BYTEA,           -- the token that was rotated to them
    rotated_at  BIGINT NOT NULL, -- when that was, or 0 once it was rotated again
    tokens      BIGINT NOT NULL, -- how many are remembered
    expires_at  BIGINT NOT NULL  -- milliseconds since 1970
);

CREATE INDEX tower_logout_sessions_subject ON tower_logout_sessions (subject);
CREATE INDEX tower_logout_sessions_expires_at ON tower_logout_sessions (expires_at);

CREATE TABLE tower_logout_tokens (
    digest     BYTEA  NOT NULL PRIMARY KEY,
    session_id TEXT   NOT NULL REFERENCES tower_logout_sessions (id) ON DELETE CASCADE,
    generation BIGINT NOT NULL, -- rotated away if below that of its session
    expires_at BIGINT NOT NULL  -- by itself, whatever becomes of its session
);

CREATE INDEX tower_logout_tokens_session_id ON tower_logout_tokens (session_id, expires_at);
