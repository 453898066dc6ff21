#!/usr/bin/env bash
# install-tmux.sh DIR: a tmux as DIR/tmux, to see what an editor draws; the system stays untouched.
set -euo pipefail

dir=$(realpath -m "$1")
"$(dirname "$0")/unpack-debian.sh" "$dir" tmux trixie tmux
ln -sf root/usr/bin/tmux "$dir/tmux"
