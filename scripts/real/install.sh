#!/bin/sh
# Installs the two real far sides, Tryton 6.0 and Redmine 5.0, from Debian's packages (bookworm).
#
# Only files are installed. The packages' own services and databases are neither started nor
# configured: up.sh makes private ones, so that a machine that already runs either system keeps it
# as it was. (dbconfig-no-thanks is how redmine's package is told not to make a database.)
set -eu

here=$(cd "$(dirname "$0")" && pwd)
packages="
	postgresql python3-psycopg2 python3-tz
	tryton-server
	tryton-modules-party tryton-modules-company tryton-modules-product
	tryton-modules-account tryton-modules-account-invoice tryton-modules-account-product
	tryton-modules-sale tryton-modules-sale-opportunity
	tryton-modules-timesheet tryton-modules-timesheet-cost
	tryton-modules-project tryton-modules-project-invoice tryton-modules-project-revenue
	dbconfig-no-thanks redmine redmine-pgsql puma
	curl jq util-linux
"

missing() {
	for package in $packages; do
		state=$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || true)
		[ "$state" = "install ok installed" ] || echo "$package"
	done
}

wanted=$(missing)
if [ -z "$wanted" ]; then
	echo "everything is installed"
	exit 0
fi

if [ "$(id -u)" != 0 ]; then
	echo "run this as root; these packages are missing:" $wanted >&2
	exit 1
fi

# Debian's way to say "install, but start nothing". A policy that is already there is left alone.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	trap 'rm -f "$policy"' EXIT
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
fi

export DEBIAN_FRONTEND=noninteractive
apt-get update -q
# What the machine already has stays, and at its version.
RUBYOPT="-r$here/bundler-debian.rb" \
	apt-get install -q -y --no-install-recommends --no-upgrade --no-remove $wanted
