package canonical

import (
	"fmt"
	"strings"

	"throughline/internal/specfile"
)

// Describe is the record types as a page for people: what docs/records.md holds.
func (s *Set) Describe() string {
	var b strings.Builder
	b.WriteString(`# Records

The records that every process is written on. Made from ` + "`schemas/`" + ` by ` + "`go test ./schemas -update`" + `; do not edit it here.

Units: *seconds* are whole seconds of work (written "01:30" or PT1H30M in files); a *date* is a business date and is never shifted; an *instant* is
UTC; *money* is an exact amount with an ISO 4217 currency, as fine as it was given; a *decimal* is exact. *Text* has no blanks or unseen characters at its ends, and one spelling for each letter
(Unicode NFC), so that two systems' Müller are one. A field in bold is required; others that a
system cannot do without are named by its mapping (` + "`needs:`" + `). *Personal* fields are masked in logs, and exported and erased on request.
`)
	for _, name := range s.Names() {
		s.byName[name].describe(&b)
	}
	return b.String()
}

func (s *Schema) describe(b *strings.Builder) {
	fmt.Fprintf(b, "\n## %s\n`%s@%d`", s.Title, s.Record, s.Version)
	if s.About != "" {
		b.WriteString(": " + s.About)
	}
	b.WriteString("\n")
	if len(s.Keys) > 0 {
		keys := make([]string, len(s.Keys))
		for i, key := range s.Keys {
			keys[i] = strings.Join(key, " + ")
		}
		b.WriteString("\nTwo are the same if they agree in: " + strings.Join(keys, "; or ") + ".\n")
	}
	b.WriteString("\n| field | type | |\n|---|---|---|\n")
	describeFields(b, s.Fields, "")
}

func describeFields(b *strings.Builder, fields specfile.Map[Field], path string) {
	for _, f := range fields {
		name := path + f.Key
		shown := name
		if f.Value.Required {
			shown = "**" + name + "**"
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", shown, f.Value.kind(), f.Value.remarks())
		inner := f.Value
		if inner.Of != nil {
			inner = *inner.Of
			name += "[]"
		}
		describeFields(b, inner.Fields, name+".")
	}
}

// kind is the field's type in words: "ref to project", "list of object".
func (f Field) kind() string {
	switch f.Type {
	case "ref":
		return "ref to " + f.To
	case "list":
		return "list of " + f.Of.kind()
	case "enum":
		return strings.Join(f.Values, ", ")
	}
	return f.Type
}

func (f Field) remarks() string {
	var list []string
	if f.About != "" {
		list = append(list, f.About)
	}
	if f.Max > 0 {
		list = append(list, fmt.Sprintf("at most %d characters", f.Max))
	}
	if f.Min != nil {
		list = append(list, fmt.Sprintf("at least %s", f.Min))
	}
	if f.Personal {
		list = append(list, "personal")
	}
	return strings.Join(list, "; ")
}
