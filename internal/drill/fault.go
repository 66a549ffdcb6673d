package drill

import (
	"fmt"
	"net/http"
	"time"

	"throughline/internal/hub"
)

// Fault is a way in which a call goes wrong.
type Fault string

// The faults. The first four strike before anything has happened, the others after.
const (
	well     Fault = ""
	Refuse   Fault = "refuse"   // nobody takes the connection
	Down     Fault = "down"     // 503
	Throttle Fault = "throttle" // 429, come back later
	Vanish   Fault = "vanish"   // the request is lost on its way
	Drop     Fault = "drop"     // the answer is
	Truncate Fault = "truncate" // it ends in the middle
	Gateway  Fault = "gateway"  // 502 from something in between
	HTML     Fault = "html"     // 200 with a login page
	Empty    Fault = "empty"    // it has no body
	Hang     Fault = "hang"     // the answer never comes
)

// Faults are all of them.
var Faults = []Fault{Refuse, Down, Throttle, Vanish, Drop, Truncate, Gateway, HTML, Empty, Hang}

// early reports whether the fault strikes before the far side hears of the call.
func (x Fault) early() bool { return x == Refuse || x == Down || x == Throttle || x == Vanish }

// draw is the fault of a call.
func (p Plan) draw(luck dice, since time.Duration) Fault {
	if since > p.Fire || len(p.Faults) == 0 || !luck.odds(p.Share) {
		return well
	}
	return p.Faults[luck.IntN(len(p.Faults))]
}

// spoil is what the caller sees instead of the answer.
func (x Fault) spoil(good reply, luck dice) (reply, error) {
	page := func(status int, text string) (reply, error) {
		return reply{status: status, header: http.Header{"Content-Type": {"text/html"}}, body: []byte(text), whole: true}, nil
	}
	switch x {
	case Refuse:
		return reply{}, &hub.Error{Kind: hub.Unavailable, Code: "egress.unreachable", Message: "nobody there"}
	case Down:
		return page(http.StatusServiceUnavailable, "down for maintenance")
	case Throttle:
		out, err := page(http.StatusTooManyRequests, "slow down")
		if after := later(luck); after != "" {
			out.header.Set("Retry-After", after)
		}
		return out, err
	case Vanish, Drop:
		return reply{}, fmt.Errorf("connection reset by peer")
	case Truncate:
		good.whole = false
	case Gateway:
		return page(http.StatusBadGateway, "<html><h1>502 Bad Gateway</h1></html>")
	case HTML:
		return page(http.StatusOK, "<html><form>Please log in</form></html>")
	case Empty:
		if good.status >= http.StatusBadRequest { // a yes to what was refused would be a lie that nobody could find out
			return reply{status: good.status, header: good.header, whole: true}, nil
		}
		return reply{status: http.StatusOK, whole: true}, nil
	}
	return good, nil
}

// later is what a far side may say in Retry-After.
func later(luck dice) string {
	switch luck.IntN(6) {
	case 0:
		return time.Now().Add(7 * time.Second).UTC().Format(http.TimeFormat)
	case 1:
		return "0"
	case 2:
		return "-5"
	case 3:
		return "soon"
	case 4:
		return ""
	}
	return "3"
}
