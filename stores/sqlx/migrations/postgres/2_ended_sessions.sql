CREATE TABLE tower_logout_ended (
    xid        XID8   NOT NULL DEFAULT pg_current_xact_id(), -- the transaction, which may commit after later ones
    session_id TEXT   NOT NULL,
    ended_at   BIGINT NOT NULL, -- milliseconds since 1970, by the clock of the database
    PRIMARY KEY (xid, session_id)
);

CREATE INDEX tower_logout_ended_ended_at ON tower_logout_ended (ended_at);
