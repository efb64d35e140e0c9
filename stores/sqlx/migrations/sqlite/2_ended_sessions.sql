CREATE TABLE tower_logout_ended (
    position   INTEGER NOT NULL PRIMARY KEY, -- in the order of the commits, because one connection writes at a time
    session_id TEXT    NOT NULL,
    ended_at   INTEGER NOT NULL              -- milliseconds since 1970, by the clock of the database
);

-- An expired session ends by itself. The clock of the application, which wrote the expiry, may be two minutes behind.
CREATE TRIGGER tower_logout_sessions_ended AFTER DELETE ON tower_logout_sessions
    WHEN OLD.expires_at > CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) - 120000
BEGIN
    INSERT INTO tower_logout_ended (session_id, ended_at)
        VALUES (OLD.id, CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER));
END;
