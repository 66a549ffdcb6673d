package simulator

import (
	"net/http"

	"throughline/internal/specfile"
)

// route makes one address ready for use.
func (k *compiler) route(spec *RouteSpec) {
	method, path := spec.address()
	if path == "" {
		k.problem(spec.Pos, "routes", "a route needs an address", "write get:, post:, put:, patch: or delete: with a path")
		return
	}
	if len(spec.For) == 0 {
		k.routeTo(spec, method, path, nil)
		return
	}
	for _, e := range spec.For {
		one := *spec
		one.Of = e.Value
		k.routeTo(&one, method, path, map[string]string{"object": e.Key})
	}
}

// routeTo adds one address; fixed are the places whose value is known already.
func (k *compiler) routeTo(spec *RouteSpec, method, path string, fixed map[string]string) {
	r := &route{
		spec: *spec, with: k.named(spec.With), scope: k.named(spec.Scope), find: k.ways(spec.Find), take: k.shape(spec.Take), set: k.named(spec.Set),
		only: k.demands(spec.Only), filter: k.filters(spec.Filter), page: k.pages(spec.Page), sort: k.sorting(spec.Sort),
		move: k.shape(spec.Move), lock: k.expr(spec.Lock), answer: k.answer(spec.Answer),
	}
	if l := spec.Later; l != nil {
		r.later = &later{l.After.D, k.predicate(l.When), k.shape(l.Location)}
	}
	k.requires(spec)
	k.routeOf(spec, r)
	k.plan.router.add(method, path, fixed, r)
	k.plan.routes = append(k.plan.routes, r)
}

func (s *RouteSpec) address() (method, path string) {
	for _, one := range []struct{ method, path string }{
		{http.MethodGet, s.Get}, {http.MethodPost, s.Post}, {http.MethodPut, s.Put}, {http.MethodPatch, s.Patch},
		{http.MethodDelete, s.Delete},
	} {
		if one.path != "" {
			return one.method, one.path
		}
	}
	return "", ""
}

// requires names what a verb cannot do without.
func (k *compiler) requires(spec *RouteSpec) {
	switch {
	case spec.Do == "login" && k.plan.session == nil:
		k.problem(spec.Pos, "routes", "a login needs auth.session", "")
	case spec.Do == "token" && k.plan.token == nil:
		k.problem(spec.Pos, "routes", "a token endpoint needs auth.token", "")
	case spec.Do == "move" && !spec.Move.Set():
		k.problem(spec.Pos, "routes", "a move needs its name", "write move: =path.action")
	}
}

// routeOf fills in what follows from the collection.
func (k *compiler) routeOf(spec *RouteSpec, r *route) {
	if !needsCollection(spec.Do) {
		return
	}
	kind := k.plan.kinds[spec.Of]
	if kind == nil {
		k.problem(spec.Pos, "routes", "there is no collection "+spec.Of, "")
		return
	}
	shape := spec.Shape
	if shape == "" {
		shape = kind.shape
	}
	if shape != "" {
		r.shape = k.plan.shapes[k.knownShape(shape, spec.Pos, "routes")]
	}
	if r.find == nil {
		r.find = []way{{by: []named{{kind.idField, reading{[]string{"path", "id"}}}}}}
	}
	if spec.Do == "list" && r.page == nil {
		r.page = k.plan.page
	}
	if spec.Do == "batch" {
		k.batch(spec, r, kind)
	}
}

func needsCollection(do string) bool {
	switch do {
	case "answer", "login", "logout", "token", "job":
		return false
	}
	return true
}

func (k *compiler) batch(spec *RouteSpec, r *route, kind *kind) {
	b := spec.Batch
	if b == nil {
		k.problem(spec.Pos, "routes", "a batch needs a batch section", "")
		return
	}
	r.batch = &batch{
		spec: *b, items: k.expr(b.Items), find: k.ways(b.Find), take: k.shape(b.Take), some: k.answer(b.Some),
		failed: k.shape(b.Error), shape: r.shape,
	}
	if b.Shape != "" {
		r.batch.shape = k.plan.shapes[k.knownShape(b.Shape, spec.Pos, "routes")]
	}
	if r.batch.find == nil {
		r.batch.find = []way{{by: []named{{kind.idField, reading{[]string{"item", "id"}}}}}}
	}
}

func (k *compiler) ways(list []FindSpec) []way {
	var out []way
	for _, f := range list {
		out = append(out, way{
			when: k.predicate(f.When), by: k.named(f.By), field: k.shape(f.Field), is: k.shape(f.Is),
			keys: k.shape(f.Keys), from: k.shape(f.From), odata: k.shape(f.OData),
		})
	}
	return out
}

func (k *compiler) filters(f *FilterSpec) *filters {
	if f == nil {
		return nil
	}
	out := &filters{odata: k.expr(f.OData), strict: f.Strict}
	for _, e := range f.Query {
		out.query = append(out.query, param{e.Key, e.Value, k.shape(e.Value.Op), k.shape(e.Value.Value)})
	}
	if g := f.Groups; g != nil {
		out.groups = &groups{*g, k.expr(g.From), textMap(g.Operators)}
		for _, op := range g.Operators {
			if !operators[op.Value] {
				k.problem(op.Pos, "operators", "no operator is called "+op.Value, "")
			}
		}
	}
	return out
}

func textMap(m specfile.Map[string]) map[string]string {
	out := map[string]string{}
	for _, e := range m {
		out[e.Key] = e.Value
	}
	return out
}

func (k *compiler) pages(p *PageSpec) *pagePlan {
	if p == nil {
		return nil
	}
	return &pagePlan{
		style: p.Style, over: p.Over, cursor: p.Cursor, at: k.shape(p.At), size: k.shape(p.Size),
		headers: k.named(p.Headers), standard: p.Default, max: p.Max, first: p.First, window: p.Window,
	}
}

func (k *compiler) sorting(s *SortSpec) *sorting {
	if s == nil {
		return nil
	}
	return &sorting{*s, k.shape(s.By), textMap(s.Fields), k.predicate(s.Descend)}
}
