-- KEYS: list of a subject. ARGV: until when to forget, id, expiry, lifetime.
-- It outlives the sessions on it, whatever lifetime those had that were opened before.
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
redis.call('ZADD', KEYS[1], ARGV[3], ARGV[2])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[4]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
return redis.status_reply('OK')
