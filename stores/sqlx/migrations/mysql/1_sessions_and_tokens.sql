CREATE TABLE tower_logout_sessions (
    id          CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    subject     VARBINARY(512) NOT NULL, -- bytes: no collation takes two subjects for one
    generation  BIGINT NOT NULL,         -- that of the live tokens
    predecessor BINARY(32),              -- the token that was rotated to them
    rotated_at  BIGINT NOT NULL,         -- when that was, or 0 once it was rotated again
    tokens      BIGINT NOT NULL,         -- how many are remembered
    expires_at  BIGINT NOT NULL,         -- milliseconds since 1970
    INDEX tower_logout_sessions_subject (subject),
    INDEX tower_logout_sessions_expires_at (expires_at)
) ENGINE = InnoDB;

CREATE TABLE tower_logout_tokens (
    digest     BINARY(32) NOT NULL PRIMARY KEY,
    session_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    generation BIGINT NOT NULL, -- rotated away if below that of its session
    expires_at BIGINT NOT NULL, -- by itself, whatever becomes of its session
    INDEX tower_logout_tokens_session_id (session_id, expires_at),
    FOREIGN KEY (session_id) REFERENCES tower_logout_sessions (id) ON DELETE CASCADE
) ENGINE = InnoDB;
