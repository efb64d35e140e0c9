-- KEYS: list of a subject. ARGV: id, lifetime, for how much longer to remember what has expired.
-- It outlives the sessions on it, whatever lifetime those had that were opened before.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - ARGV[3]))
redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[2]), ARGV[1])
local ttl = ARGV[2] + ARGV[3]
if redis.call('PTTL', KEYS[1]) < ttl then
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', ttl))
end
return redis.status_reply('OK')
