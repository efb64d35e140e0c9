CREATE TABLE IF NOT EXISTS tower_logout_sessions (
    id          CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    subject     VARBINARY(512) NOT NULL, -- bytes: no collation makes two subjects equal
    generation  BIGINT NOT NULL,         -- the generation of the live tokens
    predecessor BINARY(32),              -- the token that they replaced
    rotated_at  BIGINT NOT NULL,         -- when it was replaced, or 0 after it was replaced again
    tokens      BIGINT NOT NULL,         -- the number of remembered tokens
    expires_at  BIGINT NOT NULL,         -- milliseconds since 1970
    INDEX tower_logout_sessions_subject (subject),
    INDEX tower_logout_sessions_expires_at (expires_at)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS tower_logout_tokens (
    digest     BINARY(32) NOT NULL PRIMARY KEY,
    session_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    generation BIGINT NOT NULL, -- replaced if below the generation of the session
    expires_at BIGINT NOT NULL, -- on its own, also while the session goes on
    INDEX tower_logout_tokens_session_id (session_id, expires_at),
    FOREIGN KEY (session_id) REFERENCES tower_logout_sessions (id) ON DELETE CASCADE
) ENGINE = InnoDB;
