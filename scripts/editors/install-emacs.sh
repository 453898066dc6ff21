#!/usr/bin/env bash
# install-emacs.sh DIR: Emacs 30 for terminals as DIR/emacs; the system stays untouched.
set -euo pipefail

dir=$(realpath -m "$1")
"$(dirname "$0")/unpack-debian.sh" "$dir" emacs-nox bookworm-backports,bookworm emacs-nox
root=$dir/root version=30.1
programs=$root/usr/libexec/emacs/$version/$(uname -m)-linux-gnu
dump=$(echo "$programs"/*.pdmp)
lisp=$(find "$root/usr/share/emacs/$version/lisp" -type d -not -path '*/obsolete*' | paste -sd:)
cat >"$dir/emacs" <<WRAPPER
#!/bin/sh
export EMACSLOADPATH="$lisp" EMACSDATA="$root/usr/share/emacs/$version/etc" EMACSPATH="$programs"
export EMACSDOC="$root/usr/share/emacs/$version/etc"
exec "$root/usr/bin/emacs-nox" --dump-file="$dump" "\$@"
WRAPPER
chmod +x "$dir/emacs"
