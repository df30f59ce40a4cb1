#!/usr/bin/env bash
# Makes signed-in.png from a real run: the page that the browser shows after the sign-in of `nexus demo`.
# Needs chromium and curl. NEXUS is the program; the default is the release build.
set -euo pipefail
folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
nexus=${NEXUS:-$folder/../../target/release/nexus}

if (($# == 0)); then
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  BROWSER="'$folder/signed-in.sh' '$scratch' %s" script --quiet --return \
    --command "timeout --foreground 60 '$nexus' demo" /dev/null
  # The demo may end before the browser does.
  for _ in {1..300}; do
    [[ ! -e $scratch/done.png ]] || break
    sleep 0.1
  done
  mv "$scratch/done.png" "$folder/signed-in.png"
  exit
fi

# nexus has started this script as the browser, with a folder and the authorization URL: allow, and open where that leads.
scratch=$1 url=$2
ticket=$(curl --silent --fail "$url" | sed -n 's/.*name="ticket" value="\([^"]*\)".*/\1/p')
redirect=$(curl --silent --output /dev/null --write-out '%{redirect_url}' \
  --data-urlencode "ticket=$ticket" --data decision=allow "${url%%\?*}/decision")
chromium --headless --no-sandbox --hide-scrollbars --force-prefers-reduced-motion --window-size=640,420 \
  --user-data-dir="$scratch/profile" --screenshot="$scratch/page.png" "$redirect"
mv "$scratch/page.png" "$scratch/done.png"
