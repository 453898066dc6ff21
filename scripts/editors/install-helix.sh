#!/usr/bin/env bash
# install-helix.sh DIR: Helix 25 as DIR/hx, and a tmux to run it in as DIR/tmux; the system stays untouched.
set -euo pipefail

dir=$(realpath -m "$1")
here=$(dirname "$0")
"$here/unpack-debian.sh" "$dir/helix" hx forky hx
"$here/unpack-debian.sh" "$dir/tmux-root" tmux trixie tmux
