// Package hardware describes the machine it runs on: processor, memory,
// accelerators, and the evidence for each. It only reads; it never opens a
// device, so what it reports as present is not yet known to work. That is
// proved by a canary run in a session (see package engine).
package hardware
