#!/usr/bin/env bash
# Runs the test on the real systems: installs what is missing, starts Tryton and Redmine in a folder
# of their own on 127.0.0.1, wins deals there, and ends what it started.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
chmod 755 "$dir"
trap '"$here/down.sh" "$dir" || true; rm -rf "$dir"' EXIT
"$here/install.sh"
"$here/up.sh" "$dir"
THROUGHLINE_REAL="$dir/real.env" "$@"
