package runner

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// dieWithParent has the kernel kill the child when we die. The end of its
// connection does so too; this is for a child that is stuck.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }

// preferAsVictim has the kernel choose the child first when memory runs out.
func preferAsVictim(pid int) {
	path := fmt.Sprintf("/proc/%d/oom_score_adj", pid)
	os.WriteFile(path, []byte("1000"), 0) //nolint:errcheck // only a preference
}

// oomKills returns how many processes the kernel has killed for lack of
// memory since it booted, 0 if it does not say.
func oomKills() int64 {
	return number("/proc/vmstat", "oom_kill ")
}

// memoryOf returns the most resident memory in bytes that a process has had,
// and what it has now that is of no file; 0 if that can't be told.
func memoryOf(pid int) (peak, held int64) {
	path := fmt.Sprintf("/proc/%d/status", pid)
	return number(path, "VmHWM:") << 10, number(path, "RssAnon:") << 10
}

// number returns the number behind a word at the start of a line of one of the
// kernel's files, 0 if there is none.
func number(path, word string) int64 {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close() // read-only
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), word); ok {
			value, _, _ = strings.Cut(strings.TrimSpace(value), " ")
			n, _ := strconv.ParseInt(value, 10, 64) // 0 is what unknown means
			return n
		}
	}
	return 0
}
