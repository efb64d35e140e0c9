-- An expired session ends by itself. The clock of the application, which wrote the expiry, may be two minutes behind.
CREATE TRIGGER tower_logout_sessions_ended AFTER DELETE ON tower_logout_sessions
    WHEN OLD.expires_at > CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) - 120000
BEGIN
    INSERT INTO tower_logout_ended (session_id, ended_at)
        VALUES (OLD.id, CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER));
END;
