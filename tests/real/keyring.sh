#!/bin/sh
# Runs the tests of the keyring with a real Secret Service (gnome-keyring on a session bus of its own) and with strace,
# which kills a move at each of its steps. Needs Debian's gnome-keyring, dbus and strace.
set -eu

cd "$(dirname "$0")/../.."
for program in gnome-keyring-daemon dbus-run-session strace; do
    command -v "$program" >/dev/null || { echo "keyring.sh: $program is not installed" >&2; exit 1; }
done
# Without a keyring the tests must fail. Otherwise they are skipped.
export NEXUS_KEYRING_WANTED=1
exec cargo test --locked --quiet --features keyring --test it keyring::
