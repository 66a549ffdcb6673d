package connector

import (
	"encoding/json"

	"throughline/internal/exact"
	"throughline/internal/expr"
	"time"
)

// shapeOps turns values into the vendor's JSON and back.
type shapeOps struct {
	wrap                            string
	decimal, date, instant, seconds *expr.Program
	rules                           []decodeOp
}

type decodeOp struct{ when, value *expr.Program }

func (k *compiler) shape(s Shape) shapeOps {
	out := shapeOps{wrap: s.Wrap}
	for _, e := range s.Encode {
		p := k.expr(e.Value, expr.Dyn)
		switch e.Key {
		case "decimal":
			out.decimal = p
		case "date":
			out.date = p
		case "instant":
			out.instant = p
		case "seconds":
			out.seconds = p
		default:
			k.problem(e.Pos, "shape.encode."+e.Key, "there is no type "+e.Key+" to encode", "It may be decimal, date, instant or seconds.")
		}
	}
	for _, d := range s.Decode {
		out.rules = append(out.rules, decodeOp{k.expr(d.When, expr.Bool), k.expr(d.Value, expr.Dyn)})
	}
	return out
}

// encode writes exact values as the vendor wants them. Without a rule a decimal is a number, money
// its amount, seconds a whole number, a date and an instant their ISO text.
func (s shapeOps) encode(v any) (any, error) {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			n, err := s.encode(e)
			if err != nil {
				return nil, err
			}
			out[k] = n
		}
		return out, nil
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			n, err := s.encode(e)
			if err != nil {
				return nil, err
			}
			out[i] = n
		}
		return out, nil
	case exact.Money:
		return s.encode(v.Amount)
	case exact.Decimal:
		return apply(s.decimal, v, json.Number(v.String()))
	case exact.Date:
		return apply(s.date, v, v.String())
	case time.Time:
		return apply(s.instant, v, v.UTC().Format(time.RFC3339Nano))
	case exact.Seconds:
		return apply(s.seconds, v, int64(v))
	}
	return v, nil
}

func apply(p *expr.Program, v, otherwise any) (any, error) {
	if p == nil {
		return otherwise, nil
	}
	return p.Eval(map[string]any{"v": v})
}

// Wrap puts every field under the vendor's key: {"Name": {"value": "x"}}. Lists hold rows whose
// fields are wrapped in turn.
func (s shapeOps) wrapFields(v any) any {
	if s.wrap == "" {
		return v
	}
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = s.wrapFields(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = s.wrapFields(e)
		}
		return out
	}
	return map[string]any{s.wrap: v}
}

// decode is the way back: wrapped fields become their values, an empty object nothing, and objects
// that stand for a value that value.
func (s shapeOps) decode(v any) (any, error) {
	if s.wrap == "" && len(s.rules) == 0 {
		return v, nil
	}
	switch v := v.(type) {
	case []any:
		for i := range v {
			n, err := s.decode(v[i])
			if err != nil {
				return nil, err
			}
			v[i] = n
		}
	case map[string]any:
		return s.decodeObject(v)
	}
	return v, nil
}

func (s shapeOps) decodeObject(m map[string]any) (any, error) {
	if s.wrap != "" {
		if len(m) == 0 {
			return nil, nil
		}
		if inner, ok := m[s.wrap]; ok {
			return inner, nil
		}
	}
	for _, r := range s.rules {
		vars := map[string]any{"v": m}
		hit, err := r.when.True(vars)
		if err != nil {
			return nil, err
		}
		if hit {
			return r.value.Eval(vars)
		}
	}
	for k, e := range m {
		n, err := s.decode(e)
		if err != nil {
			return nil, err
		}
		m[k] = n
	}
	return m, nil
}

// Fields puts what a mapping made into the vendor's shape.
func (c *Connector) Fields(fields map[string]any) map[string]any {
	out, _ := c.shape.wrapFields(fields).(map[string]any)
	return out
}
