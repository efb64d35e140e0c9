-- KEYS: session. ARGV: subject, digest, expiry, lifetime.
redis.call('HSET', KEYS[1], 'subject', ARGV[1], 'live', ARGV[2], 'expires', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return redis.status_reply('OK')
