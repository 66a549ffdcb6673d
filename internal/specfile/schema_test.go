package specfile

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func TestSchemaAgreesWithDecode(t *testing.T) {
	schema := compile(t, Schema(sample{}, "A sample"))
	for _, c := range []struct {
		name, in string
		fine     bool
	}{
		{"the sample that decodes", good, true},
		{"the least that decodes", "connector: a", true},
		{"a sample within a sample", "{connector: a, nested: {connector: b}}", true},
		{"a missing key", "title: a", false},
		{"a missing key further in", "{connector: a, records: {r: {}}}", false},
		{"an unknown key", "{connector: a, pgae: 1}", false},
		{"a value of the wrong form", "connector: A_B", false},
		{"an unknown word", "{connector: a, roles: [hr]}", false},
		{"a single value where a list is needed", "{connector: a, roles: crm}", false},
		{"a number out of range", "{connector: a, share: 2}", false},
		{"a negative count", "{connector: a, count: -1}", false},
		{"an expression where text is fixed", "{connector: a, docs: =x}", false},
		{"text where an expression is needed", "{connector: a, records: {r: {id: x}}}", false},
		{"a rate that is none", "{connector: a, limits: [{rate: 50/s}]}", false},
		{"an unknown unit", "{connector: a, limits: [{every: 2 moons}]}", false},
		{"money without currency", "{connector: a, fee: \"12\"}", false},
		{"text for a bool", "{connector: a, enabled: yes}", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var into sample
			if problems := Decode("f.yaml", []byte(c.in), &into); (len(problems) == 0) != c.fine {
				t.Errorf("Decode says: %v", problems)
			}
			var data struct {
				V Value `spec:"v"`
			}
			Decode("f.yaml", []byte(c.in), &data.V)
			if err := schema.Validate(plain(data.V)); (err == nil) != c.fine {
				t.Errorf("the schema says: %v", err)
			}
		})
	}
}

// plain is what an editor sees, where an expression is just text.
func plain(v Value) any {
	switch v.Kind {
	case KindExpr:
		return "=" + v.Source
	case KindList:
		list := []any{}
		for _, item := range v.Items {
			list = append(list, plain(item))
		}
		return list
	case KindMap:
		object := map[string]any{}
		for _, e := range v.Entries {
			object[e.Key] = plain(e.Value)
		}
		return object
	case KindNumber:
		return json.Number(v.Text)
	case KindBool:
		return v.Bool
	case KindText:
		return v.Text
	}
	return nil
}

func compile(t *testing.T, schema map[string]any) *jsonschema.Schema {
	t.Helper()
	text, err := json.Marshal(schema)
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("sample.json", document); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("sample.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func TestSchemaSaysWhatTheTagsSay(t *testing.T) {
	defs := Schema(&sample{}, "A sample")["$defs"].(map[string]any)
	page := defs["samplePage"].(map[string]any)["properties"].(map[string]any)
	want := map[string]any{"type": "integer", "minimum": json.Number("1"), "maximum": json.Number("200"), "default": json.Number("100")}
	if got := page["max"]; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	name := defs["sample"].(map[string]any)["properties"].(map[string]any)["connector"].(map[string]any)
	if got := name["description"]; got != "The connector's name in small letters." {
		t.Errorf("got %v", got)
	}
}
