//go:build !linux

package sandbox

// Apply does nothing and reports None: this system has no sandbox here.
func Apply(Policy) (Level, error) { return None, nil }
