//go:build !linux

package runner

import "syscall"

// dieWithParent does nothing: the child exits when its connection ends.
func dieWithParent(*syscall.SysProcAttr) {}

// preferAsVictim does nothing: only Linux has such a preference.
func preferAsVictim(int) {}

// oomKills returns 0: only Linux counts them.
func oomKills() int64 { return 0 }

// memoryOf returns 0: it is not known here.
func memoryOf(int) (peak, held int64) { return 0, 0 }
