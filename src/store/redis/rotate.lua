-- KEYS: session, rotated. ARGV: presented digest, next digest, expiry, lifetime, how many to remember.
-- Returns 'rotated', the subject and a digest that is forgotten, or 'reused' and what revoke.lua
-- returns, or nothing.
local session = redis.call('HMGET', KEYS[1], 'subject', 'live')
if not session[1] then
  return false
end
if session[2] == ARGV[2] then
  -- The same call, sent again by a client whose answer was lost.
  return {'rotated', session[1]}
end
if session[2] ~= ARGV[1] then
  local ended = {'reused', session[1], session[2]}
  for _, digest in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do
    ended[#ended + 1] = digest
  end
  redis.call('DEL', KEYS[1], KEYS[2])
  return ended
end
redis.call('HSET', KEYS[1], 'live', ARGV[2], 'expires', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('RPUSH', KEYS[2], ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
if redis.call('LLEN', KEYS[2]) > tonumber(ARGV[5]) then
  return {'rotated', session[1], redis.call('LPOP', KEYS[2])}
end
return {'rotated', session[1]}
