CREATE TABLE tower_logout_sessions (
    id         CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    subject    VARBINARY(512) NOT NULL, -- bytes: no collation takes two subjects for one
    generation BIGINT NOT NULL,         -- that of the live token
    expires_at BIGINT NOT NULL,         -- milliseconds since 1970
    INDEX tower_logout_sessions_subject (subject),
    INDEX tower_logout_sessions_expires_at (expires_at)
) ENGINE = InnoDB;

CREATE TABLE tower_logout_tokens (
    digest     BINARY(32) NOT NULL PRIMARY KEY,
    session_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    generation BIGINT NOT NULL, -- rotated away if below that of its session
    UNIQUE INDEX tower_logout_tokens_session_id (session_id, generation),
    FOREIGN KEY (session_id) REFERENCES tower_logout_sessions (id) ON DELETE CASCADE
) ENGINE = InnoDB;
