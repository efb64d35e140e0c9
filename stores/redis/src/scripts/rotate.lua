-- ARGV from the fourth on: presented digest, next digest, lifetime, reuse leeway, how many rotated tokens to
-- remember.
-- Returns 'rotated' and the expiry; or 'reused' or 'exhausted', the subject and the digests of the
-- tokens; or 'unknown' if the session does not have the token; or nothing if there is no session.
if not subject then
  return false
end
if newest == ARGV[5] then
  -- A client lost the answer, and sent the same call again.
  return {'rotated', expires}
end
local found = state(ARGV[4])
if not found then
  return {'unknown'}
end
local at = now()
if found == 'rotated' then
  local previous, rotated_at = unpack(redis.call('HMGET', KEYS[1], 'previous', 'rotated_at'))
  local leeway = tonumber(ARGV[7])
  if previous ~= ARGV[4] or leeway == 0 or at >= rotated_at + leeway then
    return end_session({'reused'})
  end
  redis.call('HDEL', KEYS[1], 'previous', 'rotated_at')
  redis.call('HSET', KEYS[1], 'sibling', newest, 'sibling_expires', expires)
else
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', number(at))
  local live = sibling and 2 or 1
  if redis.call('ZCARD', KEYS[2]) + live > tonumber(ARGV[8]) then
    return end_session({'exhausted'})
  end
  redis.call('ZADD', KEYS[2], expires, newest)
  if sibling then
    redis.call('ZADD', KEYS[2], sibling_expires, sibling)
    redis.call('HDEL', KEYS[1], 'sibling', 'sibling_expires')
  end
  redis.call('HSET', KEYS[1], 'previous', ARGV[4], 'rotated_at', number(at))
end
expires = number(at + ARGV[6])
redis.call('HSET', KEYS[1], 'newest', ARGV[5], 'expires', expires)
redis.call('PEXPIRE', KEYS[1], ARGV[6])
redis.call('PEXPIRE', KEYS[2], ARGV[6])
return {'rotated', expires}
