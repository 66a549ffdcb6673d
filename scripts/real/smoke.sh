#!/bin/sh
# smoke.sh DIR walks "a won deal becomes a project" by hand through the systems that up.sh DIR
# started, and prints what each of them answers. It is the reference for the connectors: when one of
# them misbehaves, see first whether the far side still does what this script shows.
#
# Every walk makes records of its own, marked with the time, so it can be repeated.
set -eu

[ $# = 1 ] || { echo "usage: smoke.sh DIR" >&2; exit 2; }
. "$1/real.env"
marker=smoke-$(date +%s)

say() {
	printf '\n# %s\n' "$*" >&2
}

# tryton DATABASE METHOD PARAMS prints the result. An error comes with status 200, so look for it.
tryton() {
	answer=$(curl -fsS -u "$TRYTON_USER:$TRYTON_PASSWORD" -H 'Content-Type: application/json' \
		-d "{\"id\":1,\"method\":\"model.$2\",\"params\":$3}" "$TRYTON_URL/$1/")
	echo "$1 $2: $answer" >&2
	echo "$answer" | jq -ec 'if has("error") then error(.error | tostring) else .result // {} end'
}

# redmine METHOD PATH [BODY] prints the answer.
redmine() {
	answer=$(curl -fsS -X "$1" -H "X-Redmine-API-Key: $REDMINE_KEY" \
		-H 'Content-Type: application/json' ${3:+-d "$3"} "$REDMINE_URL$2")
	echo "redmine $1 $2: $answer" >&2
	echo "$answer"
}

first() {
	jq -er '.[0] | if type == "object" then .id else . end'
}

decimal() {
	printf '{"__class__":"Decimal","decimal":"%s"}' "$1"
}

hours() {
	printf '{"__class__":"timedelta","seconds":%s}' $(($1 * 3600))
}

today=$(date -u '+{"__class__":"date","year":%-Y,"month":%-m,"day":%-d}')

say "CRM: the user's context goes with every call"
crm=$(tryton crm res.user.get_preferences '[true,{}]' | jq -c '{company, employee, language}')
erp=$(tryton erp res.user.get_preferences '[true,{}]' | jq -c '{company, employee, language}')

# find DATABASE MODEL DOMAIN prints the id of the first match.
find_id() {
	if [ "$1" = crm ]; then context=$crm; else context=$erp; fi
	tryton "$1" "$2.search" "[$3,0,1,null,$context]" | first
}

say "CRM: a customer with address, mail and tax identifier"
germany=$(find_id crm country.country '[["code","=","DE"]]')
party=$(tryton crm party.party.create "[[{\"name\":\"Alder Robotics $marker\",\"code\":\"$marker\",
	\"addresses\":[[\"create\",[{\"street\":\"Hauptstr. 1\",\"postal_code\":\"10115\",\"city\":\"Berlin\",
		\"country\":$germany,\"invoice\":true}]]],
	\"contact_mechanisms\":[[\"create\",[{\"type\":\"email\",\"value\":\"ap@alder.example\"}]]],
	\"identifiers\":[[\"create\",[{\"type\":\"eu_vat\",\"code\":\"DE136695976\"}]]]}],$crm]" | first)
address=$(find_id crm party.address "[[\"party\",\"=\",$party]]")

say "CRM: an opportunity with two lines"
senior=$(find_id crm product.product '[["code","=","CONS-SR"]]')
manager=$(find_id crm product.product '[["code","=","PM"]]')
hour=$(find_id crm product.uom '[["symbol","=","h"]]')
term=$(find_id crm account.invoice.payment_term '[["name","=","30 days net"]]')
employee=$(echo "$crm" | jq .employee)
opportunity=$(tryton crm sale.opportunity.create "[[{\"party\":$party,\"address\":$address,
	\"reference\":\"$marker\",\"description\":\"Alder automation\",\"amount\":$(decimal 14400.00),
	\"employee\":$employee,\"start_date\":$today,\"payment_term\":$term,
	\"lines\":[[\"create\",[{\"product\":$senior,\"quantity\":80.0,\"unit\":$hour},
		{\"product\":$manager,\"quantity\":20.0,\"unit\":$hour}]]]}],$crm]" | first)

say "CRM: lead, opportunity, converted; conversion makes a sale"
tryton crm sale.opportunity.opportunity "[[$opportunity],$crm]" >/dev/null
tryton crm sale.opportunity.convert "[[$opportunity],$crm]" >/dev/null
sale=$(tryton crm sale.opportunity.read "[[$opportunity],[\"state\",\"sales\"],$crm]" |
	jq -er '.[0].sales[0]')
tryton crm sale.sale.read "[[$sale],[\"state\",\"number\",\"origin\",\"invoice_address\",
	\"shipment_address\",\"invoice_method\",\"untaxed_amount\",
	\"lines.unit_price\",\"lines.quantity\"],$crm]" >/dev/null

say "CRM: the sale is quoted, confirmed and processed; the opportunity is won"
tryton crm sale.sale.quote "[[$sale],$crm]" >/dev/null
tryton crm sale.sale.confirm "[[$sale],$crm]" >/dev/null
tryton crm sale.sale.process "[[$sale],$crm]" >/dev/null
tryton crm sale.opportunity.read "[[$opportunity],[\"state\",\"number\",\"end_date\",\"write_date\",
	\"create_date\",\"party.code\",\"party.name\",\"lines.quantity\",\"lines.product\"],$crm]" |
	jq -e '.[0].state == "won"' >/dev/null

say "ERP: the same customer, found again by its code"
tryton erp party.party.create "[[{\"name\":\"Alder Robotics $marker\",\"code\":\"$marker\",
	\"addresses\":[[\"create\",[{\"street\":\"Hauptstr. 1\",\"city\":\"Berlin\"}]]]}],$erp]" >/dev/null
customer=$(find_id erp party.party "[[\"code\",\"=\",\"$marker\"]]")
customer_address=$(find_id erp party.address "[[\"party\",\"=\",$customer]]")

say "ERP: a project and a task below it"
product=$(find_id erp product.product '[["code","=","CONS-SR"]]')
company=$(echo "$erp" | jq .company)
project=$(tryton erp project.work.create "[[{\"type\":\"project\",\"name\":\"Alder automation $marker\",
	\"party\":$customer,\"party_address\":$customer_address,\"company\":$company,
	\"project_invoice_method\":\"timesheet\",\"timesheet_available\":false,
	\"comment\":\"$marker\"}],$erp]" | first)
tryton erp project.work.create "[[{\"type\":\"task\",\"name\":\"Discovery\",\"parent\":$project,
	\"company\":$company,\"product\":$product,\"list_price\":$(decimal 150),
	\"effort_duration\":$(hours 80),\"timesheet_available\":true}],$erp]" >/dev/null
tryton erp project.work.search_read "[[[\"parent\",\"child_of\",[$project]]],0,null,
	[[\"id\",\"ASC\"]],[\"type\",\"name\",\"party.code\",\"parent\",\"effort_duration\",\"list_price\",
	\"product.code\",\"status.name\",\"timesheet_works\"],$erp]" >/dev/null

say "Redmine: the project under the marker, with a member and an issue"
tracker=$(redmine GET /trackers.json | jq -er '.trackers[0].id')
role=$(redmine GET /roles.json | jq -er '.roles[] | select(.name == "Developer").id')
user=$(redmine GET '/users.json?name=ana@northlight.example' | jq -er '.users[0].id')
field=$(redmine GET /custom_fields.json | jq -er \
	'.custom_fields[] | select(.name == "External id" and .customized_type == "issue").id')
tracked=$(redmine POST /projects.json "{\"project\":{\"name\":\"Alder automation\",
	\"identifier\":\"$marker\",\"is_public\":false,
	\"enabled_module_names\":[\"issue_tracking\",\"time_tracking\"]}}" | jq -er .project.id)
redmine POST "/projects/$marker/memberships.json" \
	"{\"membership\":{\"user_id\":$user,\"role_ids\":[$role]}}" >/dev/null
redmine POST /issues.json "{\"issue\":{\"project_id\":$tracked,\"tracker_id\":$tracker,
	\"subject\":\"Discovery\",\"estimated_hours\":80,
	\"custom_fields\":[{\"id\":$field,\"value\":\"$marker-1\"}]}}" >/dev/null

say "Redmine: read back by identifier and by custom field"
redmine GET "/projects/$marker.json" | jq -e .project.id >/dev/null
redmine GET "/projects/$marker/memberships.json" | jq -e '.total_count == 1' >/dev/null
redmine GET "/issues.json?status_id=*&cf_$field=$marker-1" | jq -e '.total_count == 1' >/dev/null

say "all as expected"
