-- ARGV: subject, digest, lifetime. Returns the expiry.
expires = number(now() + ARGV[3])
redis.call('HSET', KEYS[1], 'subject', ARGV[1], 'newest', ARGV[2], 'expires', expires)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return expires
