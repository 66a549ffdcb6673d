package engine

import (
	"context"
	"errors"
	"strings"
	"time"

	"throughline/internal/connector"
	"throughline/internal/hub"
	"throughline/internal/remote"
	"throughline/internal/store"
)

// Lookup asks far sides for one record, for people who say which one is meant.
type Lookup struct {
	Loader *Loader
	Remote *remote.Client
}

var errFound = errors.New("found") // ends the reading of a list

// Record is how a far side knows the record of a canonical type with an id, or what people call it there.
// An error says that it has none.
func (l *Lookup) Record(ctx context.Context, tenant hub.TenantID, in hub.ConnectionID, recordType, id string) (store.Link, error) {
	conn, err := l.Loader.Connection(ctx, tenant, in)
	if err != nil {
		return store.Link{}, err
	}
	kind := conn.Connector.KindAs(recordType)
	if kind == nil {
		return store.Link{}, &hub.Error{Kind: hub.Invalid, Code: "link.not_carried", Message: string(in) + " knows no " + strings.ReplaceAll(recordType, "_", " ") + ".", Hint: "Link it where the flow looks for it."}
	}
	if kind.Get == nil && kind.List == nil {
		return store.Link{Connection: in, Kind: kind.Name, ExternalID: id, Number: id}, nil // nobody but the person can tell
	}
	x, err := l.read(ctx, conn, kind, id)
	if err != nil {
		return store.Link{}, err
	}
	if x == nil {
		return store.Link{}, &hub.Error{Kind: hub.NotFound, Code: "link.nothing_there", Field: "to", Value: id, Message: string(in) + " has no " + strings.ReplaceAll(recordType, "_", " ") + " " + id + ".",
			Hint: "Look there for its id, or make it there."}
	}
	out := store.Link{Connection: in, Kind: kind.Name}
	if out.ExternalID, err = kind.IDOf(x, conn.Settings); err != nil {
		return out, err
	}
	if out.Number, err = kind.NumberOf(x, conn.Settings); err != nil {
		return out, err
	}
	out.URL, err = kind.LinkOf(x, conn.Settings)
	return out, err
}

// read gets the record, or looks for it in the list of its kind; nil where it is not there.
func (l *Lookup) read(ctx context.Context, conn *remote.Connection, kind *connector.Kind, id string) (found any, err error) {
	if kind.Get != nil {
		answer, err := l.Remote.Call(ctx, conn, kind.Get, remote.Vars{"id": id})
		if err == nil {
			if x, ok := answer.Result.(map[string]any); ok {
				return x, nil
			}
		}
		if k := hub.KindOf(err); err != nil && k != hub.NotFound && k != hub.Invalid { // an id that cannot be one is not there
			return nil, err
		}
	}
	if kind.List == nil {
		return nil, nil
	}
	_, err = l.Remote.List(ctx, conn, kind.List, time.Time{}, nil, func(page []any) error {
		for _, x := range page {
			theirs, err := kind.IDOf(x, conn.Settings)
			if err != nil {
				return err
			}
			number, err := kind.NumberOf(x, conn.Settings)
			if err != nil {
				return err
			}
			if theirs == id || number == id {
				found = x
				return errFound
			}
		}
		return nil
	})
	if errors.Is(err, errFound) {
		err = nil
	}
	return found, err
}
