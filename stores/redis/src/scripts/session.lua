-- The head of each script that works on a session. KEYS: session, rotated tokens. A script that may end
-- the session has more: KEYS[3] is the log of ended sessions, and ARGV[1] to ARGV[3] are how long the log
-- keeps an entry, and the field and the value of the entry.
-- The session is a hash. Its rotated tokens are a sorted set of digests, scored by their expiry.
-- Only the server's clock decides what has expired. All times are in milliseconds.
local subject, newest, expires, sibling, sibling_expires = unpack(redis.call(
  'HMGET', KEYS[1], 'subject', 'newest', 'expires', 'sibling', 'sibling_expires'))

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Redis would write a large number with an exponent.
local function number(value)
  return string.format('%.0f', value)
end

-- 'live' or 'rotated', or nothing for a token that is unknown or has expired.
local function state(digest)
  if digest == newest then
    return 'live'
  end
  if digest == sibling then
    return tonumber(sibling_expires) > now() and 'live'
  end
  local rotated = redis.call('ZSCORE', KEYS[2], digest)
  return rotated and tonumber(rotated) > now() and 'rotated'
end

-- Ends the session, and appends its subject and the digests of its tokens to the answer.
local function end_session(answer)
  -- The entry comes first. A command that fails ends the script, and the session must not be gone then.
  if ARGV[1] ~= '0' then
    redis.call('XADD', KEYS[3], '*', ARGV[2], ARGV[3])
    -- The key outlives its last entry. Each time that it is renewed, the entries go that no longer matter.
    if redis.call('PTTL', KEYS[3]) < tonumber(ARGV[1]) then
      redis.call('XTRIM', KEYS[3], 'MINID', number(math.max(now() - ARGV[1], 0)))
      redis.call('PEXPIRE', KEYS[3], number(ARGV[1] * 1.25))
    end
  end
  answer[#answer + 1] = subject
  answer[#answer + 1] = newest
  if sibling then
    answer[#answer + 1] = sibling
  end
  for _, digest in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
    answer[#answer + 1] = digest
  end
  redis.call('UNLINK', KEYS[1], KEYS[2])
  return answer
end

