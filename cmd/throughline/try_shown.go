package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"throughline/internal/canonical"
	"throughline/internal/connector"
	"throughline/internal/egress"
	"throughline/internal/remote"
)

// shownCalls prints every call that it makes, with the secrets masked: by the names of fields, and
// by their very text wherever it may stand.
type shownCalls struct {
	way     *egress.Client
	out     io.Writer
	secrets map[string]any
	login   bool // under way: what it says and is told opens the account
}

const shownBody = 4000 // characters of an answer's body

func (s *shownCalls) Send(ctx context.Context, method, url string, header map[string]string, body []byte, suffix string) (int, http.Header, []byte, error) {
	s.print("> %s %s\n", method, egress.RedactURL(url))
	h := http.Header{}
	for k, v := range header {
		h.Set(k, v)
	}
	s.headers("> ", egress.RedactHeader(h), nil)
	s.body("> ", header["Content-Type"], body)
	status, answer, data, err := s.way.Send(ctx, method, url, header, body, suffix)
	if err != nil {
		return status, answer, data, err
	}
	s.print("< %d %s\n", status, http.StatusText(status))
	s.headers("< ", egress.RedactHeader(answer), matters)
	s.body("< ", answer.Get("Content-Type"), data)
	return status, answer, data, nil
}

// matters picks the headers of an answer that a connector may go by.
func matters(name string) bool {
	low := strings.ToLower(name)
	for _, part := range []string{"content-type", "retry-after", "limit", "quota", "page", "link", "etag", "location", "x-"} {
		if strings.Contains(low, part) {
			return true
		}
	}
	return false
}

func (s *shownCalls) headers(mark string, h http.Header, only func(string) bool) {
	for _, name := range slices.Sorted(maps.Keys(h)) {
		if only == nil || only(name) {
			s.print("%s%s: %s\n", mark, name, strings.Join(h[name], ", "))
		}
	}
}

func (s *shownCalls) body(mark, contentType string, body []byte) {
	if s.login && len(body) > 0 {
		s.print("%s(of the login, not shown)\n", mark)
		return
	}
	text := egress.RedactBody(contentType, body)
	var pretty bytes.Buffer
	if json.Indent(&pretty, []byte(text), "", "  ") == nil {
		text = pretty.String()
	}
	if r := []rune(text); len(r) > shownBody {
		text = string(r[:shownBody]) + fmt.Sprintf("\n… %d characters more", len(r)-shownBody)
	}
	if text != "" {
		s.print("%s\n%s\n", strings.TrimSpace(mark), text)
	}
}

func (s *shownCalls) print(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	for name, v := range s.secrets {
		if v, ok := v.(string); ok && len(v) > 3 {
			text = strings.ReplaceAll(text, v, "<secret "+name+">")
		}
	}
	fmt.Fprint(s.out, text) //nolint:errcheck // a terminal that went away
}

// tell prints what was read from the answer.
func (t *attempt) tell(ctx context.Context, op *connector.Op, a *connector.Answer) error {
	if t.kind == nil {
		name, err := op.AccountName(a)
		fmt.Printf("= %s\n", name)
		return err
	}
	if op.Write != nil {
		id, err := t.kind.IDOf(a.Result, t.conn.Settings)
		fmt.Printf("= %s %s\n", t.kind.Name, id)
		return err
	}
	items := a.Items()
	if op == t.kind.Get && len(items) == 1 {
		if err := t.complete(ctx, items[0]); err != nil {
			return err
		}
	}
	fmt.Printf("= %d %s read\n", len(items), t.kind.Name)
	for i, x := range items {
		if i == 20 {
			fmt.Printf("… %d more\n", len(items)-i)
			break
		}
		if err := t.item(x); err != nil {
			return err
		}
	}
	return nil
}

// complete makes the further reads that a record needs.
func (t *attempt) complete(ctx context.Context, x any) error {
	m, ok := x.(map[string]any)
	if !ok {
		return nil
	}
	for _, w := range t.kind.With {
		more, err := t.client.Call(ctx, t.conn, w.Op, remote.Vars{"id": t.vars["id"], "x": x})
		if err != nil {
			return err
		}
		m[w.Name] = more.Result
	}
	return nil
}

// item prints one record: the vendor's id, and the canonical record or why there is none. A record
// that cannot be read is told and is no failure of the call.
func (t *attempt) item(x any) error {
	id, err := t.kind.IDOf(x, t.conn.Settings)
	if err != nil {
		return err
	}
	m := t.system.Mappings[t.kind.As]
	if m == nil {
		fmt.Printf("  %s (nothing maps it)\n", id)
		return nil
	}
	if len(m.File.Read)+len(m.File.Same) == 0 {
		fmt.Printf("  %s (a %s that is only written)\n", id, t.kind.As)
		return nil
	}
	r, err := m.Read(t.context(), x)
	if err != nil {
		fmt.Printf("  %s cannot be read: %v\n", id, err)
		return nil
	}
	data, err := canonical.Encode(r.Fields)
	if err != nil {
		return err
	}
	fmt.Printf("  %s is the %s %s\n", id, t.kind.As, data)
	return nil
}
