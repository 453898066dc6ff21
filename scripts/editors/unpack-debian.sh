#!/usr/bin/env bash
# unpack-debian.sh DIR PROGRAM SUITE[,SUITE...] PACKAGE...
#
# Unpacks packages of any Debian suite, with everything they need (libc included), into DIR and leaves the system as it is;
# DIR/root/usr/bin/PROGRAM then runs with the libraries in DIR. The first suite is preferred. Downloads come from the Debian
# mirror that this machine uses already; nothing happens when DIR is complete.
set -euo pipefail

dir=$(realpath -m "$1") program=$2 suites=$3
shift 3
stamp="$program $suites $*"
mkdir -p "$(dirname "$dir")"
exec 9>"$(dirname "$dir")/unpacking" # one after the other, since tests of several editors may begin at once
flock 9
[[ -f $dir/complete && $(<"$dir/complete") == "$stamp" ]] && exit 0

uris=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null) || true
mirror=$(grep -E -m1 '/debian/?$' <<<"$uris") || {
    echo "no Debian mirror is configured for apt here; install $* by hand" >&2
    exit 1
}

rm -rf "$dir"
mkdir -p "$dir"/apt/{parts,state,lists/partial,cache/archives/partial} "$dir/root"
for suite in ${suites//,/ }; do
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
done >"$dir/apt/sources.list"
: >"$dir/apt/status" # nothing counts as installed, so every dependency is downloaded
apt=(apt-get -qq -o Dir::Etc::SourceList="$dir/apt/sources.list" -o Dir::Etc::SourceParts="$dir/apt/parts"
    -o Dir::Etc::PreferencesParts="$dir/apt/parts"
    -o Dir::State="$dir/apt/state" -o Dir::State::Lists="$dir/apt/lists" -o Dir::State::status="$dir/apt/status"
    -o Dir::Cache="$dir/apt/cache" -o APT::Install-Recommends=false -o APT::Sandbox::User=root
    -o APT::Default-Release="${suites%%,*}")
"${apt[@]}" update && "${apt[@]}" -y --download-only install "$@" >/dev/null || {
    echo "$* of Debian $suites could not be downloaded from $mirror" >&2
    exit 1
}
for package in "$dir"/apt/cache/archives/*.deb; do dpkg-deb -x "$package" "$dir/root"; done

patchelf=$(command -v patchelf || true)
if [[ -z $patchelf ]]; then # this machine's own, without installing it
    mkdir "$dir/patchelf"
    apt-get -qq update
    (cd "$dir/patchelf" && apt-get -qq -o APT::Sandbox::User=root download patchelf >/dev/null && dpkg-deb -x patchelf_*.deb .) || {
        echo "patchelf could not be downloaded" >&2
        exit 1
    }
    patchelf=$dir/patchelf/usr/bin/patchelf
fi
libraries=$dir/root/usr/lib/$(uname -m)-linux-gnu
# Suites with a separate /lib unpack some libraries there.
rpath=$libraries:$dir/root/lib/$(uname -m)-linux-gnu
loader=$(find "$dir/root" -name 'ld-linux*.so.*' -print -quit)
"$patchelf" --force-rpath --set-rpath "$rpath" --set-interpreter "$loader" "$(realpath -m "$dir/root/usr/bin/$program")"
rm -rf "$dir/apt" "$dir/patchelf"
echo "$stamp" >"$dir/complete"
