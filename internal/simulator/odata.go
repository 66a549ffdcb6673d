package simulator

import (
	"encoding/json"
	"fmt"
	"strings"
)

// parseOData reads the part of OData 3's filter language that vendors offer: comparisons joined by
// and, or, not, and the text functions.
func parseOData(text string) (filter, error) {
	words, err := lexOData(text)
	if err != nil {
		return nil, err
	}
	p := &odata{words: words}
	f, err := p.either()
	if err != nil {
		return nil, err
	}
	if p.peek().text != "" {
		return nil, fmt.Errorf("'%s' is not expected here", p.peek().text)
	}
	return f, nil
}

// word is a piece of the text; quoted ones are values whatever they say.
type word struct {
	text   string
	quoted bool
}

func lexOData(s string) ([]word, error) {
	var list []word
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimLeft(s, " ") {
		switch {
		case strings.ContainsRune("(),", rune(s[0])):
			list, s = append(list, word{text: s[:1]}), s[1:]
		case s[0] == '\'':
			value, rest, err := quoted(s)
			if err != nil {
				return nil, err
			}
			list, s = append(list, word{value, true}), rest
		default:
			n := strings.IndexAny(s, " (),'")
			if n < 0 {
				n = len(s)
			}
			list, s = append(list, word{text: s[:n]}), s[n:]
		}
	}
	return list, nil
}

// quoted takes a text in single quotes from the front of s; a doubled quote stands for one.
func quoted(s string) (value, rest string, err error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] != '\'' {
			b.WriteByte(s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == '\'' {
			b.WriteByte('\'')
			i++
			continue
		}
		return b.String(), s[i+1:], nil
	}
	return "", "", fmt.Errorf("there is an unterminated string literal in the filter")
}

type odata struct {
	words []word
	depth int
}

func (p *odata) peek() word {
	if len(p.words) == 0 {
		return word{}
	}
	return p.words[0]
}

func (p *odata) next() word {
	w := p.peek()
	if len(p.words) > 0 {
		p.words = p.words[1:]
	}
	return w
}

func (p *odata) takes(text string) bool {
	if w := p.peek(); w.quoted || !strings.EqualFold(w.text, text) {
		return false
	}
	p.next()
	return true
}

func (p *odata) need(text string) error {
	if !p.takes(text) {
		return fmt.Errorf("'%s' expected", text)
	}
	return nil
}

func (p *odata) either() (filter, error) {
	if p.depth++; p.depth > 50 {
		return nil, fmt.Errorf("the filter is nested too deeply")
	}
	defer func() { p.depth-- }()
	list := anyOf{}
	for {
		f, err := p.both()
		if err != nil {
			return nil, err
		}
		list = append(list, f)
		if !p.takes("or") {
			return list, nil
		}
	}
}

func (p *odata) both() (filter, error) {
	list := allOf{}
	for {
		f, err := p.one()
		if err != nil {
			return nil, err
		}
		list = append(list, f)
		if !p.takes("and") {
			return list, nil
		}
	}
}

func (p *odata) one() (filter, error) {
	switch {
	case p.takes("not"):
		f, err := p.one()
		return not{f}, err
	case p.takes("("):
		f, err := p.either()
		if err != nil {
			return nil, err
		}
		return f, p.need(")")
	}
	return p.comparison()
}

var odataFunctions = map[string]string{"startswith": "starts", "endswith": "ends", "substringof": "contains"}

func (p *odata) comparison() (filter, error) {
	w := p.next()
	if w.text == "" || w.quoted {
		return nil, fmt.Errorf("a field is expected, not '%s'", w.text)
	}
	if op := odataFunctions[strings.ToLower(w.text)]; op != "" {
		return p.call(op)
	}
	field := w.text
	if strings.HasPrefix(field, "cf.") {
		custom, err := p.custom()
		if err != nil {
			return nil, err
		}
		field = custom
	}
	op := strings.ToLower(p.next().text)
	if !map[string]bool{"eq": true, "ne": true, "gt": true, "ge": true, "lt": true, "le": true}[op] {
		return nil, fmt.Errorf("'%s' is not an operator", op)
	}
	value, err := p.value()
	if err != nil {
		return nil, err
	}
	return &condition{path: splitPath(field), op: op, value: value}, nil
}

// custom reads cf.String(f='View.Field'): a field that the customer has added.
func (p *odata) custom() (string, error) {
	if err := p.need("("); err != nil {
		return "", err
	}
	if w := p.next(); w.text != "f=" {
		return "", fmt.Errorf("f= expected")
	}
	name := p.next()
	if !name.quoted {
		return "", fmt.Errorf("the name of a custom field must be in quotes")
	}
	return "custom." + name.text, p.need(")")
}

func (p *odata) call(op string) (filter, error) {
	if err := p.need("("); err != nil {
		return nil, err
	}
	first := p.next()
	if err := p.need(","); err != nil {
		return nil, err
	}
	second := p.next()
	if err := p.need(")"); err != nil {
		return nil, err
	}
	field, value := first, second
	if op == "contains" { // substringof('text',Field): the other way round
		field, value = second, first
	}
	if field.quoted || !value.quoted {
		return nil, fmt.Errorf("a field and a text in quotes are expected")
	}
	if p.takes("eq") {
		if w := p.next(); w.text != "true" {
			return nil, fmt.Errorf("only 'eq true' may follow a function")
		}
	}
	return &condition{path: splitPath(field.text), op: op, value: value.text, fold: true}, nil
}

func (p *odata) value() (any, error) {
	w := p.next()
	switch {
	case w.quoted:
		return w.text, nil
	case w.text == "null":
		return nil, nil
	case w.text == "true" || w.text == "false":
		return w.text == "true", nil
	case w.text == "datetimeoffset" || w.text == "datetime" || w.text == "guid":
		if v := p.next(); v.quoted {
			return v.text, nil
		}
		return nil, fmt.Errorf("%s needs a value in quotes", w.text)
	}
	if _, ok := numberOf(w.text); ok {
		return json.Number(w.text), nil
	}
	return nil, fmt.Errorf("'%s' is not a value", w.text)
}
