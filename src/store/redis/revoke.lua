-- KEYS: session, rotated. ARGV: 1 if replicas are waited for.
-- Returns subject, live digest and rotated digests, or nothing.
local session = redis.call('HMGET', KEYS[1], 'subject', 'live')
if not session[1] then
  if ARGV[1] == '1' then
    -- Without a write of its own, WAIT would not ask for the write that ended the session before.
    redis.call('SET', KEYS[2], '', 'PX', 1)
  end
  return false
end
local rotated = redis.call('LRANGE', KEYS[2], 0, -1)
redis.call('DEL', KEYS[1], KEYS[2])
for _, digest in ipairs(rotated) do
  session[#session + 1] = digest
end
return session
