// Package engine is the one engine behind the tools, the command line and the
// peers: it detects hardware, fetches models by content, plans and runs them,
// measures, and keeps what it measured.
//
// The path of a request is told in ARCHITECTURE.md. This package holds the
// contracts of three kinds of plug-in, [ExecutionProvider], [Task] and
// [Workload]; their conformance suites are in enginetest.
package engine
