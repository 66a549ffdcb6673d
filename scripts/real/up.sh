#!/bin/sh
# up.sh DIR starts a real Tryton (databases "crm" and "erp") and a real Redmine on 127.0.0.1, with
# everything they own inside DIR, and writes DIR/real.env when both answer. down.sh DIR ends them.
#
# The first start on a machine installs the modules and seeds the databases, which takes minutes; the
# stopped cluster is then kept in the cache, and a new DIR begins from that copy. The copy's name
# holds the versions of the packages and the seed scripts, so that neither can go stale unnoticed.
#
#   THROUGHLINE_CACHE                          where the copy is kept (~/.cache/throughline)
#   POSTGRES_PORT, TRYTON_PORT, REDMINE_PORT   ports; left out, free ones are taken
set -eu

[ $# = 1 ] || { echo "usage: up.sh DIR" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
dir=$(cd "$1" && pwd -P)
. "$here/processes.sh"

bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)
redmine_home=/usr/share/redmine
modules="party company product account account_invoice account_product sale sale_opportunity
	timesheet timesheet_cost project project_invoice project_revenue"

# Known to everybody and good for nothing but these databases, which listen on the loopback only.
TRYTON_USER=throughline
TRYTON_PASSWORD=Walnut-Bridge-58
REDMINE_PASSWORD=Walnut-Bridge-58
REDMINE_KEY=7c1d0a52e94b4f0f9d8be2a3165a70c4d1e5f602
export TRYTON_USER TRYTON_PASSWORD REDMINE_PASSWORD REDMINE_KEY

# die leaves nothing running: half a pair of far sides is of no use.
die() {
	echo "up.sh: $*" >&2
	"$here/down.sh" "$dir"
	exit 1
}

# free_ports prints three different free ports: all are held before the first one is let go.
free_ports() {
	python3 -c 'import socket
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
print(*[s.getsockname()[1] for s in held])'
}

# wait_for WHAT COMMAND... asks until it succeeds, for two minutes, or until the server has died.
wait_for() {
	what=$1
	shift
	tries=0
	until "$@" >/dev/null 2>&1; do
		tries=$((tries + 1))
		[ $tries -lt 600 ] || die "$what does not answer, see $dir/$what.log"
		running "$what" || die "$what has ended, see $dir/$what.log"
		sleep 0.2
	done
}

configure() {
	mkdir -p "$dir/home" "$dir/tryton" "$dir/redmine/config" "$dir/redmine/files" \
		"$dir/redmine/log" "$dir/redmine/tmp" "$dir/redmine/public/plugin_assets"
	cat >"$dir/tryton.conf" <<-END
		[database]
		uri = postgresql://$owner@127.0.0.1:$POSTGRES_PORT/
		path = $dir/tryton
		[web]
		listen = 127.0.0.1:$TRYTON_PORT
	END
	cat >"$dir/redmine/config/database.yml" <<-END
		production:
		  adapter: postgresql
		  host: 127.0.0.1
		  port: $POSTGRES_PORT
		  database: redmine
		  username: $owner
		  encoding: utf8
	END
	[ -f "$dir/redmine/config/secret_key.txt" ] ||
		od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"$dir/redmine/config/secret_key.txt"
	cp "$here/Gemfile" "$dir/redmine/Gemfile"
	[ "$(id -u)" != 0 ] || chown -R "$owner" "$dir/home" "$dir/tryton" "$dir/redmine"
}

# Debian's Redmine looks for an instance by name below /usr/share/redmine/instances, a link to
# /var/lib/redmine. A name that climbs out of there makes it read our directory instead; four steps
# reach / both for Ruby, which takes the link for a directory, and for the kernel, which follows it.
redmine_env() {
	export REDMINE_INSTANCE="../../../..$dir/redmine" RAILS_ENV=production SCHEMA=/dev/null
	export BUNDLE_GEMFILE="$dir/redmine/Gemfile" REDMINE_LANG=en
	cd "$redmine_home"
}

start_postgres() {
	# Nothing here has to outlive a power cut, so the disk is not waited for.
	(as_owner "$bin/pg_ctl" start -s -w -D "$dir/pg" -l "$dir/pg/server.log" -o \
		"-c listen_addresses=127.0.0.1 -c port=$POSTGRES_PORT -c unix_socket_directories= \
		 -c fsync=off -c synchronous_commit=off -c full_page_writes=off") || die "PostgreSQL does not start"
}

stop_postgres() {
	(as_owner "$bin/pg_ctl" stop -s -m fast -D "$dir/pg")
}

sql() {
	(as_owner "$bin/psql" -q -X -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$POSTGRES_PORT" -d postgres -c "$1")
}

build_tryton() {
	echo "$TRYTON_PASSWORD" >"$dir/home/password"
	sql "CREATE DATABASE tryton TEMPLATE template0 ENCODING 'UTF8'"
	(TRYTONPASSFILE="$dir/home/password" as_owner trytond-admin -c "$dir/tryton.conf" -d tryton \
		-u $modules --activate-dependencies --email admin@northlight.example)
	for database in crm erp; do
		sql "CREATE DATABASE $database TEMPLATE tryton"
		(as_owner python3 "$here/seed_tryton.py" "$dir/tryton.conf" "$database")
	done
	sql "DROP DATABASE tryton"
}

build_redmine() {
	sql "CREATE DATABASE redmine TEMPLATE template0 ENCODING 'UTF8'"
	redmine_env
	(as_owner bundle lock --local)
	(as_owner bundle exec rake db:migrate)
	(as_owner bundle exec rails runner "$here/seed_redmine.rb")
}

# build makes the cluster from nothing: the two products side by side, one core each.
build() {
	echo "first start with these versions: preparing the databases, this takes minutes"
	mkdir "$dir/pg"
	[ "$(id -u)" != 0 ] || chown "$owner" "$dir/pg"
	(as_owner "$bin/initdb" -D "$dir/pg" -U "$owner" --auth=trust --encoding=UTF8 \
		--locale=C --no-sync) >"$dir/build.log"
	start_postgres
	build_tryton >"$dir/build-tryton.log" 2>&1 &
	tryton_build=$!
	build_redmine >"$dir/build-redmine.log" 2>&1 &
	redmine_build=$!
	wait $redmine_build || die "see $dir/build-redmine.log"
	wait $tryton_build || die "see $dir/build-tryton.log"
	stop_postgres
}

# snapshot_name names the prepared cluster after all that went into it.
snapshot_name() {
	{
		dpkg-query -W -f='${Package} ${Version}\n' 'postgresql-1*' 'tryton*' redmine
		cat "$here/up.sh" "$here"/seed_*
	} | sha256sum | cut -c1-16
}

prepare() {
	cache=${THROUGHLINE_CACHE:-$HOME/.cache/throughline}/real
	snapshot=$cache/$(snapshot_name).tar
	if [ -f "$snapshot" ]; then
		tar -C "$dir" -xf "$snapshot"
		return
	fi
	build
	mkdir -p "$cache"
	# Under its final name only when complete: another up.sh may be looking.
	tar -C "$dir" -cf "$snapshot.$$" pg
	mv "$snapshot.$$" "$snapshot"
}

tryton_answers() {
	curl -fsS -u "$TRYTON_USER:$TRYTON_PASSWORD" -H 'Content-Type: application/json' \
		-d '{"id":1,"method":"model.party.party.search_count","params":[[],{}]}' \
		"http://127.0.0.1:$TRYTON_PORT/$1/" | grep -q '"result"'
}

redmine_answers() {
	curl -fsS -H "X-Redmine-API-Key: $REDMINE_KEY" "http://127.0.0.1:$REDMINE_PORT/users/current.json"
}

write_env() {
	cat >"$dir/real.env.new" <<-END
		TRYTON_URL=http://127.0.0.1:$TRYTON_PORT
		TRYTON_CRM_DB=crm
		TRYTON_ERP_DB=erp
		TRYTON_USER=$TRYTON_USER
		TRYTON_PASSWORD=$TRYTON_PASSWORD
		REDMINE_URL=http://127.0.0.1:$REDMINE_PORT
		REDMINE_KEY=$REDMINE_KEY
		POSTGRES_PID=$(head -1 "$dir/pg/postmaster.pid")
		TRYTON_PID=$(cut -d' ' -f1 "$dir/tryton.pid")
		REDMINE_PID=$(cut -d' ' -f1 "$dir/redmine.pid")
	END
	mv "$dir/real.env.new" "$dir/real.env"
}

[ -x "$bin/initdb" ] && [ -d "$redmine_home" ] && command -v trytond >/dev/null ||
	die "not installed; run $here/install.sh"
if running tryton && running redmine && [ -f "$dir/real.env" ]; then
	echo "already up: $dir/real.env"
	exit 0
fi
"$here/down.sh" "$dir"

set -- $(free_ports)
: "${POSTGRES_PORT:=$1}" "${TRYTON_PORT:=$2}" "${REDMINE_PORT:=$3}"
configure
# A cluster that was left half made has no version file of ours and is made again.
if [ ! -f "$dir/prepared" ]; then
	rm -rf "$dir/pg"
	prepare
	touch "$dir/prepared"
fi
start_postgres
start tryton trytond -c "$dir/tryton.conf" -d crm erp
(
	redmine_env
	[ -f "$dir/redmine/Gemfile.lock" ] || (as_owner bundle lock --local) >>"$dir/redmine.log" 2>&1
	start redmine puma -q -e production -t 1:4 -b "tcp://127.0.0.1:$REDMINE_PORT" config.ru
)
wait_for tryton tryton_answers crm
wait_for tryton tryton_answers erp
wait_for redmine redmine_answers
write_env
echo "up: $dir/real.env"
