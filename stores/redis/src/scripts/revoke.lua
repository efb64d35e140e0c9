-- ARGV: 1 if replicas are waited for, digest of a token of the session unless whatever its tokens.
-- Returns subject and digests of the tokens, or nothing.
if not subject then
  if ARGV[1] == '1' then
    -- Without a write of its own, WAIT would not ask for the write that ended the session before.
    redis.call('SET', KEYS[2], '', 'PX', 1)
  end
  return false
end
if ARGV[2] and not standing(ARGV[2]) then
  return false
end
return finish({})
