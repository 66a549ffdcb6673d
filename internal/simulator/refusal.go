package simulator

import "fmt"

// refusal is why a call is not carried out. Its name picks the answer under errors in the
// description; the rest is what that answer may speak of.
type refusal struct {
	name    string // invalid, exists, not_found, blocked …
	code    string
	message string
	entity  string
	id      string // of the row that stands in the way
	faults  []fault
	extra   map[string]any
}

// fault is what is wrong with one field.
type fault struct {
	field   string
	code    string // required, too_long, too_short, bad_type, not_in_enum, pattern, unknown_reference, duplicate, read_only, unknown_field
	value   any
	limit   any
	id      string // of the row that has the value already
	message string
}

func (r *refusal) Error() string { return fmt.Sprintf("%s: %s", r.name, r.message) }

func refuse(name, message string) *refusal { return &refusal{name: name, message: message} }

// vars is what expressions see as "error".
func (r *refusal) vars() map[string]any {
	list := make([]any, len(r.faults))
	for i, f := range r.faults {
		list[i] = f.vars()
	}
	v := map[string]any{
		"name": r.name, "code": r.code, "message": r.message, "entity": r.entity, "id": r.id, "fields": list,
		"field": "", "value": nil,
	}
	if len(r.faults) > 0 {
		v["field"], v["value"] = r.faults[0].field, r.faults[0].value
	}
	for name, value := range r.extra {
		v[name] = value
	}
	return v
}

func (f fault) vars() map[string]any {
	return map[string]any{
		"field": f.field, "code": f.code, "value": f.value, "limit": f.limit, "id": f.id, "message": f.message,
	}
}

// plain is the wording where the description has none.
func (f fault) plain() string {
	switch f.code {
	case "required":
		return f.field + " is required"
	case "too_long":
		return fmt.Sprintf("%s is longer than %v", f.field, f.limit)
	case "too_short":
		return fmt.Sprintf("%s is shorter than %v", f.field, f.limit)
	case "unknown_field":
		return "there is no field " + f.field
	case "unknown_reference":
		return fmt.Sprintf("%s: nothing is called %v", f.field, f.value)
	case "duplicate":
		return fmt.Sprintf("%v exists already", f.value)
	case "read_only":
		return f.field + " cannot be set"
	}
	return fmt.Sprintf("%s: %v is not a valid value", f.field, f.value)
}
