-- ARGV: digest. Returns the subject, the expiry of the session and the state of the token, or nothing.
local found = subject and state(ARGV[1])
if found then
  return {subject, expires, found}
end
return false
