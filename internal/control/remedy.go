package control

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"throughline/internal/canonical"
	"throughline/internal/engine"
	"throughline/internal/hub"
	"throughline/internal/remote"
	"throughline/internal/store"
	"throughline/internal/workflow"
)

// Far asks a far side for one record (package engine).
type Far interface {
	Record(ctx context.Context, tenant hub.TenantID, in hub.ConnectionID, recordType, id string) (store.Link, error)
}

// lists are the codes of values that nobody has mapped, with the list that is looked in; "": the
// exception's field names it.
var lists = map[string]string{"mapping.value_unmapped": "", "mapping.value_unsaid": "", "find.unknown": "", "package.unknown": "service_package"}

// planMap adds a line to the flow's values, in a new revision.
func (r *resolver) planMap(ctx context.Context, t target) error {
	list, known := lists[t.Code]
	if !known {
		return r.notFor(t, "It is for values that nobody has mapped: "+strings.Join(slices.Sorted(maps.Keys(lists)), ", ")+".")
	}
	if list == "" {
		list = t.Field
	}
	before, spec, err := r.spec(ctx, t.Deployment)
	if err != nil {
		return err
	}
	changed, err := r.mapped(spec, t, list)
	if err != nil {
		return err
	}
	if changed {
		r.out.Does = append(r.out.Does, fmt.Sprintf("The flow %s gets a new revision, %d: in its values %s, %q is %q.", t.Deployment, before.Revision+1, list, t.Value, r.To))
		r.first = append(r.first, func(ctx context.Context) error { return r.deploy(ctx, t, list) })
	}
	r.say(t, "runs again.", "run again.")
	return nil
}

// mapped puts the line into the spec; false where it stands there.
func (r *resolver) mapped(spec *workflow.Spec, t target, list string) (bool, error) {
	if spec.Values == nil {
		spec.Values = map[string]map[string]string{}
	}
	lines := spec.Values[list]
	if lines == nil {
		lines = map[string]string{}
		spec.Values[list] = lines
	}
	from, to := t.Value, r.To
	if t.Code == "mapping.value_unmapped" { // the vendor's: a line says ours first
		from, to = r.To, t.Value
		if other, taken := lines[from]; taken && other != to {
			return false, &hub.Error{Kind: hub.Exists, Code: "value.taken", Field: "to", Value: from, Message: fmt.Sprintf("In the values %s of the flow %s, %s stands for %q already.", list, t.Deployment, from, other),
				Hint: "A line of a flow names one value of the far side: add further ones to the connector's value map."}
		}
	}
	changed := lines[from] != to
	lines[from] = to
	if t.Code == "find.unknown" || t.Code == "package.unknown" {
		for k, v := range lines { // the value may have come from such a line
			if v == t.Value && k != t.Value {
				lines[k], changed = to, true
			}
		}
	}
	return changed, nil
}

// spec is the newest revision of a flow.
func (r *resolver) spec(ctx context.Context, id hub.DeploymentID) (store.Deployment, *workflow.Spec, error) {
	all, err := r.t.Deployments(ctx)
	if err != nil {
		return store.Deployment{}, nil, err
	}
	i := slices.IndexFunc(all, func(d store.Deployment) bool { return d.ID == id && d.State != "removed" })
	if i < 0 {
		return store.Deployment{}, nil, noFlow(id)
	}
	spec, err := workflow.ReadSpec(all[i].Spec)
	if err != nil {
		return store.Deployment{}, nil, fmt.Errorf("read flow %s: %w", id, err)
	}
	return all[i], spec, nil
}

// deploy makes the new revision, checked like one that is applied.
func (r *resolver) deploy(ctx context.Context, t target, list string) error {
	before, spec, err := r.spec(ctx, t.Deployment)
	if err != nil {
		return err
	}
	changed, err := r.mapped(spec, t, list)
	if err != nil || !changed {
		return err
	}
	conns := map[hub.ConnectionID]store.Connection{}
	all, err := r.t.Connections(ctx)
	if err != nil {
		return err
	}
	for _, c := range all {
		conns[c.ID] = c
	}
	if _, err := r.c.loader.Compile(ctx, r.tenant, t.Deployment, 0, *spec, conns); err != nil {
		return err
	}
	text, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	customer, err := r.t.Customer(ctx)
	if err != nil {
		return err
	}
	next := store.Deployment{Tenant: r.tenant, ID: t.Deployment, Revision: before.Revision + 1, State: before.State, Spec: string(text), Created: r.now}
	err = r.c.store.Apply(ctx, store.Setup{Customer: *customer, Deployments: []store.Deployment{next},
		Audit: []store.AuditEntry{r.by.Entry(r.now, "flow.map", string(t.Deployment), fmt.Sprintf("%s: %q is %q", list, t.Value, r.To))}})
	if err != nil {
		return err
	}
	r.c.changed() // before anything runs again
	return nil
}

// planLink says which record over there is meant, after asking whether it is there.
func (r *resolver) planLink(ctx context.Context, t target) error {
	in, id, recordType, err := r.meant(ctx, t)
	if err != nil {
		return err
	}
	link, err := r.c.far.Record(ctx, r.tenant, in, recordType, strings.TrimSpace(r.To))
	if err != nil {
		return err
	}
	link.Record, link.Updated = id, r.now
	name := strings.ReplaceAll(recordType, "_", " ")
	if known, err := r.t.Record(ctx, id); err != nil {
		return err
	} else if known != nil && known.Label != "" {
		name += " " + known.Label
	}
	there := string(in) + "/" + link.Kind + "/" + link.ExternalID
	if link.Number != "" && link.Number != link.ExternalID {
		there += " (" + link.Number + ")"
	}
	r.out.Does = append(r.out.Does, fmt.Sprintf("%s is %s.", sentenceOf(name), there))
	r.say(t, "goes on.", "go on.")
	r.first = append(r.first, func(ctx context.Context) error {
		if err := r.t.PutLink(ctx, link, r.by.Entry(r.now, "record.link", string(id), name+" is "+there)); err != nil {
			return err
		}
		return r.release(ctx, store.WaitsOn(in, id), t)
	})
	return nil
}

func sentenceOf(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// release lets go on what other flows have waiting for the same record; the target's own follow in pages.
func (r *resolver) release(ctx context.Context, on string, t target) error {
	for {
		n, err := r.t.ReleaseWaits(ctx, on, t.Deployment, pageOf)
		if err != nil || n < pageOf {
			return err
		}
	}
}

// meant is the record of ours that a cause is about, its type, and where it is looked for.
func (r *resolver) meant(ctx context.Context, t target) (in hub.ConnectionID, id hub.RecordID, recordType string, err error) {
	if c, rec, waits := strings.Cut(t.WaitsOn, "/"); waits {
		in, id = hub.ConnectionID(c), hub.RecordID(rec)
	} else if in, id, err = r.asked(ctx, t); err != nil {
		return "", "", "", err
	}
	known, err := r.t.Record(ctx, id)
	if err != nil {
		return "", "", "", err
	}
	if known != nil {
		return in, id, known.Type, nil
	}
	if recordType = r.typeIn(t.Value); recordType == "" {
		return "", "", "", r.notFor(t, "Nobody knows what kind of record it is.")
	}
	return in, id, recordType, nil
}

// asked is the one record that all of a cause ask about.
func (r *resolver) asked(ctx context.Context, t target) (in hub.ConnectionID, id hub.RecordID, err error) {
	members := t.members
	for after := ""; ; {
		if t.members == nil {
			if members, after, err = r.t.Members(ctx, t.Cause, store.Page{After: after, Limit: pageOf}); err != nil {
				return "", "", err
			}
		}
		for _, m := range members {
			if m.Connection == "" || m.About == "" || id != "" && (m.About != id || m.Connection != in) {
				return "", "", r.notFor(t, "It is for what waits for a record, or for one record that several over there could be.")
			}
			in, id = m.Connection, m.About
		}
		if after == "" {
			break
		}
	}
	if id == "" {
		return "", "", errNoCause
	}
	return in, id, nil
}

// typeIn is the type of a record that a cause names: "project Alder in erp".
func (r *resolver) typeIn(cause string) (longest string) {
	for _, name := range r.c.catalog.Schemas.Names() {
		if strings.HasPrefix(cause, strings.ReplaceAll(name, "_", " ")+" ") && len(name) > len(longest) {
			longest = name
		}
	}
	return longest
}

// planSet changes fields of the records as the flow reads them. What came stays as it came.
func (r *resolver) planSet(ctx context.Context, t target) error {
	flow, err := r.c.loader.Flow(ctx, r.tenant, t.Deployment, 0)
	if err != nil {
		return err
	}
	var told []string
	typed := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(r.Fields)) {
		v, says, err := r.field(ctx, flow, name, r.Fields[name])
		if err != nil {
			return err
		}
		typed[name] = v
		told = append(told, strings.ReplaceAll(name, "_", " ")+" is "+says)
	}
	if r.fields[t.Deployment], err = canonical.Encode(typed); err != nil {
		return err
	}
	change := " again with this change: " + strings.Join(told, ", ") + "."
	r.say(t, "runs"+change, "run"+change)
	return nil
}

// field is what a person wrote, as the trigger's record has it; nothing written takes it away.
func (r *resolver) field(ctx context.Context, flow *engine.Flow, name, text string) (v any, says string, err error) {
	record := flow.Template.File.Trigger.Record
	schema := flow.Schemas.Schema(record)
	def, ok := schema.Fields.Get(name)
	if !ok {
		return nil, "", &hub.Error{Kind: hub.Invalid, Code: "edit.field", Field: name, Message: fmt.Sprintf("A %s has no field %q.", strings.ReplaceAll(record, "_", " "), name), Hint: "It has " + strings.Join(schema.Fields.Keys(), ", ") + "."}
	}
	if text == "" {
		return nil, "taken away", nil
	}
	if def.Type == "ref" {
		return r.reference(ctx, flow.Roles[flow.Template.File.Trigger.From].Conn, def.To, text)
	}
	parsed, err := schema.Parse(map[string]any{name: text})
	if err == nil && len(def.Values) > 0 && !slices.Contains(def.Values, text) {
		err = fmt.Errorf("%q is none of %s", text, strings.Join(def.Values, ", "))
	}
	if err != nil {
		return nil, "", &hub.Error{Kind: hub.Invalid, Code: "edit.value", Field: name, Value: text, Message: sentenceOf(err.Error()) + ".", Hint: "Write it as its type wants: 2026-11-30, 7:30, 120 EUR."}
	}
	return parsed[name], text, nil
}

// reference finds the record that a person names: by our id, or by its name, number or id in any system;
// one that we have never seen, where the flow's records come from.
func (r *resolver) reference(ctx context.Context, in *remote.Connection, recordType, text string) (any, string, error) {
	found, err := r.t.Named(ctx, recordType, text, 20) // a part of a name could be another record's
	if err != nil {
		return nil, "", err
	}
	switch len(found) {
	case 1:
		return r.refTo(ctx, in.ID, found[0])
	case 0:
		return r.unseen(ctx, in, recordType, text)
	}
	var names []string
	for _, rec := range found {
		names = append(names, fmt.Sprintf("%s (%s)", rec.ID, rec.Label))
	}
	return nil, "", &hub.Error{Kind: hub.Invalid, Code: "edit.ambiguous", Field: recordType, Value: text, Message: fmt.Sprintf("Several could be %q: %s.", text, strings.Join(names, ", ")), Hint: "Name one by its id."}
}

func (r *resolver) refTo(ctx context.Context, in hub.ConnectionID, rec store.Record) (any, string, error) {
	links, err := r.t.Links(ctx, rec.ID)
	if err != nil {
		return nil, "", err
	}
	ref := canonical.Ref{Type: rec.Type, ID: rec.ID}
	for _, l := range links {
		if l.Connection == in {
			ref.Key = hub.RecordKey{Connection: in, Kind: l.Kind, ID: l.ExternalID}
		}
	}
	if ref.Key.ID == "" {
		return nil, "", &hub.Error{Kind: hub.Invalid, Code: "edit.not_there", Field: rec.Type, Value: rec.Label, Message: fmt.Sprintf("%s does not know %s.", in, rec.Label), Hint: "Choose one that is there too."}
	}
	return ref, rec.Label, nil
}

// unseen is a record that we know by its id in the flow's records alone, or that the far side has.
func (r *resolver) unseen(ctx context.Context, in *remote.Connection, recordType, text string) (any, string, error) {
	kind := in.Connector.KindAs(recordType)
	if kind == nil {
		return nil, "", &hub.Error{Kind: hub.Invalid, Code: "edit.not_there", Field: recordType, Value: text, Message: fmt.Sprintf("%s knows no %s.", in.ID, strings.ReplaceAll(recordType, "_", " ")), Hint: "Set another field."}
	}
	key := hub.RecordKey{Connection: in.ID, Kind: kind.Name, ID: text}
	linked, err := r.t.Links(ctx, r.idOf(key))
	if err != nil {
		return nil, "", err
	}
	if len(linked) == 0 {
		link, err := r.c.far.Record(ctx, r.tenant, in.ID, recordType, text)
		if err != nil {
			return nil, "", err
		}
		key.ID = link.ExternalID
	}
	ref := canonical.Ref{Type: recordType, ID: r.idOf(key), Key: key}
	known, err := r.t.LinkOf(ctx, in.ID, key.Kind, key.ID)
	if err == nil && known != nil {
		ref.ID = known.Record
	}
	return ref, key.String(), err
}

// idOf is the id of a record that nobody has linked to another one.
func (r *resolver) idOf(key hub.RecordKey) hub.RecordID {
	return hub.RecordIDFor(r.tenant, string(key.Connection), key.Kind, key.ID)
}

// edits are the rows that keep what is set, one per record.
func (r *resolver) edits(members []store.Member) (out []store.Edit) {
	for _, m := range members {
		if fields := r.fields[m.Deployment]; fields != nil {
			out = append(out, store.Edit{Deployment: m.Deployment, Key: m.Key, Fields: fields, Who: r.by.Name, Reason: r.Reason, Made: r.now})
		}
	}
	return out
}
