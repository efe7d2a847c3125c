//go:build !linux

package benchdb

import "os"

// datasync puts what was written to a file on disk.
func datasync(f *os.File) error { return f.Sync() }
