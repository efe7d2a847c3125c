// Package benchdb keeps what was measured, in DuckDB, for many processes at
// once and across crashes.
//
// A process that measures never opens the database. It appends records to a
// spool of its own, one JSON line per record (see [DB.Record]). A short-lived
// child process, the worker, ingests all spools into the database under a lock
// and answers one query in a sandbox. So a record never waits
// for the database, a crash of DuckDB is an error message, and an agent's SQL
// runs where it can be killed and can reach nothing else.
package benchdb
