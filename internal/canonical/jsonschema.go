package canonical

import "throughline/internal/specfile"

// JSONSchema is the type as JSON Schema 2020-12, as the API and forms show it.
func (s *Schema) JSONSchema() map[string]any {
	schema := objectSchema(s.Fields)
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	schema["title"] = s.Title
	if s.About != "" {
		schema["description"] = s.About
	}
	return schema
}

func objectSchema(fields specfile.Map[Field]) map[string]any {
	properties, required := map[string]any{}, []string{}
	for _, f := range fields {
		p := fieldSchema(f.Value)
		if f.Value.About != "" {
			p["description"] = f.Value.About
		}
		properties[f.Key] = p
		if f.Value.Required {
			required = append(required, f.Key)
		}
	}
	return map[string]any{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
}

const decimalPattern = `^-?[0-9]+(\.[0-9]+)?$`

func fieldSchema(f Field) map[string]any {
	switch f.Type {
	case "bool":
		return map[string]any{"type": "boolean"}
	case "int", "seconds":
		return map[string]any{"type": "integer"}
	case "decimal":
		return map[string]any{"type": "string", "pattern": decimalPattern}
	case "money":
		return map[string]any{"type": "object", "required": []string{"amount", "currency"}, "properties": map[string]any{
			"amount":   map[string]any{"type": "string", "pattern": decimalPattern},
			"currency": map[string]any{"type": "string", "pattern": "^[A-Z]{3}$"}}}
	case "date":
		return map[string]any{"type": "string", "format": "date"}
	case "instant":
		return map[string]any{"type": "string", "format": "date-time"}
	case "enum":
		return map[string]any{"enum": f.Values}
	case "ref":
		return map[string]any{"type": "object", "required": []string{"ref", "id"}, "properties": map[string]any{
			"ref": map[string]any{"const": f.To}, "id": map[string]any{"type": "string"}, "key": map[string]any{"type": "string"}}}
	case "list":
		return map[string]any{"type": "array", "items": fieldSchema(*f.Of)}
	case "object":
		return objectSchema(f.Fields)
	}
	text := map[string]any{"type": "string"}
	if f.Max > 0 {
		text["maxLength"] = f.Max
	}
	return text
}
