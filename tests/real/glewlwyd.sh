#!/bin/sh
# Unpacks Glewlwyd and what its pages need into a folder. To install it would set up a daemon.
#
#   sh tests/real/glewlwyd.sh FOLDER
set -eu
mkdir -p "$1"
cd "$1"
[ -x usr/bin/glewlwyd ] && exit 0
apt-get -qq download glewlwyd glewlwyd-common fonts-fork-awesome libjs-bootstrap4 libjs-jquery libjs-popper.js
for package in *.deb; do
  dpkg-deb --extract "$package" .
done
