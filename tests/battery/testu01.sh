#!/usr/bin/env bash
# Unpacks TestU01 into FOLDER, from Debian's packages (section non-free), for this machine's Debian.
set -euo pipefail
rm -rf "$1"
mkdir -p "$1/lists/partial"
folder=$(cd "$1" && pwd)
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]" \
    "http://deb.debian.org/debian $release non-free" > "$folder/sources.list"
apt=(apt-get --quiet -o "Dir::Etc::sourcelist=$folder/sources.list" -o Dir::Etc::sourceparts=-
    -o "Dir::State::lists=$folder/lists" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=)
cd "$folder"
"${apt[@]}" update
"${apt[@]}" download libtestu01-0
dpkg -x libtestu01-0_*.deb .
