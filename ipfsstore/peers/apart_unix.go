//go:build unix

package peers

import "syscall"

// apart puts a process into a group of its own.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
