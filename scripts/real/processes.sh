# Sourced by up.sh and down.sh: who the servers run as, and how to end exactly those we started.
#
# A pid alone is not a name: the number may have gone to somebody else's process since. So DIR/*.pid
# holds the pid and the moment that process began, and only that pair is ever signalled.

# PostgreSQL refuses to run as root, so root hands everything to the user of Debian's package.
if [ "$(id -u)" = 0 ]; then
	owner=postgres
else
	owner=$(id -un)
fi

# as_owner COMMAND... runs it as $owner, in place of the shell that calls it (no process between).
as_owner() {
	if [ "$(id -u)" = 0 ]; then
		exec setpriv --reuid="$owner" --regid="$owner" --init-groups \
			env HOME="$dir/home" PATH=/usr/bin:/bin "$@"
	fi
	exec env HOME="$dir/home" "$@"
}

# began PID prints when the process started, in clock ticks since boot (field 22 of its stat; the
# name in field 2 may hold spaces, so count from its closing bracket).
began() {
	sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20
}

# start NAME COMMAND... starts it in a session of its own, so that it outlives the terminal.
start() {
	name=$1
	shift
	(as_owner setsid "$@") >>"$dir/$name.log" 2>&1 </dev/null &
	echo "$! $(began $!)" >"$dir/$name.pid"
}

running() {
	[ -f "$dir/$1.pid" ] || return 1
	read -r pid since <"$dir/$1.pid"
	[ -n "$since" ] && [ "$(began "$pid")" = "$since" ]
}

# stop NAME ends it politely, after ten seconds firmly.
stop() {
	name=$1
	tries=0
	while running "$name" && [ $tries -lt 120 ]; do
		case $tries in
		0) kill -TERM "$pid" ;;
		100) kill -KILL "$pid" ;;
		esac
		tries=$((tries + 1))
		sleep 0.1
	done
	rm -f "$dir/$name.pid"
}
