package connector

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"throughline/internal/exact"
	"throughline/internal/expr"
	"throughline/internal/hub"
	"throughline/internal/specfile"
)

// vars are what the expressions of a connector file may read. Which of them have a value depends on
// where the expression stands; docs/connectors.md has the table.
var vars = expr.Vars{
	"settings": expr.Dyn, "secret": expr.Dyn, "session": expr.Dyn,
	"id": expr.Dyn, "x": expr.Dyn, "fields": expr.Dyn, "item": expr.Dyn, "value": expr.Dyn,
	"items": expr.Dyn, "parent": expr.Dyn, "from": expr.Date, "to": expr.Date,
	"found": expr.Dyn, "record": expr.Dyn, "marker": expr.Text, "key": expr.Text,
	"since": expr.Instant, "page": expr.Dyn, "method": expr.Text, "params": expr.Dyn,
	"body": expr.Dyn, "raw": expr.Dyn, "status": expr.Int, "header": expr.Dyn, "cookie": expr.Dyn, "e": expr.Dyn, "v": expr.Dyn,
}

// Connector is a checked and compiled connector file.
type Connector struct {
	File  *File
	host  *text
	ops   map[string]*Op // "whoami", "login", "token"
	kinds map[string]*Kind
	byAs  map[string]*Kind

	headers  *tree
	auth     authOps
	rpc      *rpcOps
	shape    shapeOps
	rules    []rule
	webhooks *hookOps
}

// Kind is one kind of the vendor's records, compiled.
type Kind struct {
	Name string
	As   string
	Spec *Record

	ID, Version, Number, Link *expr.Program
	Marker                    *expr.Program // our marker as it stands in a record; nil where lists do not show it
	Get                       *Op
	Create, Update, Delete    *Op // with Write set; its Batch and With where the vendor needs or offers them
	With                      []NamedOp
	List                      *ListOp // what changed
	Deleted                   *ListOp // what the vendor says is gone; GoneID reads the id from its rows
	Sweep                     *ListOp // all there is between the days from and to; the id is read as List's
	Find                      map[string]*Op
	After                     []FollowOp
	Actions                   map[string]*FollowOp

	gone *expr.Program
}

// NamedOp is an operation whose result gets a name.
type NamedOp struct {
	Name string
	Op   *Op
}

// FollowOp is a write beside create, update and delete: one that belongs to a new record (its Step is
// its name in the ledger), or an action.
type FollowOp struct {
	*Op
	Spec              *Follow
	When, Each, Needs *expr.Program
}

// Op is one call, compiled: what package remote sends.
type Op struct {
	Name   string // "deal.get"
	Method string
	Class  string        // of limits
	Write  *Write        // nil for reads
	With   []NamedOp     // reads before a write, for found.NAME
	When   *expr.Program // of a delete: whether the record, as it stands there, can be deleted
	First  []*FollowOp   // of a delete: what is done before it
	Batch  *BatchOp      // the same for many records; nil where the vendor has none
	Form   bool

	path    *text
	rpc     string
	params  *tree
	query   *tree
	headers *tree
	body    *tree
	result  *expr.Program
	name    *expr.Program
	page    *Page // of a list
	list    bool  // it is one
}

// compiler gathers problems while it compiles.
type compiler struct {
	env      *expr.Env
	problems specfile.Problems
}

// Load reads connector.yaml of the folder and compiles it. All problems are told at once.
func Load(dir fs.FS, name string) (*Connector, error) {
	file := path.Join(name, "connector.yaml")
	data, err := fs.ReadFile(dir, file)
	if err != nil {
		return nil, fmt.Errorf("read connector %s: %w", name, err)
	}
	f := &File{}
	problems := specfile.Decode(file, data, f)
	c, more := compile(f)
	problems = append(problems, more...)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

func compile(f *File) (*Connector, specfile.Problems) {
	env, err := expr.NewEnv(vars)
	if err != nil {
		return nil, specfile.Problems{{Pos: f.Pos, Message: err.Error()}}
	}
	k := &compiler{env: env}
	c := &Connector{File: f, kinds: map[string]*Kind{}, byAs: map[string]*Kind{}, ops: map[string]*Op{}}
	c.host = k.text(f.Host)
	c.headers = k.tree(f.Headers)
	c.auth = k.auth(f.Auth)
	if f.RPC != nil {
		c.rpc = k.rpcOps(f.RPC)
	}
	if f.Whoami != nil {
		c.ops["whoami"] = k.op("whoami", *f.Whoami, nil)
	}
	c.shape = k.shape(f.Shape)
	for _, r := range f.Errors {
		c.rules = append(c.rules, rule{r, k.expr(r.When, expr.Bool), k.expr(r.Message, expr.Dyn), k.expr(r.Field, expr.Dyn), k.expr(r.After, expr.Dyn)})
	}
	for i, l := range f.Limits {
		if _, known := f.Settings.Get(l.Setting); l.Setting != "" && !known {
			k.problem(f.Pos, fmt.Sprintf("limits[%d].setting", i), fmt.Sprintf("there is no setting %q", l.Setting), "Name it under settings.")
		}
	}
	for _, r := range f.Records {
		k.record(c, r.Key, r.Value)
	}
	k.parents(c)
	if f.Webhooks != nil {
		c.webhooks = k.hooks(f.Webhooks, c)
	}
	return c, k.problems
}

func (k *compiler) problem(pos specfile.Pos, path, message, hint string) {
	k.problems.Add(pos, path, message, hint)
}

// expr compiles an expression that may be left out.
func (k *compiler) expr(e specfile.Expr, want expr.Type) *expr.Program {
	if !e.Set() {
		return nil
	}
	p, err := k.env.Compile(e.Source, want)
	if err != nil {
		k.problem(e.Pos, e.Path, err.Error(), "")
		return nil
	}
	return p
}

func (k *compiler) record(c *Connector, name string, r Record) {
	if !hub.IsName(name) {
		k.problem(r.Pos, "records."+name, fmt.Sprintf("`%s` is no name", name), "Letters, digits, _, - and . make one: it becomes part of keys.")
	}
	kind := &Kind{Name: name, As: r.As, Spec: &r, Find: map[string]*Op{}}
	kind.ID, kind.Version = k.expr(r.ID, expr.Dyn), k.expr(r.Version, expr.Dyn)
	kind.Number, kind.Link = k.expr(r.Number, expr.Dyn), k.expr(r.Link, expr.Dyn)
	kind.Marker = k.expr(r.Marker, expr.Dyn)
	kind.Get = k.optional(name+".get", r.Get, nil, r.Path, "get")
	kind.Create = k.write(name+".create", r.Create, r.Path, "post")
	kind.Update = k.write(name+".update", r.Update, r.Path, "put")
	kind.Delete = k.write(name+".delete", r.Delete, r.Path, "delete")
	kind.With = k.named(name, r.With)
	for _, f := range r.Find {
		kind.Find[f.Key] = k.op(name+".find."+f.Key, f.Value, nil)
	}
	k.lists(kind, &r, c.File.Page)
	for i := range r.After {
		kind.After = append(kind.After, k.follow(name, &r.After[i]))
	}
	k.actions(kind, r.Actions)
	k.before(kind)
	if kind.Create != nil && kind.Create.Write.Class == "S" && kind.Find["marker"] == nil {
		k.problem(r.Pos, "records."+name+".create", "write class S needs a search by marker", "Add find: {marker: …}, or say X where the vendor offers none.")
	}
	c.kinds[name] = kind
	if r.As != "" {
		if other := c.byAs[r.As]; other != nil {
			k.problem(r.Pos, "records."+name+".as", fmt.Sprintf("%q is what %q is already", r.As, other.Name), "One kind of record carries a canonical type.")
		}
		c.byAs[r.As] = kind
	}
}

func (k *compiler) follow(record string, f *Follow) FollowOp {
	at := "records." + record + "." + f.Step
	name := record + "." + f.Step
	out := FollowOp{Op: k.op(name, f.Call, &Write{Class: f.Class, Lag: f.Lag}), Spec: f, When: k.expr(f.When, expr.Bool), Each: k.expr(f.Each, expr.Dyn), Needs: k.expr(f.Needs, expr.Bool)}
	out.With = k.named(name, f.With)
	if f.Class == "S" && (len(f.With) == 0 || out.When == nil) {
		k.problem(f.Pos, at, "write class S needs with and when, to see whether it was done", "Read the state in with:, compare it in when:; or say X where it cannot be seen.")
	}
	if out.Needs != nil && f.Says == "" {
		k.problem(f.Pos, at, "needs is there, says is not", "Add says: with the sentence that tells a person what is missing.")
	}
	return out
}

// actions compiles what else can be done with a record.
func (k *compiler) actions(kind *Kind, list specfile.Map[Do]) {
	for _, a := range list {
		d := a.Value
		follow := k.follow(kind.Name, &Follow{Call: d.Call, Step: a.Key, Class: d.Class, With: d.With, Needs: d.Needs, Says: d.Says, Fix: d.Fix, When: d.When, Lag: d.Lag})
		if kind.Actions == nil {
			kind.Actions = map[string]*FollowOp{}
		}
		kind.Actions[a.Key] = &follow
	}
}

// before compiles when and after what a record may be deleted.
func (k *compiler) before(kind *Kind) {
	if kind.Delete == nil {
		return
	}
	spec := kind.Spec.Delete
	kind.Delete.When = k.expr(spec.When, expr.Bool)
	for _, name := range spec.First {
		a := kind.Actions[name]
		if a == nil {
			k.problem(spec.Pos, kind.Delete.Name, fmt.Sprintf("there is no action %q to come first", name), "Name one of the record's actions.")
			continue
		}
		kind.Delete.First = append(kind.Delete.First, a)
	}
}

func (k *compiler) write(name string, w *Write, at *specfile.Template, method string) *Op {
	if w == nil {
		return nil
	}
	op := k.optional(name, &w.Call, w, at, method)
	op.With = k.named(name, w.With)
	if w.Batch != nil {
		op.Batch = k.batch(name+".batch", w)
	}
	return op
}

func (k *compiler) named(name string, calls specfile.Map[Call]) []NamedOp {
	var out []NamedOp
	for _, c := range calls {
		out = append(out, NamedOp{c.Key, k.op(name+".with."+c.Key, c.Value, nil)})
	}
	return out
}

// optional compiles a call; one without a method follows from the record's path: get, update and delete
// at path/{id}, create and list at path.
func (k *compiler) optional(name string, c *Call, w *Write, at *specfile.Template, method string) *Op {
	if c == nil {
		if w != nil || at == nil || method != "get" {
			return nil
		}
		c = &Call{}
	}
	op := k.op(name, *c, w)
	if op.path != nil || op.rpc != "" {
		return op
	}
	if at == nil {
		k.problem(c.Pos, name, "this call has neither a method nor a path to follow from", "Add get:, post:, put:, patch: or rpc:, or path: to the record.")
		return op
	}
	op.path = k.text(*at)
	op.Method = map[string]string{"get": "GET", "list": "GET", "post": "POST", "put": "PUT", "delete": "DELETE"}[method]
	if method == "get" || method == "put" || method == "delete" {
		op.path = op.path.slash(k)
	}
	switch {
	case method == "delete":
		op.body = k.tree(c.Body)
	case w != nil && op.body == nil:
		op.body = k.fields()
	}
	return op
}

// op compiles a call.
func (k *compiler) op(name string, c Call, w *Write) *Op {
	op := &Op{Name: name, Class: c.Class, Write: w, Form: c.Form, rpc: c.RPC}
	methods := []string{}
	for method, t := range map[string]*specfile.Template{"GET": c.Get, "POST": c.Post, "PUT": c.Put, "PATCH": c.Patch, "DELETE": c.Delete} {
		if t != nil {
			methods = append(methods, method)
			op.Method, op.path = method, k.text(*t)
		}
	}
	if c.RPC != "" {
		methods = append(methods, "rpc")
		op.params = k.tree(c.Params)
	}
	if len(methods) > 1 {
		slices.Sort(methods)
		k.problem(c.Pos, name, "a call has one method, this one has "+strings.Join(methods, " and "), "Split it into two calls.")
	}
	op.query, op.headers, op.body = k.tree(c.Query), k.tree(c.Headers), k.tree(c.Body)
	if w != nil && op.body == nil && op.rpc == "" && op.Method != "DELETE" && op.Method != "GET" {
		op.body = k.fields()
	}
	op.result, op.name = k.expr(c.Result, expr.Dyn), k.expr(c.Name, expr.Dyn)
	return op
}

// fields is the body of a write that names none: what the mapping made.
func (k *compiler) fields() *tree {
	p, err := k.env.Compile("fields", expr.Dyn)
	if err != nil {
		k.problem(specfile.Pos{}, "body", err.Error(), "")
	}
	return &tree{program: p}
}

// Kind is the vendor's record of this name, or nil.
func (c *Connector) Kind(name string) *Kind { return c.kinds[name] }

// KindAs is the vendor's record that carries the canonical type, or nil: what the connector cannot
// carry, no flow may ask of it.
func (c *Connector) KindAs(recordType string) *Kind { return c.byAs[recordType] }

// Follow is the write after a create of this operation's name, or nil.
func (k *Kind) Follow(operation string) *FollowOp {
	for i := range k.After {
		if k.After[i].Name == operation {
			return &k.After[i]
		}
	}
	for _, a := range k.Actions {
		if a.Name == operation {
			return a
		}
	}
	return nil
}

// Whoami is the test call, or nil.
func (c *Connector) Whoami() *Op { return c.ops["whoami"] }

// tree is a YAML value with its expressions compiled.
type tree struct {
	literal any
	program *expr.Program
	list    []*tree
	keys    []string
	values  []*tree
	kind    specfile.Kind
}

func (k *compiler) tree(v specfile.Value) *tree {
	t := &tree{kind: v.Kind}
	switch v.Kind {
	case specfile.KindAbsent:
		return nil
	case specfile.KindExpr:
		p, err := k.env.Compile(v.Source, expr.Dyn)
		if err != nil {
			k.problem(v.Pos, v.Path, err.Error(), "")
		}
		t.program = p
	case specfile.KindList:
		for _, e := range v.Items {
			t.list = append(t.list, k.tree(e))
		}
	case specfile.KindMap:
		for _, e := range v.Entries {
			t.keys, t.values = append(t.keys, e.Key), append(t.values, k.tree(e.Value))
		}
	default:
		data, err := v.Data()
		if err != nil {
			k.problem(v.Pos, v.Path, err.Error(), "")
		}
		t.literal = data
	}
	return t
}

// eval computes the value. A key of a map whose expression gives null is left out: a body names
// only what it sets.
func (t *tree) eval(vars map[string]any) (any, error) {
	switch {
	case t == nil:
		return nil, nil
	case t.program != nil:
		return t.program.Eval(vars)
	case t.kind == specfile.KindList:
		out := make([]any, 0, len(t.list))
		for _, e := range t.list {
			v, err := e.eval(vars)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	case t.kind == specfile.KindMap:
		out := make(map[string]any, len(t.keys))
		for i, e := range t.values {
			v, err := e.eval(vars)
			if err != nil {
				return nil, err
			}
			if v != nil || e.program == nil {
				out[t.keys[i]] = v
			}
		}
		return out, nil
	}
	return t.literal, nil
}

// texts computes a map of headers or query parameters; null leaves one out.
func (t *tree) texts(vars map[string]any) (map[string]string, error) {
	v, err := t.eval(vars)
	m, _ := v.(map[string]any)
	if err != nil || len(m) == 0 {
		return nil, err
	}
	out := make(map[string]string, len(m))
	for k, e := range m {
		if e == nil {
			continue
		}
		if out[k], err = plain(e); err != nil {
			return nil, fmt.Errorf("%s: %w", k, err)
		}
	}
	return out, nil
}

// plain is a value as it stands in a path, header or query.
func plain(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case nil:
		return "", nil
	case map[string]any, []any:
		b, err := exact.AppendJSON(nil, v)
		return string(b), err
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano), nil // as text(v) gives it; its own String is no vendor's format
	case fmt.Stringer:
		return v.String(), nil
	}
	return fmt.Sprint(v), nil
}
