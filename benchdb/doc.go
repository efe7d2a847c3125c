// Package benchdb keeps what was measured, in DuckDB, for many processes at
// once and across crashes.
//
// A process that measures never opens the database. It is a writer: it appends
// batches of rows to a spool of its own, files with one JSON line per batch
// (see [DB.Record]). A short-lived child process, the worker, answers one query
// (see [DB.Query] and [Work]):
//
//  1. Under an exclusive lock it ingests all spools, for a second at most. Rows
//     and the position in the spool are one transaction, so each row comes in
//     once whoever is killed when. What a dead writer left is removed, and its
//     runs that never ended are lost. Lines that are no records go to
//     quarantine; lines of a later version stay for that version.
//  2. Under a shared lock it opens the database read-only, gives up all rights,
//     runs the query and writes the rows to a descriptor of its own.
//
// So a record never waits for the database, a crash of DuckDB is an error
// message, and an agent's SQL runs where it can be killed and can reach
// nothing else.
package benchdb
