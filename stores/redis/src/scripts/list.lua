-- Adds a session to the list of its subject.
-- KEYS: list of the subject. ARGV: id, lifetime, how long the list keeps an expired session.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - ARGV[3]))
redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[2]), ARGV[1])
-- The list outlives each session on it, also one that was opened with a longer lifetime.
local ttl = ARGV[2] + ARGV[3]
if redis.call('PTTL', KEYS[1]) < ttl then
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', ttl))
end
return redis.status_reply('OK')
