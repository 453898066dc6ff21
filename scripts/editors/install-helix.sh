#!/usr/bin/env bash
# install-helix.sh DIR: Helix 25 as DIR/hx; the system stays untouched.
set -euo pipefail

dir=$(realpath -m "$1")
"$(dirname "$0")/unpack-debian.sh" "$dir" hx forky hx
cat >"$dir/hx" <<WRAPPER
#!/bin/sh
export HELIX_RUNTIME="$dir/root/usr/lib/hx/runtime"
exec "$dir/root/usr/bin/hx" "\$@"
WRAPPER
chmod +x "$dir/hx"
