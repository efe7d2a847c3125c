// Package metrics counts what a server does, for Prometheus and for people:
// calls of tools, the phases of inferences, what sources gave, and how the
// machine is. It keeps numbers only; nothing in them says what was asked.
package metrics
