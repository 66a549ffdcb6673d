package canonical

import (
	"encoding/json"
	"fmt"
	"time"

	"throughline/internal/exact"
	"throughline/internal/hub"
	"throughline/internal/specfile"
)

// Decode is the inverse of Encode: the fields of a record as the ledger keeps them.
func (s *Schema) Decode(encoded []byte) (map[string]any, error) {
	v, err := exact.DecodeJSON(encoded)
	if err != nil {
		return nil, fmt.Errorf("read a %s: %w", s.Record, err)
	}
	fields, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("read a %s: it is no object", s.Record)
	}
	return decodeFields(s.Fields, fields)
}

func decodeFields(defs specfile.Map[Field], fields map[string]any) (map[string]any, error) {
	out := make(map[string]any, len(fields))
	for _, f := range defs {
		v, there := fields[f.Key]
		if !there || v == nil {
			continue
		}
		typed, err := decodeValue(f.Value, v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Key, err)
		}
		out[f.Key] = typed
	}
	if ext, ok := fields["ext"]; ok {
		out["ext"] = ext
	}
	return out, nil
}

// DecodeAs is one value of a plain type, such as decimal or date, as Encode has written it.
func DecodeAs(typeName string, v any) (any, error) { return decodeValue(Field{Type: typeName}, v) }

func decodeValue(f Field, v any) (any, error) {
	switch v := v.(type) {
	case bool:
		return v, nil
	case json.Number:
		n, err := v.Int64()
		if f.Type == "seconds" {
			return exact.Seconds(n), err
		}
		return n, err
	case string:
		return decodeText(f, v)
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			typed, err := decodeValue(*f.Of, e)
			if err != nil {
				return nil, err
			}
			out[i] = typed
		}
		return out, nil
	case map[string]any:
		return decodeObject(f, v)
	}
	return nil, fmt.Errorf("%T is no %s", v, f.Type)
}

func decodeText(f Field, s string) (any, error) {
	switch f.Type {
	case "decimal":
		return exact.ParseDecimal(s)
	case "date":
		return exact.ParseDate(s)
	case "instant":
		return time.Parse(time.RFC3339Nano, s)
	}
	return s, nil
}

func decodeObject(f Field, v map[string]any) (any, error) {
	switch f.Type {
	case "money":
		amount, _ := v["amount"].(string)
		currency, _ := v["currency"].(string)
		d, err := exact.ParseDecimal(amount)
		if err != nil {
			return nil, err
		}
		return exact.NewMoney(d, currency)
	case "ref":
		id, _ := v["id"].(string)
		key, _ := v["key"].(string)
		ref := Ref{Type: f.To, ID: hub.RecordID(id)}
		ref.Key, _ = hub.ParseRecordKey(key)
		return ref, nil
	}
	return decodeFields(f.Fields, v)
}
