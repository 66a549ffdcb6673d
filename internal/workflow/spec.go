package workflow

import (
	"bytes"
	"encoding/json"

	"throughline/internal/specfile"
)

// Spec is what a deployment is made of besides its template: which connections play the roles, the
// answers to the parameters, the tenant's value maps, packages and extensions. It is stored as JSON,
// one per revision, and never changed afterwards (R9).
type Spec struct {
	Template   string                                  `json:"template"`
	Version    int                                     `json:"version"`
	Roles      map[string]string                       `json:"roles"`
	Parameters map[string]any                          `json:"parameters,omitempty"`
	From       string                                  `json:"from,omitempty"` // nothing before this day is touched
	Values     map[string]map[string]string            `json:"values,omitempty"`
	Packages   map[string]map[string]any               `json:"packages,omitempty"`
	Rates      *Rates                                  `json:"rates,omitempty"`
	Extend     map[string]specfile.Map[specfile.Value] `json:"extend,omitempty"`
	Without    []string                                `json:"without,omitempty"` // "time/account": records that a role's system goes without
	Poll       string                                  `json:"poll,omitempty"`    // when it looks for changes; "" = by webhook only
	Sweep      string                                  `json:"sweep,omitempty"`   // when it looks for what is gone
	Zone       string                                  `json:"zone,omitempty"`    // of the customer's business dates and schedules
}

// ReadSpec reads a spec as it is kept, numbers as they were written: a float would make "1e+06" of a task's code 1000000.
func ReadSpec(kept string) (*Spec, error) {
	spec, d := &Spec{}, json.NewDecoder(bytes.NewReader([]byte(kept)))
	d.UseNumber()
	return spec, d.Decode(spec)
}
