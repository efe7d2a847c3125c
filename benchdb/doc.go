// Package benchdb keeps what was measured, in DuckDB, for many processes at
// once and across crashes.
//
// A process that measures never opens the database. It is a writer: it appends
// batches of rows to a spool of its own, files with one JSON line per batch
// (see [DB.Record]). A batch with Sync is acknowledged once it is on disk. Any
// other is acknowledged once the system has it, and is put on disk within a
// second: it survives a killed process, but not a power cut in that second. A
// short-lived child process, the worker, answers one query (see [DB.Query] and
// [Work]):
//
//  1. Under an exclusive lock it ingests all spools, for a second at most. Rows
//     and the position in the spool are one transaction, so each row comes in
//     once whoever is killed when; a row whose id is there already stays as it
//     is. What a dead writer left is removed once it is in the database itself
//     rather than in DuckDB's log, and its runs that never ended are lost.
//     Lines that are no records, or that a worker dies of, go to quarantine;
//     lines of a later version stay for that version.
//  2. Under a shared lock it opens the database read-only, gives up all rights,
//     runs the query and writes the rows to a descriptor of its own.
//
// Spools are also ingested in the background: when one is full, when nothing
// was recorded for half a minute, soon after Open and at Close. If nobody can
// ingest and they have grown to 256 MiB, inferences are only counted.
//
// So a record never waits for the database, a crash of DuckDB is an error
// message, and an agent's SQL runs where it can be killed and can reach
// nothing else.
//
// # Versions
//
// The database holds its schema and the oldest schema whose program can still
// query it. A program ingests into no schema but its own, which it first
// migrates to; the two last databases that were migrated are kept as
// metrics.duckdb.SCHEMA.bak. The views are what agents and other programs may
// rely on: columns are only added, at their end.
//
// # Comparisons
//
// [Compare] takes runs, not samples: the samples of one run depend on each
// other. It needs no database. [Summarize] takes that dependence into account.
package benchdb
