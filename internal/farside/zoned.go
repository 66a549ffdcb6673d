package farside

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// zones are those whose people work: with hours that do not exist or come twice, half hours, days without a midnight.
var zones = strings.Fields(`America/New_York Europe/London Australia/Lord_Howe Africa/Cairo Pacific/Kiritimati Pacific/Pago_Pago Asia/Kathmandu Europe/Berlin
	America/St_Johns America/Los_Angeles America/Denver America/Chicago America/Halifax America/Sao_Paulo America/Santiago America/Havana Atlantic/Azores
	Africa/Casablanca Africa/Lagos Africa/Johannesburg Europe/Dublin Europe/Lisbon Europe/Paris Europe/Helsinki Europe/Istanbul Europe/Moscow Asia/Beirut
	Asia/Jerusalem Asia/Tehran Asia/Dubai Asia/Kabul Asia/Karachi Asia/Kolkata Asia/Dhaka Asia/Yangon Asia/Shanghai Asia/Tokyo Australia/Adelaide
	Pacific/Auckland Pacific/Chatham`)

// ZonedPeople is how many people are in each zone of Zoned.
const ZonedPeople = 5

// Zoned is work of one of the people of forty zones.
type Zoned struct {
	Person  string // "p7"
	Zone    string
	Began   time.Time // UTC
	Minutes int64
}

// Day is what the person's calendar showed when the work began: the business date that counts.
func (z Zoned) Day() (string, error) {
	there, err := time.LoadLocation(z.Zone)
	return z.Began.In(there).Format(time.DateOnly), err
}

// odd are instants at which somewhere the clock has just been, or is about to be, put on or back, and a day
// that has no midnight (reliability.md, table of X6); New York 02:30 of 8 March does not exist, 01:30 of 1
// November comes twice.
var odd = []struct{ zone, began string }{
	{"America/New_York", "2026-03-08T06:30:00Z"}, {"America/New_York", "2026-03-08T07:30:00Z"}, {"America/New_York", "2026-11-01T05:30:00Z"}, {"America/New_York", "2026-11-01T06:30:00Z"},
	{"Europe/London", "2026-03-29T00:59:00Z"}, {"Europe/London", "2026-03-29T22:30:00Z"}, {"Europe/London", "2026-10-24T23:30:00Z"}, {"Europe/London", "2026-10-25T23:30:00Z"},
	{"Australia/Lord_Howe", "2026-04-04T14:45:00Z"}, {"Australia/Lord_Howe", "2026-04-05T13:15:00Z"}, {"Africa/Cairo", "2026-04-23T22:15:00Z"}, {"Africa/Cairo", "2026-04-23T21:45:00Z"},
	{"Pacific/Kiritimati", "2026-12-31T09:59:00Z"}, {"Pacific/Pago_Pago", "2027-01-01T10:59:00Z"}, {"Asia/Kathmandu", "2026-02-28T18:14:00Z"}, {"Asia/Kathmandu", "2026-02-28T18:15:00Z"},
}

// ZonedWork is n pieces of work over two years, the same for the same n: many over midnight, and the odd
// moments among them. Nobody has more than 24 hours on one day.
func ZonedWork(n int) ([]Zoned, error) {
	rng := rand.New(rand.NewPCG(6, 2026))
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	days, out := map[string]int64{}, make([]Zoned, 0, n)
	for len(out) < n {
		zone := rng.IntN(len(zones))
		z := Zoned{Person: fmt.Sprint("p", zone*ZonedPeople+rng.IntN(ZonedPeople)), Zone: zones[zone], Began: start.Add(time.Duration(rng.Int64N(2*365*24*60)) * time.Minute), Minutes: 1 + rng.Int64N(12*60)}
		if i := len(out); i < len(odd) {
			at, err := time.Parse(time.RFC3339, odd[i].began)
			if err != nil {
				return nil, err
			}
			z.Zone, z.Began, z.Minutes = odd[i].zone, at, 90
			for j, name := range zones {
				if name == z.Zone {
					z.Person = fmt.Sprint("p", j*ZonedPeople)
				}
			}
		}
		day, err := z.Day()
		if err != nil {
			return nil, err
		}
		if sum := days[z.Person+day] + z.Minutes; sum <= 24*60 {
			days[z.Person+day] = sum
			out = append(out, z)
		}
	}
	return out, nil
}
