// Package workloads is how models are measured, after MLPerf Inference's
// scenarios (MLCommons, Inference Rules, "Scenarios"): single stream is
// latency here, offline is offline. Clocks are monotonic. Runs are shorter
// than MLPerf asks for, so the figures are not MLPerf results.
package workloads
