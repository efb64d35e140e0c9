-- The function names the schema of the table. Whoever deletes sessions may have another search path.
DO $do$
DECLARE
    ended TEXT := (
        SELECT format('%I.%I', n.nspname, c.relname)
        FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE c.oid = $name$tower_logout_ended$name$::pg_catalog.regclass
    );
BEGIN
    EXECUTE replace($function$
        -- An expired session ends by itself. The clock of the application, which wrote the expiry, may be two minutes
        -- behind.
        CREATE FUNCTION tower_logout_log_ended() RETURNS trigger LANGUAGE plpgsql AS $body$
        DECLARE
            now_millis BIGINT := extract(epoch FROM clock_timestamp()) * 1000;
        BEGIN
            INSERT INTO @ended (session_id, ended_at)
                SELECT id, now_millis FROM deleted WHERE expires_at > now_millis - 120000
                ON CONFLICT DO NOTHING; -- the same transaction may have ended the session before
            RETURN NULL;
        END
        $body$
    $function$, '@ended', ended);
END
$do$;

CREATE TRIGGER tower_logout_sessions_ended AFTER DELETE ON tower_logout_sessions
    REFERENCING OLD TABLE AS deleted
    FOR EACH STATEMENT EXECUTE FUNCTION tower_logout_log_ended();
