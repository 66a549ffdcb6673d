package farside

import (
	"encoding/json"
	"net/http"

	"throughline/internal/oracle"
)

// batch makes several things in one call and tells of each which it has become.
func (f *Far) batch(name, kind string, body []byte, lost bool) (reply, error) {
	var many struct{ Items []sent }
	if err := json.Unmarshal(body, &many); err != nil {
		return reply{http.StatusBadRequest, nil}, nil
	}
	f.mu.Lock()
	f.count(Batch, name)
	a, made, lines := f.account(name), []*object{}, []oracle.Effect{}
	for _, s := range many.Items {
		o, line := f.make(a, kind, s)
		line.Lost = lost
		made, lines = append(made, o), append(lines, line)
	}
	f.mu.Unlock()
	for _, line := range lines {
		if err := f.note(line); err != nil {
			return reply{}, err
		}
	}
	return reply{http.StatusMultiStatus, made}, nil
}
