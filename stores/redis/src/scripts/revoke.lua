-- ARGV[4]: 1 if a WAIT follows, otherwise 0. ARGV[5]: a digest that must be a token of the session, or none.
-- Returns the subject and the digests of the tokens, or nothing.
if not subject then
  if ARGV[4] == '1' then
    -- WAIT waits for the last write of its connection, so there must be a write. The session may have
    -- ended through another connection.
    redis.call('SET', KEYS[2], '', 'PX', 1)
  end
  return false
end
if ARGV[5] and not state(ARGV[5]) then
  return false
end
return end_session({})
