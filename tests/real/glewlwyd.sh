#!/bin/sh
# Unpacks Glewlwyd and what its pages need into a folder. To install it would set up a daemon.
#
#   sh tests/real/glewlwyd.sh FOLDER
set -eu
[ -d "$1" ] && exit 0
# Complete before it gets the name.
rm -rf "$1.new"
mkdir -p "$1.new"
cd "$1.new"
apt-get -qq download glewlwyd glewlwyd-common fonts-fork-awesome libjs-bootstrap4 libjs-jquery libjs-popper.js
for package in *.deb; do
  dpkg-deb --extract "$package" .
done
cd ..
mv "$1.new" "$1"
