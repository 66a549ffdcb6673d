#!/bin/sh
# down.sh DIR ends what up.sh DIR started, and nothing else. The data stays in DIR.
set -eu

[ $# = 1 ] || { echo "usage: down.sh DIR" >&2; exit 2; }
[ -d "$1" ] || { echo "$1: no such directory" >&2; exit 1; }
here=$(cd "$(dirname "$0")" && pwd)
dir=$(cd "$1" && pwd -P)
. "$here/processes.sh"

# TERM would let PostgreSQL wait for its clients, so these go first.
stop redmine
stop tryton
if [ -f "$dir/pg/postmaster.pid" ]; then
	bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)
	(as_owner "$bin/pg_ctl" stop -s -m fast -D "$dir/pg")
fi
rm -f "$dir/real.env"
