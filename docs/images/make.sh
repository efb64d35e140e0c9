#!/usr/bin/env bash
# Takes docs/images/example.png: the page of `cargo run --example axum` after a login.
#
# Needs Rust, bash 4 and Chromium (or its path in CHROMIUM). The arguments go to cargo. The server gets a free
# port and a database of its own. Chromium is driven through its DevTools pipe: JSON on file descriptors 3 and 4,
# each message ended by a zero byte.
set -euo pipefail
cd "$(dirname "$0")/../.."

fail() { printf '%s: %s\n' "$0" "$*" >&2; exit 1; }

chromium=${CHROMIUM:-}
for name in chromium chromium-browser google-chrome; do
  [ -n "$chromium" ] || chromium=$(command -v "$name" || true)
done
[ -n "$chromium" ] || fail "no Chromium found: set CHROMIUM to its path"

scratch=$(mktemp -d)
pids=()
clean_up() {
  [ "${#pids[@]}" -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
  wait
  rm -rf "$scratch"
}
trap clean_up EXIT

cargo build --quiet --example axum "$@"
BIND=127.0.0.1:0 DATABASE_URL="sqlite:$scratch/sessions.sqlite" \
  cargo run --quiet --example axum "$@" >"$scratch/server.log" &
pids+=($!)
url=
for _ in {1..100}; do
  url=$(sed -n 's/^listening on //p' "$scratch/server.log")
  [ -z "$url" ] || break
  sleep 0.1
done
[ -n "$url" ] || fail "the example did not start"

mkfifo "$scratch/requests" "$scratch/answers"
# Chromium's sandbox needs rights that a container does not give to root.
sandbox=()
[ "$(id -u)" -ne 0 ] || sandbox=(--no-sandbox)
"$chromium" --headless "${sandbox[@]}" --no-first-run --disable-gpu --disable-dev-shm-usage --hide-scrollbars \
  --user-data-dir="$scratch/profile" --remote-debugging-pipe \
  3<"$scratch/requests" 4>"$scratch/answers" >/dev/null 2>&1 &
pids+=($!)
exec 5>"$scratch/requests" 6<"$scratch/answers"

id=0
session=
answer=
# Calls a DevTools method with parameters, and leaves the answer in `answer`.
call() {
  id=$((id + 1))
  printf '{"id":%d,%s"method":"%s","params":%s}\0' "$id" "$session" "$1" "$2" >&5
  while IFS= read -r -t 30 -d '' answer <&6; do
    case $answer in
      '{"id":'"$id"',"error"'*) fail "$1: $answer" ;;
      '{"id":'"$id"','*) return ;;
    esac
  done
  fail "$1: no answer"
}
# The text of a field of the last answer.
field() {
  local rest=${answer#*\""$1"\":\"}
  printf '%s' "${rest%%\"*}"
}
evaluate() { call Runtime.evaluate "{\"expression\":\"$1\"}"; }
wait_until() {
  for _ in {1..100}; do
    evaluate "$1"
    [[ $answer != *'"value":true'* ]] || return 0
    sleep 0.1
  done
  fail "never true: $1"
}

call Target.createTarget '{"url":"about:blank"}'
call Target.attachToTarget "{\"targetId\":\"$(field targetId)\",\"flatten\":true}"
session="\"sessionId\":\"$(field sessionId)\","

call Emulation.setDeviceMetricsOverride '{"width":600,"height":470,"deviceScaleFactor":2,"mobile":false}'
call Page.navigate "{\"url\":\"$url\"}"
wait_until "document.getElementById('out')?.hidden === false"
evaluate "document.getElementById('login').click()"
wait_until "document.getElementById('in').hidden === false"
wait_until "document.getElementById('clock').textContent !== ''"
evaluate "document.getElementById('me').click()"
wait_until "document.getElementById('call').textContent === 'GET /me'"
# A button is pale while its call runs.
wait_until "document.getElementById('me').disabled === false"
evaluate "document.activeElement.blur()"

call Page.captureScreenshot '{"format":"png"}'
field data | base64 -d >docs/images/example.png
echo "docs/images/example.png"
