#!/usr/bin/env bash
# Makes signed-in.png from a real run: the page that the browser shows after the sign-in of `nexus demo`.
# Needs chromium and curl. NEXUS is the program; the default is the release build.
set -euo pipefail
folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
nexus=${NEXUS:-$folder/../../target/release/nexus}

if [[ ${1-} != http* ]]; then
  rm -f "$folder/signed-in.png"
  BROWSER="'${BASH_SOURCE[0]}' %s" script --quiet --return --command "'$nexus' demo" /dev/null
  until [[ -s $folder/signed-in.png ]]; do sleep 0.1; done
  exit
fi

# nexus has started this script as the browser, with the authorization URL: allow, and open where that leads.
ticket=$(curl --silent --fail "$1" | sed -n 's/.*name="ticket" value="\([^"]*\)".*/\1/p')
redirect=$(curl --silent --output /dev/null --write-out '%{redirect_url}' \
  --data-urlencode "ticket=$ticket" --data decision=allow "${1%%\?*}/decision")
profile=$(mktemp -d)
chromium --headless --no-sandbox --hide-scrollbars --force-prefers-reduced-motion --user-data-dir="$profile" --window-size=640,420 \
  --screenshot="$folder/signed-in.png" "$redirect"
rm -rf "$profile"
