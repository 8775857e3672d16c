#!/usr/bin/env bash
# Makes an ARM machine to run Python in, on Debian for x86-64 and as root: FOLDER/emulator, and
# FOLDER/root and FOLDER/site with Python 3.11 and the pinned packages for it.
set -euo pipefail
mkdir -p "$1"
folder=$(cd "$1" && pwd)
project=$(cd "$(dirname "$0")/../.." && pwd)
pip=$project/.venv/bin/pip
rm -rf "$folder/tools" "$folder/root" "$folder/site"
mkdir -p "$folder/tools"
cd "$folder/tools"

apt-get download --quiet qemu-user-static debootstrap
for package in ./*.deb; do dpkg -x "$package" .; done
ln -sfn tools/usr/bin/qemu-aarch64-static ../emulator

# Only unpacked: nothing in it needs to be set up in order to run Python.
DEBOOTSTRAP_DIR=$PWD/usr/share/debootstrap usr/sbin/debootstrap --foreign --arch=arm64 \
    --variant=minbase --include=python3.11 bookworm "$folder/root"
for package in "$folder"/root/var/cache/apt/archives/*.deb; do
    dpkg -x "$package" "$folder/root"
done

"$pip" install --quiet --disable-pip-version-check --no-compile --target "$folder/site" \
    --python-version 3.11 --only-binary=:all: --constraint "$project/constraints.txt" \
    --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 \
    --platform manylinux_2_17_aarch64 --platform manylinux2014_aarch64 \
    click lazy-loader loky numba numpy orjson psutil scipy tqdm
