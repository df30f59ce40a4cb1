#!/usr/bin/env bash
# Makes signed-in.png from a real run: the page that the browser shows after the sign-in of `nexus demo`.
# Needs chromium and curl. NEXUS is the program; the default is the release build.
set -euo pipefail
folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
nexus=${NEXUS:-$folder/../../target/release/nexus}

if [[ ${1-} != http* ]]; then
  SIGNED_IN=$(mktemp -d)
  export SIGNED_IN
  trap 'rm -rf "$SIGNED_IN"' EXIT
  BROWSER="'$folder/signed-in.sh' %s" script --quiet --return --command "timeout 60 '$nexus' demo" /dev/null
  # The demo may end before the browser does.
  for _ in {1..300}; do
    [[ ! -e $SIGNED_IN/done ]] || break
    sleep 0.1
  done
  mv "$SIGNED_IN/done" "$folder/signed-in.png"
  exit
fi

# nexus has started this script as the browser, with the authorization URL: allow, and open where that leads.
ticket=$(curl --silent --fail "$1" | sed -n 's/.*name="ticket" value="\([^"]*\)".*/\1/p')
redirect=$(curl --silent --output /dev/null --write-out '%{redirect_url}' \
  --data-urlencode "ticket=$ticket" --data decision=allow "${1%%\?*}/decision")
chromium --headless --no-sandbox --hide-scrollbars --force-prefers-reduced-motion --window-size=640,420 \
  --user-data-dir="$SIGNED_IN/profile" --screenshot="$SIGNED_IN/page.png" "$redirect"
mv "$SIGNED_IN/page.png" "$SIGNED_IN/done"
