-- ARGV: 1 if a WAIT follows, otherwise 0. Then the digest that must be a token of the session, or no more.
-- Returns the subject and the digests of the tokens, or nothing.
if not subject then
  if ARGV[1] == '1' then
    -- WAIT waits for the last write of its connection, so there must be a write. The session may have
    -- ended through another connection.
    redis.call('SET', KEYS[2], '', 'PX', 1)
  end
  return false
end
if ARGV[2] and not state(ARGV[2]) then
  return false
end
return end_session({})
