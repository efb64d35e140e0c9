CREATE TABLE IF NOT EXISTS tower_logout_ended (
    position   BIGINT         NOT NULL PRIMARY KEY, -- in the order of the commits
    session_id VARBINARY(512) NOT NULL,
    ended_at   BIGINT         NOT NULL              -- milliseconds since 1970, by the clock of the database
) ENGINE = InnoDB;

-- The last position. Whoever ends a session locks the row until the commit. A trigger would need rights beyond those
-- on tables if the server writes a binary log.
CREATE TABLE IF NOT EXISTS tower_logout_ended_counter (
    id       TINYINT NOT NULL PRIMARY KEY,
    position BIGINT  NOT NULL
) ENGINE = InnoDB;

INSERT INTO tower_logout_ended_counter (id, position) VALUES (1, 0) ON DUPLICATE KEY UPDATE position = position;
