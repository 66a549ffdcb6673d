// Package store keeps the ledger: what arrived, what is to be done, what was written where, and what
// a person has to look at. It holds all SQL of the product, for SQLite and PostgreSQL alike.
//
// It promises that accepted means durable (R1: what somebody outside will go by is on the disk before the
// caller hears of it), that one event has one outcome (R2), that a row of work is held by one lease at a time and
// nothing is recorded under a lost lease, and that tenant rows are reached through Tenant only.
//
// It decides nothing: what to retry, when and why is the business of package engine.
package store
