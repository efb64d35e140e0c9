CREATE TABLE tower_logout_ended (
    position   INTEGER NOT NULL PRIMARY KEY, -- in the order of the commits, because one connection writes at a time
    session_id TEXT    NOT NULL,
    ended_at   INTEGER NOT NULL              -- milliseconds since 1970, by the clock of the database
);
