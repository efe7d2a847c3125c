package sandbox

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// limit forbids core dumps, which would write a model's input to disk, and
// memory and time beyond p's.
func limit(p Policy) error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return err
	}
	if p.CPU > 0 {
		most := uint64((p.CPU + time.Second - 1) / time.Second)
		if err := unix.Setrlimit(unix.RLIMIT_CPU, &unix.Rlimit{Cur: most, Max: most}); err != nil {
			return err
		}
	}
	if p.MemoryBytes <= 0 || raceEnabled {
		return nil
	}
	now, err := dataBytes()
	if err != nil {
		return err
	}
	most := uint64(now + p.MemoryBytes)
	return unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: most, Max: most})
}

// dataBytes returns how much of RLIMIT_DATA the process uses.
func dataBytes() (int64, error) {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return 0, err
	}
	defer f.Close() // read-only
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), "VmData:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("parse VmData: %w", err)
			}
			return kib << 10, nil
		}
	}
	return 0, errors.New("the kernel does not tell VmData")
}
