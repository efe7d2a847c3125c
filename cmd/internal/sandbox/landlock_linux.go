package sandbox

import (
	"fmt"
	"os"

	"github.com/landlock-lsm/go-landlock/landlock"
	llsys "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// What Landlock can take away, by what the policy calls it.
const (
	readRights  = llsys.AccessFSReadFile | llsys.AccessFSReadDir
	writeRights = llsys.AccessFSWriteFile | llsys.AccessFSRemoveDir | llsys.AccessFSRemoveFile |
		llsys.AccessFSMakeChar | llsys.AccessFSMakeDir | llsys.AccessFSMakeReg | llsys.AccessFSMakeSock |
		llsys.AccessFSMakeFifo | llsys.AccessFSMakeBlock | llsys.AccessFSMakeSym |
		llsys.AccessFSRefer | llsys.AccessFSTruncate
	netRights = llsys.AccessNetBindTCP | llsys.AccessNetConnectTCP | llsys.AccessNetBindUDP | llsys.AccessNetConnectSendUDP
)

// landlockAll confines all threads to p. It reports false if the kernel has no
// Landlock; older ones have less of it, of which seccomp covers the rest.
func landlockAll(p Policy) (bool, error) {
	abi, err := llsys.LandlockGetABIVersion()
	if err != nil || abi < 1 {
		return false, nil //nolint:nilerr // no Landlock is an answer, not a failure
	}
	files := landlock.AccessFSSet(readRights | llsys.AccessFSIoctlDev)
	if p.NoExec {
		files |= llsys.AccessFSExecute
	}
	if p.NoWrite {
		files |= writeRights
	}
	if p.NoNetwork {
		files |= llsys.AccessFSResolveUnix
	}
	rules := []landlock.Rule{
		landlock.PathAccess(readRights, p.ReadDirs...),
		landlock.PathAccess(llsys.AccessFSReadFile, p.ReadFiles...),
		landlock.PathAccess(llsys.AccessFSWriteFile|llsys.AccessFSMakeReg|llsys.AccessFSTruncate, p.WriteDirs...),
	}
	for _, path := range p.Devices {
		rights := landlock.AccessFSSet(llsys.AccessFSReadFile | llsys.AccessFSWriteFile | llsys.AccessFSIoctlDev)
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			rights |= llsys.AccessFSReadDir
		}
		rules = append(rules, landlock.PathAccess(rights, path))
	}
	if err := landlock.MustConfig(files).BestEffort().RestrictPaths(rules...); err != nil {
		return false, fmt.Errorf("confine files: %w", err)
	}
	if p.NoNetwork {
		if err := landlock.MustConfig(landlock.AccessNetSet(netRights)).BestEffort().RestrictNet(); err != nil {
			return false, fmt.Errorf("confine network: %w", err)
		}
	}
	return true, nil
}
