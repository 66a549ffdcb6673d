-- One text for SQLite and PostgreSQL. Every key and index starts with the tenant, so that tenants
-- can be spread over databases without a change; exceptions: node, and the claim order of work.
-- Instants are microseconds UTC.

-- +goose Up
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
  dedupe TEXT NOT NULL,
  version BIGINT NOT NULL,
  payload BYTEA,
  source TEXT NOT NULL,
  received_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX event_dedupe ON event (tenant, connection, dedupe);

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
  PRIMARY KEY (tenant, deployment, record_key)
);
CREATE INDEX work_ready ON work (lane, tenant, deployment, due_at) WHERE state = 'ready';
CREATE INDEX work_later ON work (due_at) WHERE state = 'later';
CREATE INDEX work_running ON work (epoch) WHERE state = 'running';
CREATE INDEX work_waiting ON work (tenant, waits_on) WHERE state = 'waiting';

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
);
CREATE INDEX run_key ON run (tenant, deployment, record_key, ended_at);
CREATE INDEX run_time ON run (tenant, ended_at);

CREATE TABLE input (
  tenant TEXT NOT NULL,
  run TEXT NOT NULL,
  record_key TEXT NOT NULL,
  payload BYTEA NOT NULL,
  PRIMARY KEY (tenant, run, record_key)
);

CREATE TABLE record (
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  type TEXT NOT NULL,
  label TEXT NOT NULL,
  fields TEXT NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE INDEX record_label ON record (tenant, type, label);

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
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, record, connection)
);
CREATE UNIQUE INDEX xref_external ON xref (tenant, connection, kind, external_id);

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
  hash TEXT NOT NULL,
  body TEXT NOT NULL,
  state TEXT NOT NULL,
  external_id TEXT NOT NULL DEFAULT '',
  message TEXT NOT NULL DEFAULT '',
  started_at BIGINT NOT NULL,
  ended_at BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant, op_key)
);
-- At most one write is under way per record and far side: two deals of one new customer cannot both
-- create it. The loser of the race waits for the winner's outcome.
CREATE UNIQUE INDEX write_open ON write (tenant, connection, record) WHERE state = 'open';
CREATE INDEX write_run ON write (tenant, run);
CREATE INDEX write_record ON write (tenant, record, started_at);

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
  label TEXT NOT NULL,
  state TEXT NOT NULL,
  resolution TEXT NOT NULL DEFAULT '',
  opened_at BIGINT NOT NULL,
  closed_at BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant, id)
);
CREATE INDEX exception_open ON exception (tenant, state, opened_at);
CREATE INDEX exception_key ON exception (tenant, deployment, record_key);

CREATE TABLE cursor (
  tenant TEXT NOT NULL,
  deployment TEXT NOT NULL,
  record_key TEXT NOT NULL,
  value TEXT NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, deployment, record_key)
);

CREATE TABLE audit (
  tenant TEXT NOT NULL,
  seq BIGINT NOT NULL,
  at BIGINT NOT NULL,
  who TEXT NOT NULL,
  action TEXT NOT NULL,
  object TEXT NOT NULL,
  detail TEXT NOT NULL,
  prev TEXT NOT NULL,
  hash TEXT NOT NULL,
  PRIMARY KEY (tenant, seq)
);

CREATE TABLE api_key (
  tenant TEXT NOT NULL,
  hash TEXT NOT NULL,
  name TEXT NOT NULL,
  role TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, hash)
);

-- +goose Down
DROP TABLE api_key;
DROP TABLE audit;
DROP TABLE cursor;
DROP TABLE exception;
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
