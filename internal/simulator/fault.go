package simulator

import (
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// Fault is one way in which a call goes wrong.
type Fault string

// The faults. "After" means that the effect has happened and only the answer suffers.
const (
	LoseRequest  Fault = "lose_request"  // the connection breaks before anything happens
	DropAnswer   Fault = "drop_answer"   // after the effect the connection is reset
	CloseAnswer  Fault = "close_answer"  // after the effect the connection is closed in good order, without an answer
	Hang         Fault = "hang"          // after the effect nothing comes until the caller gives up
	ErrorBefore  Fault = "error_before"  // 5xx, nothing has happened
	ErrorAfter   Fault = "error_after"   // 5xx after the effect
	Truncate     Fault = "truncate"      // after the effect the body stops half way
	Drip         Fault = "drip"          // after the effect the body comes a byte a second
	HTML         Fault = "html"          // 200 with a login page; nothing has happened
	Empty        Fault = "empty"         // after the effect 200 without a body
	Rename       Fault = "rename"        // a field of the answer has another name since last night
	Throttle     Fault = "throttle"      // 429 with one of many kinds of Retry-After
	ExpireToken  Fault = "expire"        // the token or session has ended
	FailItems    Fault = "fail_items"    // a few items of a batch fail, the others do not
	CutBatch     Fault = "cut_batch"     // the connection breaks in the middle of a batch: the first items have happened
	ShiftPages   Fault = "shift_pages"   // rows came or went between two pages
	DropWebhook  Fault = "drop_webhook"  // a webhook is never sent
	TwiceWebhook Fault = "twice_webhook" // a webhook is sent twice
)

// onCall are the faults of one request, in the order in which odds are rolled; the order is part of
// what a seed repeats.
var onCall = []Fault{
	LoseRequest, DropAnswer, CloseAnswer, Hang, ErrorBefore, ErrorAfter, Truncate, Drip, HTML, Empty,
	Rename, Throttle, ExpireToken, FailItems, CutBatch, ShiftPages,
}

// Known says whether f is a fault that this package can produce.
func (f Fault) Known() bool {
	return slices.Contains(onCall, f) || f == DropWebhook || f == TwiceWebhook
}

// Match picks calls. Empty fields match everything.
type Match struct {
	Account string
	Method  string
	Path    *regexp.Regexp // of the URL path
	Entity  string
	Writes  bool // only calls that may have an effect
	Skip    int  // let so many matching calls pass first
}

// Odds says how often each fault happens: 0.1 is one call in ten.
type Odds map[Fault]float64

// chance decides which call gets which fault: those ordered by FailNext first, then by odds.
type chance struct {
	rand    *rand.Rand
	odds    Odds
	only    Match
	ordered []*order
}

type order struct {
	fault Fault
	match Match
	left  int
}

type attempt struct {
	account, method, path, entity string
	writes                        bool
}

func (m *Match) fits(a attempt) bool {
	return (m.Account == "" || m.Account == a.account) &&
		(m.Method == "" || m.Method == a.method) &&
		(m.Path == nil || m.Path.MatchString(a.path)) &&
		(m.Entity == "" || m.Entity == a.entity) &&
		(!m.Writes || a.writes)
}

func (c *chance) pick(a attempt) Fault {
	for i, o := range c.ordered {
		if !o.match.fits(a) || !slices.Contains(onCall, o.fault) {
			continue
		}
		if o.match.Skip > 0 {
			o.match.Skip--
			continue
		}
		if o.left--; o.left <= 0 {
			c.ordered = slices.Delete(c.ordered, i, i+1)
		}
		return o.fault
	}
	if len(c.odds) == 0 || !c.only.fits(a) {
		return ""
	}
	for _, f := range onCall {
		if p := c.odds[f]; p > 0 && c.rand.Float64() < p {
			return f
		}
	}
	return ""
}

// webhook says whether the next webhook suffers f.
func (c *chance) webhook(f Fault) bool {
	for i, o := range c.ordered {
		if o.fault != f {
			continue
		}
		if o.left--; o.left <= 0 {
			c.ordered = slices.Delete(c.ordered, i, i+1)
		}
		return true
	}
	p := c.odds[f]
	return p > 0 && c.rand.Float64() < p
}

// retryAfter is one of the headers that far sides were seen to send, or may: seconds, a date, zero,
// a negative number, ten years, or no number at all.
func (c *chance) retryAfter(now time.Time) string {
	switch c.rand.IntN(6) {
	case 0:
		return strconv.Itoa(1 + c.rand.IntN(30))
	case 1:
		return now.Add(time.Duration(1+c.rand.IntN(30)) * time.Second).UTC().Format(http.TimeFormat)
	case 2:
		return "0"
	case 3:
		return "-5"
	case 4:
		return strconv.Itoa(10 * 365 * 24 * 3600)
	default:
		return "soon"
	}
}

// loginPage is what a proxy in front of a far side answers when it wants a person to sign in.
const loginPage = `<!DOCTYPE html>
<html><head><title>Sign in</title></head>
<body><form method="post"><input name="user"><input name="password" type="password"></form></body></html>
`
