package simulator

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"time"

	"throughline/internal/specfile"
)

// plan is a description made ready for use: names resolved, expressions compiled.
type plan struct {
	name     string
	instants string
	values   string
	lag      time.Duration
	accounts []Account
	keys     []KeySpec
	session  *SessionSpec
	token    *TokenSpec
	limits   []limit
	errors   map[string]*answerPlan
	messages map[string]shape
	kinds    map[string]*kind
	shapes   map[string]shape
	only     []demand
	page     *pagePlan
	router   *router
	routes   []*route
	webhooks *webhooks
	seed     []seedGroup
}

type (
	limit struct {
		spec    LimitSpec
		headers []named
	}
	answerPlan struct {
		status  int
		headers []named
		body    shape
		kind    string
	}
	move struct {
		name string
		from []string
		to   string
		set  []named
		only []demand
	}
	demand struct {
		spec    ConditionSpec
		when    *predicate
		message shape
	}
	rule struct {
		spec   RuleSpec
		when   *predicate
		refuse shape
		set    []named
	}
	consequence struct {
		spec       ThenSpec
		do, target string
		when       *predicate
		each       shape
		take       shape
		where      []named
		set        []named
		unless     []named
	}
	way struct {
		when      *predicate
		by        []named
		field, is shape
		keys      shape
		from      shape
		odata     shape
	}
	route struct {
		spec   RouteSpec
		with   []named
		scope  []named
		find   []way
		take   shape
		set    []named
		only   []demand
		filter *filters
		page   *pagePlan
		sort   *sorting
		move   shape
		later  *later
		batch  *batch
		lock   shape
		shape  shape
		answer *answerPlan
	}
	filters struct {
		query  []param
		odata  shape
		strict bool
		groups *groups
	}
	param struct {
		name  string
		spec  ParamSpec
		op    shape
		value shape
	}
	groups struct {
		spec      GroupsSpec
		from      shape
		operators map[string]string
	}
	pagePlan struct {
		style, over, cursor          string
		at, size                     shape
		standard, max, first, window int
		headers                      []named
	}
	sorting struct {
		spec    SortSpec
		by      shape
		fields  map[string]string
		descend *predicate
	}
	batch struct {
		spec   BatchSpec
		items  shape
		find   []way
		take   shape
		some   *answerPlan
		failed shape
		shape  shape
	}
	webhooks struct {
		spec    WebhookSpec
		when    *predicate
		headers []named
		events  []event
	}
	event struct {
		spec EventSpec
		when *predicate
		kind shape
		body shape
	}
	seedGroup struct {
		collection string
		rows       []shape
	}
)

// Parse reads a simulator.yaml. The problems name file, line and column, all at once.
func Parse(file string, data []byte) (*Description, error) {
	d := &Description{}
	if p := specfile.Decode(file, data, d); len(p) > 0 {
		return nil, p.Err()
	}
	if _, err := compile(d); err != nil {
		return nil, err
	}
	return d, nil
}

func compile(d *Description) (*plan, error) {
	env, err := environment()
	if err != nil {
		return nil, err
	}
	p := &plan{
		name: d.Simulator, instants: d.Instants, values: d.Values, lag: d.Lag.D, keys: d.Auth.Keys, session: d.Auth.Session,
		token: d.Auth.Token, errors: map[string]*answerPlan{}, messages: map[string]shape{},
		kinds: map[string]*kind{}, shapes: map[string]shape{}, router: &router{},
	}
	k := &compiler{env: env, plan: p}
	k.accounts(d)
	k.declare(d)
	for _, e := range d.Shapes {
		p.shapes[e.Key] = k.shape(e.Value)
	}
	for i := range d.Collections {
		k.kind(&d.Collections[i])
	}
	for _, l := range d.Limits {
		p.limits = append(p.limits, limit{l, k.named(l.Headers)})
	}
	for i := range d.Errors {
		p.errors[d.Errors[i].Key] = k.answer(&d.Errors[i].Value)
	}
	k.standardErrors()
	for _, e := range d.Messages {
		p.messages[e.Key] = k.shape(e.Value)
	}
	k.plan.page = k.pages(d.Page)
	p.only = k.demands(d.Only)
	for i := range d.Routes {
		k.route(&d.Routes[i])
	}
	k.webhooks(d.Webhooks)
	for _, e := range d.Seed {
		k.seed(e)
	}
	return p, k.problems.Err()
}

// declare makes shapes and collections known before anything speaks of them.
func (k *compiler) declare(d *Description) {
	for _, e := range d.Shapes {
		k.plan.shapes[e.Key] = constant{}
	}
	for _, e := range d.Collections {
		k.plan.kinds[e.Key] = &kind{name: e.Key, fields: map[string]*field{}, moves: map[string]*move{}}
	}
	for i := range d.Collections {
		k.fields(&d.Collections[i])
	}
}

func (k *compiler) accounts(d *Description) {
	for _, e := range d.Accounts {
		a := Account{Name: e.Key, Secrets: map[string]string{}}
		for _, s := range e.Value.Entries {
			a.Secrets[s.Key] = s.Value.Text
		}
		k.plan.accounts = append(k.plan.accounts, a)
	}
}

// standardErrors answers refusals that a description does not speak of.
func (k *compiler) standardErrors() {
	for name, status := range map[string]int{
		"invalid": http.StatusBadRequest, "malformed": http.StatusBadRequest, "bad_filter": http.StatusBadRequest,
		"not_found": http.StatusNotFound, "no_route": http.StatusNotFound, "no_action": http.StatusNotFound,
		"no_method": http.StatusMethodNotAllowed, "exists": http.StatusConflict, "conflict": http.StatusConflict,
		"precondition": http.StatusPreconditionFailed, "blocked": http.StatusUnprocessableEntity,
		"unauthenticated": http.StatusUnauthorized, "forbidden": http.StatusForbidden, "login": http.StatusUnauthorized, "sessions": http.StatusTooManyRequests,
		"throttled": http.StatusTooManyRequests, "unavailable": http.StatusServiceUnavailable, "grant": http.StatusBadRequest,
	} {
		if k.plan.errors[name] == nil {
			k.plan.errors[name] = &answerPlan{status: status, body: &record{
				entries: []named{{"error", reading{[]string{"error", "code"}}}, {"error_description", reading{[]string{"error", "message"}}}},
				maybe:   []bool{false, false},
			}}
		}
	}
}

func (k *compiler) answer(a *AnswerSpec) *answerPlan {
	if a == nil {
		return nil
	}
	return &answerPlan{status: a.Status, headers: k.named(a.Headers), body: k.shape(a.Body), kind: a.Type}
}

func (k *compiler) fields(e *specfile.Entry[CollectionSpec]) {
	c := k.plan.kinds[e.Key]
	c.fields, c.names = k.fieldSet(e.Value.Fields)
}

func (k *compiler) fieldSet(m specfile.Map[FieldSpec]) (map[string]*field, []string) {
	set := map[string]*field{}
	for _, e := range m {
		f := &field{FieldSpec: e.Value, name: e.Key, standard: k.shape(e.Value.Default)}
		if e.Value.Pattern != "" {
			p, err := regexp.Compile(e.Value.Pattern)
			if err != nil {
				k.problem(e.Pos, e.Key, err.Error(), "")
			}
			f.pattern = p
		}
		if e.Value.To != "" && k.plan.kinds[e.Value.To] == nil {
			k.problem(e.Pos, e.Key, "there is no collection "+e.Value.To, "")
		}
		f.fields, f.names = k.fieldSet(e.Value.Fields)
		set[e.Key] = f
	}
	return set, m.Keys()
}

func (k *compiler) kind(e *specfile.Entry[CollectionSpec]) {
	spec, c := &e.Value, k.plan.kinds[e.Key]
	c.idField, c.idKind, c.idStart = spec.ID.Field, spec.ID.Kind, spec.ID.Start
	if c.idField == "" { // the whole section may be left out
		c.idField, c.idKind, c.idStart = "id", "hex24", 1
	}
	c.unknown, c.keys, c.state, c.silent, c.shape = spec.Unknown, spec.Keys, spec.State, spec.Silent, spec.Shape
	c.created, c.updated, c.version, c.key, c.marker = spec.Created, spec.Updated, spec.Version, spec.Key, spec.Marker
	for _, u := range spec.Unique {
		c.unique = append(c.unique, uniqueSet{u.By, u.Fold, u.Blank, k.shape(u.Message), u.Error})
	}
	for _, s := range spec.Order {
		c.order = append(c.order, orderOf(s))
	}
	c.indexed = indexes(c)
	for _, m := range spec.Moves {
		c.moves[m.Key] = &move{m.Key, m.Value.From, m.Value.To, k.named(m.Value.Set), k.demands(m.Value.Only)}
	}
	for _, r := range spec.Rules {
		c.rules = append(c.rules, rule{r, k.predicate(r.When), k.shape(r.Refuse), k.named(r.Set)})
	}
	for _, t := range spec.Then {
		c.then = append(c.then, k.then(e.Pos, t))
	}
	if spec.Shape != "" {
		k.knownShape(spec.Shape, e.Pos, e.Key)
	}
}

func orderOf(s string) sortKey {
	if s[0] == '-' {
		return sortKey{s[1:], true}
	}
	return sortKey{s, false}
}

// indexes are the fields by which rows are looked up: references, keys and what the file names.
func indexes(c *kind) []string {
	list := append([]string(nil), c.keys...)
	for _, u := range c.unique {
		list = append(list, u.by[len(u.by)-1])
	}
	for _, name := range c.names {
		if f := c.fields[name]; f.Index || f.To != "" || f.Auto != "" {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func (k *compiler) demands(list []ConditionSpec) []demand {
	var out []demand
	for _, c := range list {
		out = append(out, demand{c, k.predicate(c.When), k.shape(c.Message)})
	}
	return out
}

func (d demand) refusal(c *call) error {
	r := &refusal{name: d.spec.Error, code: d.spec.Code}
	if d.message != nil {
		v, err := d.message.value(c)
		if err != nil {
			return err
		}
		r.message = textOf(v)
	}
	if d.spec.Field != "" {
		r.faults = []fault{{field: d.spec.Field, code: d.spec.Code, message: r.message}}
	}
	return r
}

func (r rule) on(op string) bool {
	if len(r.spec.On) == 0 {
		return op != "delete"
	}
	return slices.Contains(r.spec.On, op)
}

func (r rule) refusal(c *call, k *kind) error {
	v, err := r.refuse.value(c)
	if err != nil {
		return err
	}
	out := &refusal{name: r.spec.Error, code: r.spec.Code, entity: k.name, message: textOf(v)}
	if r.spec.Field != "" {
		out.faults = []fault{{field: r.spec.Field, code: r.spec.Code, message: out.message}}
	}
	return out
}

func (k *compiler) then(pos specfile.Pos, t ThenSpec) consequence {
	c := consequence{
		spec: t, when: k.predicate(t.When), each: k.expr(t.Each), take: k.shape(t.Take), where: k.named(t.Where), set: k.named(t.Set), unless: k.named(t.Unless),
	}
	switch {
	case t.Insert != "":
		c.do, c.target = "insert", t.Insert
	case t.Change != "":
		c.do, c.target = "change", t.Change
	default:
		c.do, c.target = "remove", t.Remove
	}
	if k.plan.kinds[c.target] == nil {
		k.problem(pos, "then", fmt.Sprintf("there is no collection %q", c.target), "name one under insert, change or remove")
	}
	return c
}

// on says whether a write has this consequence: by its verb, or by the name of a move.
func (t *consequence) on(op, verb string) bool {
	if len(t.spec.On) == 0 {
		return verb == "create"
	}
	return slices.Contains(t.spec.On, op) || slices.Contains(t.spec.On, verb)
}

func (k *compiler) webhooks(w *WebhookSpec) {
	if w == nil {
		return
	}
	out := &webhooks{spec: *w, when: k.predicate(w.When), headers: k.named(w.Headers)}
	if k.plan.kinds[w.Hooks] == nil {
		k.problem(specfile.Pos{}, "webhooks.hooks", "there is no collection "+w.Hooks, "")
	}
	for _, e := range w.Events {
		out.events = append(out.events, event{e, k.predicate(e.When), k.shape(e.Type), k.shape(e.Body)})
	}
	k.plan.webhooks = out
}

func (k *compiler) seed(e specfile.Entry[[]specfile.Value]) {
	if k.plan.kinds[e.Key] == nil {
		k.problem(e.Pos, "seed", "there is no collection "+e.Key, "")
		return
	}
	g := seedGroup{collection: e.Key}
	for _, v := range e.Value {
		g.rows = append(g.rows, k.shape(v))
	}
	k.plan.seed = append(k.plan.seed, g)
}
