-- ARGV: digest. Returns subject, expiry of the session and standing of the token, or nothing.
local found = subject and standing(ARGV[1])
if found then
  return {subject, expires, found}
end
return false
