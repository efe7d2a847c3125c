//go:build unix

package runner

import (
	"net"
	"os"
	"os/exec"
	"syscall"
)

// socketBuffer has room for a usual run's tensors, so that a writer need not
// wait for the reader.
const socketBuffer = 1 << 20

// socketPair makes the connection to a child. The near end is ours, and
// neither is inherited by accident.
func socketPair() (near net.Conn, far *os.File, err error) {
	syscall.ForkLock.RLock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	for _, fd := range fds {
		syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_SNDBUF, socketBuffer) //nolint:errcheck // only faster
	}
	mine := os.NewFile(uintptr(fds[0]), "runner")
	defer mine.Close() // FileConn has made its own copy
	far = os.NewFile(uintptr(fds[1]), "runner")
	near, err = net.FileConn(mine)
	if err != nil {
		far.Close() // err says more
		return nil, nil, err
	}
	return near, far, nil
}

// killed reports whether a process was ended by SIGKILL.
func killed(state *os.ProcessState) bool {
	status, ok := state.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// prepare gives the child a process group of its own, so that Ctrl-C in a
// terminal is for us to handle.
func prepare(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(cmd.SysProcAttr)
}
