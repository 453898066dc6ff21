#!/usr/bin/env bash
# install-nvim.sh SUITE DIR: the Neovim of a Debian suite (bookworm: 0.7, trixie: 0.10, forky: 0.12) as DIR/nvim; the system
# stays untouched.
set -euo pipefail

suite=$1 dir=$(realpath -m "$2")
"$(dirname "$0")/unpack-debian.sh" "$dir" nvim "$suite" neovim
root=$dir/root
cat >"$dir/nvim" <<WRAPPER
#!/bin/sh
export VIMRUNTIME="$root/usr/share/nvim/runtime"
exec "$root/usr/bin/nvim" --cmd "set rtp^=$root/usr/lib/nvim" "\$@"
WRAPPER
chmod +x "$dir/nvim"
