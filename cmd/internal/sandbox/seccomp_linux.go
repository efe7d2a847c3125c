package sandbox

import (
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/sys/unix"
)

// always are the system calls that no policy keeps: other processes, the
// kernel itself, and ways round the filter (io_uring makes system calls that
// seccomp does not see).
var always = []string{
	"ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp", "pidfd_open", "pidfd_getfd", "pidfd_send_signal",
	"kill", "tkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo",
	"io_uring_setup", "io_uring_enter", "io_uring_register",
	"bpf", "perf_event_open", "userfaultfd", "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module",
	"mount", "umount2", "move_mount", "open_tree", "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr", "pivot_root", "chroot",
	"unshare", "setns", "reboot", "swapon", "swapoff", "acct", "quotactl", "quotactl_fd", "syslog", "iopl", "ioperm",
	"add_key", "request_key", "keyctl", "settimeofday", "clock_settime", "adjtimex", "clock_adjtime", "sethostname", "setdomainname",
	"name_to_handle_at", "open_by_handle_at", "personality", "vhangup", "nfsservctl",
}

var network = []string{
	"socket", "socketpair", "connect", "bind", "listen", "accept", "accept4", "sendto", "sendmsg", "sendmmsg",
}

var exec = []string{"execve", "execveat", "fork", "vfork"}

// write are those that change the file system. Opening for writing is looked
// for in the flags of open and openat; openat2 hides them from a filter. Where
// there are folders or devices to write to, opening is left to Landlock.
var write = []string{
	"openat2", "creat", "truncate", "mkdir", "mkdirat", "rmdir", "mknod", "mknodat", "unlink", "unlinkat",
	"rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat",
	"chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat",
	"utime", "utimes", "futimesat", "utimensat", "setxattr", "lsetxattr", "fsetxattr", "setxattrat",
	"removexattr", "lremovexattr", "fremovexattr", "removexattrat", "fallocate", "ftruncate", "memfd_create",
}

// openForWriting are the flags of which none may be set.
var openForWriting = []uint64{unix.O_WRONLY, unix.O_RDWR, unix.O_CREAT, unix.O_TRUNC}

// seccompAll filters the system calls of all threads. It reports false if the
// kernel has no seccomp.
//
// Every call that is known and not denied is allowed; all others are denied,
// among them those of another architecture's numbering, which the library
// would let through if allowing were the default.
func seccompAll(p Policy) (bool, error) {
	if !seccomp.Supported() {
		return false, nil
	}
	info, err := arch.GetInfo("")
	if err != nil {
		return false, nil //nolint:nilerr // an architecture without seccomp is an answer, not a failure
	}
	filter := seccomp.Filter{NoNewPrivs: true, Flag: seccomp.FilterFlagTSync, Policy: policy(p, info)}
	if err := seccomp.LoadFilter(filter); err != nil {
		return false, fmt.Errorf("filter system calls: %w", err)
	}
	return true, nil
}

func policy(p Policy, info *arch.Info) seccomp.Policy {
	deny := map[string]bool{"tgkill": true} // but see conditions
	for _, group := range []struct {
		names []string
		on    bool
	}{{always, true}, {network, p.NoNetwork}, {exec, p.NoExec}, {write, p.NoWrite}} {
		for _, name := range group.names {
			deny[name] = deny[name] || group.on
		}
	}
	conditions := []seccomp.NameWithConditions{{ // signals within this process only
		Name:       "tgkill",
		Conditions: seccomp.ArgumentConditions{{Argument: 0, Operation: seccomp.Equal, Value: uint64(os.Getpid())}},
	}}
	if p.NoWrite && len(p.WriteDirs)+len(p.Devices) == 0 {
		for name, argument := range map[string]uint32{"open": 1, "openat": 2} {
			if _, ok := info.SyscallNames[name]; !ok {
				continue
			}
			deny[name] = true
			conditions = append(conditions, seccomp.NameWithConditions{Name: name, Conditions: noneSet(argument, openForWriting)})
		}
	}
	var allowed []string
	for _, name := range slices.Sorted(maps.Keys(info.SyscallNames)) {
		if !deny[name] {
			allowed = append(allowed, name)
		}
	}
	return seccomp.Policy{
		DefaultAction: seccomp.ActionErrno,
		Syscalls:      []seccomp.SyscallGroup{{Action: seccomp.ActionAllow, Names: allowed, NamesWithCondtions: conditions}},
	}
}

// noneSet is true if an argument has none of the flags.
func noneSet(argument uint32, flags []uint64) seccomp.ArgumentConditions {
	var out seccomp.ArgumentConditions
	for _, f := range flags {
		out = append(out, seccomp.Condition{Argument: argument, Operation: seccomp.BitsNotSet, Value: f})
	}
	return out
}
