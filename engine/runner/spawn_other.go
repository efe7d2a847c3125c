//go:build !linux

package runner

import "syscall"

// dieWithParent does nothing: the child exits when its connection ends.
func dieWithParent(*syscall.SysProcAttr) {}

// preferAsVictim does nothing: only Linux has such a preference.
func preferAsVictim(int) {}

// oomKills returns 0: only Linux counts them.
func oomKills() int64 { return 0 }

// peakMemory returns 0: it is not known here.
func peakMemory(int) int64 { return 0 }
