// Package sandbox has a process give up what it does not need, for good: it
// can't be undone, and threads and processes made later inherit it.
//
// On Linux it uses Landlock for files and the network, seccomp for system
// calls, which are then answered with EPERM and never with a kill, and
// rlimits. Elsewhere there is nothing yet, and [Apply] says so.
package sandbox

import "time"

// A Policy says what is kept. Reading files is always confined where Landlock
// is there: without it ReadDirs and ReadFiles do nothing, which the Level says.
type Policy struct {
	// ReadDirs and ReadFiles are all that can be read; folders with
	// everything in them. They must exist.
	ReadDirs, ReadFiles []string

	// WriteDirs are folders in which files may be made in spite of NoWrite.
	// Only Landlock can tell folders apart: without it they are not written
	// to either.
	WriteDirs []string

	// Devices are device nodes, or folders of them, that may be opened for
	// writing and controlled, in spite of NoWrite. Only Landlock can tell
	// files apart: without it everything may be opened for writing, and the
	// Level is None.
	Devices []string

	// MemoryBytes is how much more private memory than now the process may
	// allocate; 0 means no limit. Builds with the race detector have none:
	// it needs terabytes of addresses.
	MemoryBytes int64

	// CPU is the processor time after which the process is ended; 0 means no
	// limit.
	CPU time.Duration

	NoNetwork bool // no new sockets of any kind; connections that are open stay so
	NoExec    bool // no other program
	NoWrite   bool // no file or folder is made, changed or removed; files that are open for writing stay so
}

// A Level says what really holds after [Apply].
type Level string

// The levels, best first.
const (
	Full    Level = "landlock+seccomp" // everything the policy asks for
	Seccomp Level = "seccomp"          // everything but that files are read: the kernel has no Landlock
	None    Level = "none"             // nothing but the rlimits, if the system has them
)
