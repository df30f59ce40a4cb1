#!/bin/sh
# Runs the tests of the keyring with a real Secret Service (gnome-keyring on a session bus of its
# own) and with strace, which kills a move at each of its steps. What is missing is installed by apt.
set -eu

cd "$(dirname "$0")/../.."
missing=
command -v gnome-keyring-daemon >/dev/null || missing="$missing gnome-keyring"
command -v dbus-run-session >/dev/null || missing="$missing dbus"
command -v strace >/dev/null || missing="$missing strace"
if [ -n "$missing" ]; then
    if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
        echo "keyring.sh: install$missing first" >&2
        exit 2
    fi
    apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi
for program in gnome-keyring-daemon dbus-run-session strace; do
    command -v "$program" >/dev/null || { echo "keyring.sh: there is still no $program" >&2; exit 1; }
done
# Where it is not to be had after all, the tests must not pass for want of it.
export NEXUS_KEYRING_WANTED=1
exec cargo test --locked --quiet --features keyring --test it keyring::
