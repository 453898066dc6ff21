#!/bin/sh
# Installs bubblewrap, which runs untrusted programs, unless it is there; then checks that it works. Safe to repeat.
set -eu

if ! command -v bwrap >/dev/null 2>&1; then
    if [ "$(id -u)" -eq 0 ]; then
        as_root=""
    elif command -v sudo >/dev/null 2>&1; then
        as_root="sudo"
    else
        echo "bubblewrap is missing, and installing it needs root" >&2
        exit 1
    fi
    if command -v apt-get >/dev/null 2>&1; then
        $as_root apt-get update -q
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends bubblewrap
    elif command -v dnf >/dev/null 2>&1; then
        $as_root dnf install -y bubblewrap
    elif command -v pacman >/dev/null 2>&1; then
        $as_root pacman -S --noconfirm --needed bubblewrap
    elif command -v apk >/dev/null 2>&1; then
        $as_root apk add bubblewrap
    else
        echo "bubblewrap is missing; install it with this system's package manager" >&2
        exit 1
    fi
fi

if ! bwrap --unshare-all --ro-bind / / true; then
    echo "bubblewrap is installed, but this system does not let it make namespaces" >&2
    exit 1
fi
echo "$(bwrap --version) works"
