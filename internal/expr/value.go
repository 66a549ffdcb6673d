package expr

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"throughline/internal/exact"
)

// Referrer is a Go value that expressions treat as a reference: they can hand it on and compare it,
// and nothing else.
type Referrer interface{ RefText() string }

// adapter turns Go values into values of the language. The Go values are those of decoded JSON and
// of canonical records: nil, bool, string, int64, json.Number, exact types, time.Time, []any,
// map[string]any and Referrer.
type adapter struct{}

func (adapter) NativeToValue(v any) ref.Val {
	switch v := v.(type) {
	case nil:
		return types.NullValue
	case ref.Val:
		return v
	case string:
		return types.String(v)
	case bool:
		return types.Bool(v)
	case int64:
		return types.Int(v)
	case int:
		return types.Int(v)
	case json.Number:
		return number(v)
	case exact.Decimal:
		return decimal{v}
	case exact.Money:
		return money{v}
	case exact.Date:
		return date{v}
	case exact.Seconds:
		return seconds(v)
	case time.Time:
		return types.Timestamp{Time: v}
	case map[string]any:
		return object(v)
	case []any:
		return types.NewDynamicList(adapter{}, v)
	case []string:
		return types.NewStringList(adapter{}, v)
	case []map[string]any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = v[i]
		}
		return types.NewDynamicList(adapter{}, list)
	case Referrer:
		return reference{v}
	}
	return types.NewErr("a value of Go type %T has no place in an expression", v)
}

// number keeps whole numbers whole, however they are written (1, 1.0, 1e0), and everything else exact; no digit passes
// through a float.
func number(n json.Number) ref.Val {
	if i, err := n.Int64(); err == nil {
		return types.Int(i)
	}
	d, err := exact.ParseDecimal(n.String())
	if err != nil {
		return types.WrapErr(err)
	}
	if i, err := d.Int64(); err == nil {
		return types.Int(i)
	}
	return decimal{d}
}

// native is the way back: the Go value of an evaluation's result.
func native(v ref.Val) (any, error) {
	switch v := v.(type) {
	case types.Null:
		return nil, nil
	case types.Bool:
		return bool(v), nil
	case types.Int:
		return int64(v), nil
	case types.String:
		return string(v), nil
	case types.Timestamp:
		return v.Time, nil
	case types.Duration:
		return v.Duration, nil
	case types.Double:
		d, ok := asDecimal(v)
		if !ok {
			return nil, fmt.Errorf("%v is no number", v)
		}
		return d, nil
	case object:
		return map[string]any(v), nil
	case decimal, money, date, seconds, reference:
		return v.Value(), nil
	case traits.Mapper:
		return nativeMap(v)
	case traits.Lister:
		return nativeList(v)
	case *types.Err:
		return nil, v
	}
	return nil, fmt.Errorf("an expression may not result in a %s", v.Type().TypeName())
}

func nativeMap(m traits.Mapper) (any, error) {
	out := map[string]any{}
	for it := m.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		name, ok := key.(types.String)
		if !ok {
			return nil, fmt.Errorf("a key must be text, this one is a %s", key.Type().TypeName())
		}
		v, err := native(m.Get(key))
		if err != nil {
			return nil, err
		}
		out[string(name)] = v
	}
	return out, nil
}

func nativeList(l traits.Lister) (any, error) {
	n, _ := l.Size().(types.Int)
	out := make([]any, 0, n)
	for i := types.Int(0); i < n; i++ {
		v, err := native(l.Get(i))
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// object is a JSON object or a canonical record. It is no CEL map on purpose: a map complains about
// a key that is not there, an object answers null.
type object map[string]any

var objectType = types.NewObjectType("object", traits.IndexerType|traits.FieldTesterType|traits.ContainerType|traits.SizerType|traits.IterableType)

func (o object) Type() ref.Type { return objectType }
func (o object) Value() any     { return map[string]any(o) }
func (o object) Size() ref.Val  { return types.Int(len(o)) }

func (o object) Get(key ref.Val) ref.Val {
	name, ok := key.(types.String)
	if !ok {
		return types.NewErr("a field's name must be text")
	}
	return adapter{}.NativeToValue(o[string(name)])
}

func (o object) IsSet(key ref.Val) ref.Val {
	name, ok := key.(types.String)
	return types.Bool(ok && o[string(name)] != nil)
}

func (o object) Contains(key ref.Val) ref.Val { return o.IsSet(key) }

func (o object) Iterator() traits.Iterator {
	keys := make([]string, 0, len(o))
	for k := range o {
		keys = append(keys, k)
	}
	return types.NewStringList(adapter{}, sorted(keys)).Iterator()
}

func (o object) Equal(other ref.Val) ref.Val {
	p, ok := other.(object)
	if !ok || len(o) != len(p) {
		return types.False
	}
	for k, v := range o {
		w, there := p[k]
		if !there || types.Equal(adapter{}.NativeToValue(v), adapter{}.NativeToValue(w)) != types.True {
			return types.False
		}
	}
	return types.True
}

func (o object) ConvertToNative(want reflect.Type) (any, error) { return convert(o, want) }
func (o object) ConvertToType(t ref.Type) ref.Val               { return retype(o, t, "") }

// reference is a link to another record.
type reference struct{ Referrer }

var referenceType = types.NewOpaqueType("ref")

func (r reference) Type() ref.Type { return referenceType }
func (r reference) Value() any     { return r.Referrer }
func (r reference) Equal(other ref.Val) ref.Val {
	s, ok := other.(reference)
	return types.Bool(ok && r.RefText() == s.RefText())
}
func (r reference) ConvertToNative(want reflect.Type) (any, error) { return convert(r, want) }
func (r reference) ConvertToType(t ref.Type) ref.Val               { return retype(r, t, r.RefText()) }

// convert serves ConvertToNative of every type here: their Go value is the only one they have.
func convert(v ref.Val, want reflect.Type) (any, error) {
	got := reflect.TypeOf(v.Value())
	if got.AssignableTo(want) {
		return v.Value(), nil
	}
	return nil, fmt.Errorf("a %s is no %s", v.Type().TypeName(), want)
}

// retype serves ConvertToType: type(v), string(v) where it has a text, and itself.
func retype(v ref.Val, t ref.Type, text string) ref.Val {
	switch {
	case t == types.TypeType:
		return v.Type().(ref.Val)
	case t == types.StringType && text != "":
		return types.String(text)
	case t.TypeName() == v.Type().TypeName():
		return v
	}
	return types.NewErr("a %s cannot become a %s", v.Type().TypeName(), strings.ToLower(t.TypeName()))
}
