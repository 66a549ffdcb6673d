package store

import (
	"context"
	"fmt"
	"time"

	"throughline/internal/hub"
)

// Customer is a tenant's own row.
type Customer struct {
	ID       hub.TenantID
	Name     string
	Zone     string
	Currency string
	Created  time.Time
}

// Connection is a tenant's authorised link to an account at a vendor's. Secret and Session are
// sealed (package secret); the store cannot read them.
type Connection struct {
	Tenant         hub.TenantID
	ID             hub.ConnectionID
	Connector      string
	Version        string
	Settings       string // JSON
	Secret         []byte
	Session        []byte
	SessionVersion int64
	KeepSession    bool   // when it is applied: what the login gave still holds
	State          string // active, broken, paused
	Message        string
	Updated        time.Time
}

// Deployment is one revision of a flow. The newest revision is the one that new runs begin with; a
// run ends on the one it began with (R9).
type Deployment struct {
	Tenant   hub.TenantID
	ID       hub.DeploymentID
	Revision int64
	State    string // active, paused, removed
	Spec     string // JSON: template, roles, parameters, values, extensions
	Created  time.Time
}

// Setup is a change of what a tenant consists of, with its audit entries.
type Setup struct {
	Customer    Customer
	Connections []Connection
	Deployments []Deployment
	Polls       []hub.Work // rows that tick by themselves
	Audit       []AuditEntry
}

// Apply makes the change in one transaction.
func (s *Store) Apply(ctx context.Context, c Setup) error {
	return s.Tenant(c.Customer.ID).db.change(ctx, func(t tx) error {
		const customer = `
			INSERT INTO tenant (tenant, name, zone, currency, created_at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (tenant) DO UPDATE SET name = excluded.name, zone = excluded.zone, currency = excluded.currency`
		u := c.Customer
		if _, err := t.exec(ctx, customer, u.ID, u.Name, u.Zone, u.Currency, micros(u.Created)); err != nil {
			return err
		}
		if err := putConnections(ctx, t, c.Connections); err != nil {
			return err
		}
		const deployment = `INSERT INTO deployment (tenant, id, revision, state, spec, created_at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (tenant, id, revision) DO NOTHING`
		for _, d := range c.Deployments {
			n, err := t.exec(ctx, deployment, d.Tenant, d.ID, d.Revision, d.State, d.Spec, micros(d.Created))
			if err != nil {
				return err
			}
			if n == 0 {
				return errRevised
			}
			if err := moveRows(ctx, t, s.db.dialect(), d.Tenant, d.ID, d.State); err != nil {
				return err
			}
		}
		if err := putPolls(ctx, t, c.Polls); err != nil {
			return err
		}
		return s.appendAudit(ctx, t, u.ID, c.Audit)
	})
}

// errRevised ends a change that was made up while another one was.
var errRevised = &hub.Error{Kind: hub.Conflict, Code: "customer.changed", Message: "Somebody else has changed the customer at the same moment; nothing of this was done.", Hint: "Look at what it is now (apply --dry-run), then try again."}

func putConnections(ctx context.Context, t tx, list []Connection) error {
	const q = `
		INSERT INTO connection (tenant, id, connector, version, settings, secret, state, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (tenant, id) DO UPDATE SET connector = excluded.connector, version = excluded.version, settings = excluded.settings,
			secret = excluded.secret, state = excluded.state, message = '', updated_at = excluded.updated_at,
			session = CASE WHEN CAST(? AS BIGINT) = 0 THEN connection.session END, session_version = connection.session_version + CAST(? AS BIGINT)`
	for _, c := range list {
		drop := 1 - flag(c.KeepSession) // and under another version: who logs in with what was before is seen
		if _, err := t.exec(ctx, q, c.Tenant, c.ID, c.Connector, c.Version, c.Settings, c.Secret, c.State, micros(c.Updated), drop, drop); err != nil {
			return err
		}
	}
	return nil
}

func putPolls(ctx context.Context, t tx, list []hub.Work) error {
	const q = `
		INSERT INTO work (tenant, deployment, record_key, state, lane, due_at, event) VALUES (?, ?, ?, 'later', ?, ?, '')
		ON CONFLICT (tenant, deployment, record_key) DO UPDATE SET state = 'later', due_at = excluded.due_at
			WHERE work.state IN ('idle', 'parked', 'waiting')`
	for _, w := range list {
		if _, err := t.exec(ctx, q, w.Tenant, w.Deployment, w.Key, int(w.Lane), micros(w.Due)); err != nil {
			return err
		}
	}
	return nil
}

func scanCustomer(r rows, c *Customer) error {
	var at int64
	err := r.Scan(&c.ID, &c.Name, &c.Zone, &c.Currency, &at)
	c.Created = instant(at)
	return err
}

// Customers lists all tenants.
func (s *Store) Customers(ctx context.Context) ([]Customer, error) {
	r, err := s.db.query(ctx, `SELECT tenant, name, zone, currency, created_at FROM tenant ORDER BY tenant`)
	return all(r, err, scanCustomer)
}

// Customer reads the tenant's own row, or nil.
func (t *Tenant) Customer(ctx context.Context) (*Customer, error) {
	r, err := t.db.query(ctx, `SELECT tenant, name, zone, currency, created_at FROM tenant WHERE tenant = ?`, t.id)
	return one(all(r, err, scanCustomer))
}

const connectionColumns = `tenant, id, connector, version, settings, secret, session, session_version, state, message, updated_at`

func scanConnection(r rows, c *Connection) error {
	var at int64
	err := r.Scan(&c.Tenant, &c.ID, &c.Connector, &c.Version, &c.Settings, &c.Secret, &c.Session, &c.SessionVersion, &c.State, &c.Message, &at)
	c.Updated = instant(at)
	return err
}

// Connections lists the tenant's connections.
func (t *Tenant) Connections(ctx context.Context) ([]Connection, error) {
	r, err := t.db.query(ctx, `SELECT `+connectionColumns+` FROM connection WHERE tenant = ? ORDER BY id`, t.id)
	return all(r, err, scanConnection)
}

// Knows reports whether any record is known in a connection.
func (t *Tenant) Knows(ctx context.Context, id hub.ConnectionID) (bool, error) {
	r, err := t.db.query(ctx, `SELECT record FROM xref WHERE tenant = ? AND connection = ? LIMIT 1`, t.id, id)
	found, err := one(all(r, err, func(r rows, v *string) error { return r.Scan(v) }))
	return found != nil, err
}

// Connection reads one, or nil.
func (t *Tenant) Connection(ctx context.Context, id hub.ConnectionID) (*Connection, error) {
	r, err := t.db.query(ctx, `SELECT `+connectionColumns+` FROM connection WHERE tenant = ? AND id = ?`, t.id, id)
	return one(all(r, err, scanConnection))
}

// RenewSession keeps what f makes of a connection's session, and answers it with its version. While it
// is at it no other node is: a refresh token that is shown twice may cost the whole consent. Where
// another node has renewed the session since version stale, f is not asked and that one is answered.
func (t *Tenant) RenewSession(ctx context.Context, id hub.ConnectionID, stale int64, f func(session []byte) ([]byte, error)) (session []byte, version int64, err error) {
	pg, shared := t.db.(interface {
		within(ctx context.Context, limit time.Duration, f func(tx) error) error
	})
	if !shared { // one process: its own lock is enough, and a call must not hold up the only writer
		return t.renew(ctx, t.db, id, stale, f)
	}
	err = pg.within(ctx, loginLimit, func(x tx) error {
		session, version, err = t.renew(ctx, x, id, stale, f)
		return err
	})
	return session, version, err
}

// loginLimit is longer than the longest call: what a login gave must be kept.
const loginLimit = 2 * time.Minute

func (t *Tenant) renew(ctx context.Context, x tx, id hub.ConnectionID, stale int64, f func([]byte) ([]byte, error)) ([]byte, int64, error) {
	r, err := x.query(ctx, `SELECT session, session_version FROM connection WHERE tenant = ? AND id = ?`+t.db.dialect().forUpdate, t.id, id)
	type kept struct {
		session []byte
		version int64
	}
	now, err := one(all(r, err, func(r rows, k *kept) error { return r.Scan(&k.session, &k.version) }))
	if err != nil {
		return nil, 0, err
	}
	if now == nil {
		return nil, 0, &hub.Error{Kind: hub.NotFound, Code: "connection.unknown", Message: "There is no such connection."}
	}
	if now.version != stale && len(now.session) > 0 {
		return now.session, now.version, nil
	}
	next, err := f(now.session)
	if err != nil {
		return nil, 0, err
	}
	n, err := x.exec(ctx, `UPDATE connection SET session = ?, session_version = ? WHERE tenant = ? AND id = ? AND session_version = ?`, next, now.version+1, t.id, id, now.version)
	if err == nil && n == 0 {
		return nil, 0, hub.ErrConnectionChanged
	}
	return next, now.version + 1, err
}

// MarkConnection sets a connection's state and the sentence that explains it.
func (t *Tenant) MarkConnection(ctx context.Context, id hub.ConnectionID, state, message string) error {
	_, err := t.db.exec(ctx, `UPDATE connection SET state = ?, message = ?, updated_at = ? WHERE tenant = ? AND id = ?`, state, message, micros(t.now()), t.id, id)
	return err
}

const deploymentColumns = `tenant, id, revision, state, spec, created_at`

func scanDeployment(r rows, d *Deployment) error {
	var at int64
	err := r.Scan(&d.Tenant, &d.ID, &d.Revision, &d.State, &d.Spec, &at)
	d.Created = instant(at)
	return err
}

// Deployments lists the newest revision of each of the tenant's flows.
func (t *Tenant) Deployments(ctx context.Context) ([]Deployment, error) {
	const q = `SELECT ` + deploymentColumns + ` FROM deployment d WHERE tenant = ?
		AND revision = (SELECT MAX(revision) FROM deployment x WHERE x.tenant = d.tenant AND x.id = d.id) ORDER BY id`
	r, err := t.db.query(ctx, q, t.id)
	return all(r, err, scanDeployment)
}

// Stamp is another one after each change of the tenant's flows and connections, whichever node made it.
func (t *Tenant) Stamp(ctx context.Context) (string, error) {
	const q = `SELECT (SELECT COUNT(*) FROM deployment WHERE tenant = ?), (SELECT COALESCE(MAX(updated_at), 0) FROM connection WHERE tenant = ?)`
	r, err := t.db.query(ctx, q, t.id, t.id)
	v, err := one(all(r, err, func(r rows, v *[2]int64) error { return r.Scan(&v[0], &v[1]) }))
	if err != nil || v == nil {
		return "", err
	}
	return fmt.Sprint(*v), nil
}

// Deployment reads one revision, or nil.
func (t *Tenant) Deployment(ctx context.Context, id hub.DeploymentID, revision int64) (*Deployment, error) {
	r, err := t.db.query(ctx, `SELECT `+deploymentColumns+` FROM deployment WHERE tenant = ? AND id = ? AND revision = ?`, t.id, id, revision)
	return one(all(r, err, scanDeployment))
}

// TenantKey reads a tenant's wrapped data key, kept for package secret; nil where it has none.
func (s *Store) TenantKey(ctx context.Context, id string) ([]byte, error) {
	r, err := s.db.query(ctx, `SELECT wrapped_key FROM tenant WHERE tenant = ? AND wrapped_key IS NOT NULL`, id)
	v, err := one(all(r, err, func(r rows, v *[]byte) error { return r.Scan(v) }))
	if err != nil || v == nil {
		return nil, err
	}
	return *v, nil
}

// PutTenantKey keeps a tenant's wrapped key, unless it has one: of two nodes that seal a tenant's
// first secret at the same moment, both go on with the key of the first.
func (s *Store) PutTenantKey(ctx context.Context, id string, wrapped []byte) error {
	_, err := s.db.exec(ctx, `
		INSERT INTO tenant (tenant, name, zone, currency, wrapped_key, created_at) VALUES (?, '', '', '', ?, ?)
		ON CONFLICT (tenant) DO UPDATE SET wrapped_key = excluded.wrapped_key WHERE tenant.wrapped_key IS NULL`, id, wrapped, micros(s.now()))
	return err
}

// ReplaceTenantKey keeps the same key, wrapped anew, in place of the one that was read; it answers
// false where another has replaced it since.
func (s *Store) ReplaceTenantKey(ctx context.Context, id string, old, wrapped []byte) (done bool, err error) {
	n, err := s.db.exec(ctx, `UPDATE tenant SET wrapped_key = ? WHERE tenant = ? AND wrapped_key = ?`, wrapped, id, old)
	return n == 1, err
}
