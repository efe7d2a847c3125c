// Package runner runs models in child processes, so that a crash, a leak or a
// hang of the runtime or a model costs one call and not the program, and so
// that unloading a model really frees its memory.
//
// A child is `ipfs-accelerate-native runner`, or whatever [Options] names: a
// program that serves the protocol of package wire on file descriptor 3. Every
// session has a child of its own. One more is kept ready, with the runtime
// loaded but nothing given up yet, for the next session. No child is started
// before the first call of Devices or NewSession.
//
// When a child dies, the run in it fails with ErrRunnerCrashed or
// ErrOutOfMemory, and the next run of the same session starts a new child and
// loads the model again, after a pause that grows with every failure in a row.
package runner
