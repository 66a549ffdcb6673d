-- One text for SQLite and PostgreSQL. Every key and index starts with the tenant, so that tenants
-- can be spread over databases without a change; exceptions: node, ledger, and the claim order of work.
-- Instants are microseconds UTC.
--
-- What a busy table costs is the number of its trees: each row of each tree is a page written. So a
-- table has as few indexes as it can, and on SQLite narrow rows lie in the tree of their key. Wide ones lie
-- one behind the other as they come, and their key's tree names them: otherwise each commit would write
-- as many pages as it has rows. A line
-- that begins with the name of a database is a comment for the other one. PostgreSQL writes a changed row
-- anew: where each row is changed soon after it came, its page keeps room for that.

-- +goose Up
-- What the ledger knows of itself, in one row: who it is, by which master key it is sealed, how far it
-- has counted, whether it is held, and from when to when it may know less than the far sides.
CREATE TABLE ledger (
  one BIGINT PRIMARY KEY CHECK (one = 1),
  id TEXT NOT NULL,
  sealed_by TEXT NOT NULL DEFAULT '',
  mark BIGINT NOT NULL DEFAULT 0,
  seen_at BIGINT NOT NULL DEFAULT 0,
  held_since BIGINT NOT NULL DEFAULT 0,
  reason TEXT NOT NULL DEFAULT '',
  lost_from BIGINT NOT NULL DEFAULT 0,
  lost_until BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE node (
  epoch BIGINT PRIMARY KEY,
  name TEXT NOT NULL,
  lease_until BIGINT NOT NULL
);

CREATE TABLE tenant (
  tenant TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  zone TEXT NOT NULL,
  currency TEXT NOT NULL,
  wrapped_key BYTEA,
  created_at BIGINT NOT NULL
);

CREATE TABLE connection (
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  connector TEXT NOT NULL,
  version TEXT NOT NULL,
  settings TEXT NOT NULL,
  secret BYTEA,
  session BYTEA,
  session_version BIGINT NOT NULL DEFAULT 0,
  state TEXT NOT NULL,
  message TEXT NOT NULL DEFAULT '',
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, id)
);

CREATE TABLE deployment (
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  revision BIGINT NOT NULL,
  state TEXT NOT NULL,
  spec TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, id, revision)
);

CREATE TABLE event (
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  connection TEXT NOT NULL,
  record_key TEXT NOT NULL,
  version BIGINT NOT NULL,
  payload BYTEA,
  source TEXT NOT NULL,
  gone BIGINT NOT NULL DEFAULT 0,
  received_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, id)
)
;
-- An event's id follows from what makes it unique, so that a repeat has the same.

CREATE TABLE work (
  tenant TEXT NOT NULL,
  deployment TEXT NOT NULL,
  record_key TEXT NOT NULL,
  state TEXT NOT NULL,
  lane BIGINT NOT NULL,
  due_at BIGINT NOT NULL,
  reason TEXT NOT NULL DEFAULT '',
  waits_on TEXT NOT NULL DEFAULT '',
  event TEXT NOT NULL,
  version BIGINT NOT NULL DEFAULT 0,
  next_event TEXT NOT NULL DEFAULT '',
  run TEXT NOT NULL DEFAULT '',
  revision BIGINT NOT NULL DEFAULT 0,
  epoch BIGINT NOT NULL DEFAULT 0,
  attempts BIGINT NOT NULL DEFAULT 0,
  crashes BIGINT NOT NULL DEFAULT 0,
  parked BIGINT NOT NULL DEFAULT 0,
  cause TEXT NOT NULL DEFAULT '',
  seconds BIGINT NOT NULL DEFAULT 0,
  amount TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (tenant, deployment, record_key)
)
-- sqlite: WITHOUT ROWID
-- postgres: WITH (fillfactor = 40)
;
CREATE INDEX work_ready ON work (lane, tenant, deployment, due_at) WHERE state = 'ready';
-- Rows in hand: what a dead node had, and what a node has that it does not carry, is found without reading all others.
-- Not WHERE state = 'running': PostgreSQL would look there for a row that ends, by its tenant, instead of by its key.
CREATE INDEX work_running ON work (tenant, epoch) WHERE epoch <> 0;
-- Rows that were in hand at two crashes already: claimed alone.
CREATE INDEX work_suspect ON work (tenant, due_at) WHERE state = 'ready' AND crashes >= 2;
CREATE INDEX work_later ON work (due_at) WHERE state = 'later';
-- Rows that wait for something, some of them no longer than until a time.
CREATE INDEX work_waiting ON work (tenant, waits_on) WHERE waits_on <> '';

CREATE TABLE run (
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  deployment TEXT NOT NULL,
  record_key TEXT NOT NULL,
  event TEXT NOT NULL,
  revision BIGINT NOT NULL,
  outcome TEXT NOT NULL,
  code TEXT NOT NULL DEFAULT '',
  message TEXT NOT NULL DEFAULT '',
  label TEXT NOT NULL DEFAULT '',
  calls BIGINT NOT NULL DEFAULT 0,
  accepted_at BIGINT NOT NULL,
  ended_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, id)
)
-- sqlite: WITHOUT ROWID
;
CREATE INDEX run_key ON run (tenant, deployment, record_key, id);

CREATE TABLE input (
  tenant TEXT NOT NULL,
  run TEXT NOT NULL,
  record_key TEXT NOT NULL,
  payload BYTEA NOT NULL,
  PRIMARY KEY (tenant, run, record_key)
)
;

CREATE TABLE record (
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  type TEXT NOT NULL,
  label TEXT NOT NULL,
  fields TEXT NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, id)
)
;

CREATE TABLE xref (
  tenant TEXT NOT NULL,
  record TEXT NOT NULL,
  connection TEXT NOT NULL,
  kind TEXT NOT NULL,
  external_id TEXT NOT NULL,
  number TEXT NOT NULL DEFAULT '',
  link TEXT NOT NULL DEFAULT '',
  hash TEXT NOT NULL DEFAULT '',
  writes BIGINT NOT NULL DEFAULT 0,
  version BIGINT NOT NULL DEFAULT 0,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, record, connection)
)
-- sqlite: WITHOUT ROWID
;
-- The id comes before the connection: PostgreSQL plans before it has seen how many rows there are, and takes
-- an index that begins with tenant and connection for a look-up by tenant, record and connection.
CREATE UNIQUE INDEX xref_external ON xref (tenant, external_id, connection, kind);

CREATE TABLE write (
  tenant TEXT NOT NULL,
  op_key TEXT NOT NULL,
  run TEXT NOT NULL,
  deployment TEXT NOT NULL,
  record_key TEXT NOT NULL,
  step TEXT NOT NULL,
  record TEXT NOT NULL,
  connection TEXT NOT NULL,
  operation TEXT NOT NULL,
  class TEXT NOT NULL,
  version BIGINT NOT NULL DEFAULT 0,
  hash TEXT NOT NULL,
  body TEXT NOT NULL,
  state TEXT NOT NULL,
  external_id TEXT NOT NULL DEFAULT '',
  message TEXT NOT NULL DEFAULT '',
  started_at BIGINT NOT NULL,
  ended_at BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant, record, connection, op_key)
)
-- postgres: WITH (fillfactor = 55)
;
-- At most one write is under way per record and far side: two deals of one new customer cannot both
-- create it. The loser of the race waits for the winner's outcome. No index says so: who opens a write has the
-- tenant's turn (wait.go) and looks first, and a row that is in no index by its state is changed where it lies.

-- What an entry has brought into a far side's books, line by line: a line is never changed, only taken
-- back by another one. The ids of an entry's lines begin like its own, so that they lie beside each other.
CREATE TABLE posting (
  tenant TEXT NOT NULL,
  record TEXT NOT NULL,
  entry TEXT NOT NULL,
  deployment TEXT NOT NULL,
  connection TEXT NOT NULL,
  n BIGINT NOT NULL,
  type TEXT NOT NULL,
  reverses TEXT NOT NULL DEFAULT '',
  date TEXT NOT NULL,
  project TEXT NOT NULL DEFAULT '',
  seconds BIGINT NOT NULL DEFAULT 0,
  amount TEXT NOT NULL DEFAULT '',
  content TEXT NOT NULL,
  fields TEXT NOT NULL,
  counts TEXT NOT NULL DEFAULT '',
  state TEXT NOT NULL,
  how TEXT NOT NULL DEFAULT '',
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, record)
)
-- postgres: WITH (fillfactor = 55)
;

-- Running sums that postings may not push past a limit: a person's hours of a day, a contract's amount.
CREATE TABLE tally (
  tenant TEXT NOT NULL,
  name TEXT NOT NULL,
  item TEXT NOT NULL,
  seconds BIGINT NOT NULL DEFAULT 0,
  amount TEXT NOT NULL DEFAULT '0',
  PRIMARY KEY (tenant, name, item)
)
-- sqlite: WITHOUT ROWID
-- postgres: WITH (fillfactor = 70)
;

CREATE TABLE exception (
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  deployment TEXT NOT NULL,
  record_key TEXT NOT NULL,
  run TEXT NOT NULL,
  class TEXT NOT NULL,
  code TEXT NOT NULL,
  message TEXT NOT NULL,
  hint TEXT NOT NULL,
  field TEXT NOT NULL,
  value TEXT NOT NULL DEFAULT '',
  about TEXT NOT NULL DEFAULT '',
  connection TEXT NOT NULL DEFAULT '',
  cause TEXT NOT NULL DEFAULT '',
  label TEXT NOT NULL,
  seconds BIGINT NOT NULL DEFAULT 0,
  amount TEXT NOT NULL DEFAULT '',
  state TEXT NOT NULL,
  resolution TEXT NOT NULL DEFAULT '',
  opened_at BIGINT NOT NULL,
  closed_at BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant, id)
);
CREATE INDEX exception_open ON exception (tenant, state, opened_at);
CREATE INDEX exception_key ON exception (tenant, deployment, record_key);
CREATE INDEX exception_cause ON exception (tenant, cause, id);

-- What a person has changed of a record that starts a flow. What the vendor sent stays as it came; a
-- flow reads the record with the edits that have not ended, the latest last.
CREATE TABLE edit (
  tenant TEXT NOT NULL,
  deployment TEXT NOT NULL,
  record_key TEXT NOT NULL,
  made_at BIGINT NOT NULL,
  fields TEXT NOT NULL,
  who TEXT NOT NULL,
  reason TEXT NOT NULL,
  ended_at BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant, deployment, record_key, made_at)
)
-- sqlite: WITHOUT ROWID
;

CREATE TABLE cursor (
  tenant TEXT NOT NULL,
  deployment TEXT NOT NULL,
  record_key TEXT NOT NULL,
  value TEXT NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, deployment, record_key)
)
-- sqlite: WITHOUT ROWID
;

-- One row holds the entries that were committed together. The head is a row of its own, so that
-- nodes add to a tenant's chain one after the other.
CREATE TABLE audit (
  tenant TEXT NOT NULL,
  seq BIGINT NOT NULL,
  entries TEXT NOT NULL,
  prev TEXT NOT NULL,
  hash TEXT NOT NULL,
  PRIMARY KEY (tenant, seq)
)
-- sqlite: WITHOUT ROWID
;

CREATE TABLE audit_head (
  tenant TEXT NOT NULL,
  seq BIGINT NOT NULL,
  hash TEXT NOT NULL,
  PRIMARY KEY (tenant)
);

-- How much of a vendor's limit was used lately, by all nodes together.
CREATE TABLE limit_use (
  tenant TEXT NOT NULL,
  connection TEXT NOT NULL,
  name TEXT NOT NULL,
  kept TEXT NOT NULL,
  PRIMARY KEY (tenant, connection, name)
);

CREATE TABLE api_key (
  tenant TEXT NOT NULL,
  hash TEXT NOT NULL,
  name TEXT NOT NULL,
  role TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, hash)
);

-- SQLite plans by what it is told of the rows, and counts none by itself: untold, it takes a tenant for ten rows, and
-- reads all of them rather than to look one up in another index. So it is told how a grown ledger looks: of an index
-- the number of its rows, then how many there are to each value of its first column, of its first two, and so on.
-- sqlite: ANALYZE sqlite_schema;
-- sqlite: DELETE FROM sqlite_stat1;
-- sqlite: INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
-- sqlite:   ('event', 'sqlite_autoindex_event_1', '1000000 10000 1'),
-- sqlite:   ('work', 'work', '1000000 10000 3000 1'),
-- sqlite:   ('work', 'work_ready', '10000 5000 1000 300 1'),
-- sqlite:   ('work', 'work_running', '1000 100 100'),
-- sqlite:   ('work', 'work_suspect', '10 5 1'),
-- sqlite:   ('work', 'work_later', '10000 1'),
-- sqlite:   ('work', 'work_waiting', '10000 1000 5'),
-- sqlite:   ('run', 'run', '1000000 10000 1'),
-- sqlite:   ('run', 'run_key', '1000000 10000 3000 3 1'),
-- sqlite:   ('input', 'sqlite_autoindex_input_1', '1000000 10000 2 1'),
-- sqlite:   ('record', 'sqlite_autoindex_record_1', '1000000 10000 1'),
-- sqlite:   ('xref', 'xref', '1000000 10000 2 1'),
-- sqlite:   ('xref', 'xref_external', '1000000 10000 2 1 1'),
-- sqlite:   ('write', 'sqlite_autoindex_write_1', '1000000 10000 3 2 1'),
-- sqlite:   ('posting', 'sqlite_autoindex_posting_1', '1000000 10000 1'),
-- sqlite:   ('tally', 'tally', '1000000 10000 1000 1'),
-- sqlite:   ('exception', 'sqlite_autoindex_exception_1', '100000 1000 1'),
-- sqlite:   ('exception', 'exception_open', '100000 1000 300 1'),
-- sqlite:   ('exception', 'exception_key', '100000 1000 300 2'),
-- sqlite:   ('exception', 'exception_cause', '100000 1000 50 1'),
-- sqlite:   ('edit', 'edit', '10000 100 30 2 1'),
-- sqlite:   ('audit', 'audit', '1000000 10000 1');

-- +goose Down
DROP TABLE api_key;
DROP TABLE limit_use;
DROP TABLE audit_head;
DROP TABLE audit;
DROP TABLE cursor;
DROP TABLE edit;
DROP TABLE exception;
DROP TABLE tally;
DROP TABLE posting;
DROP TABLE write;
DROP TABLE xref;
DROP TABLE record;
DROP TABLE input;
DROP TABLE run;
DROP TABLE work;
DROP TABLE event;
DROP TABLE deployment;
DROP TABLE connection;
DROP TABLE tenant;
DROP TABLE node;
DROP TABLE ledger;
