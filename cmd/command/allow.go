package command

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// systemFolders are never allowed by default, even if a client starts the
// server in one.
var systemFolders = []string{
	"/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/opt", "/proc", "/root", "/run", "/sbin", "/srv", "/sys", "/usr", "/var", "/home",
	"/Applications", "/Library", "/System", "/Users", "/Volumes", "/private",
	`C:\Windows`, `C:\Program Files`, `C:\Program Files (x86)`, `C:\ProgramData`, `C:\Users`,
}

// defaultAllowed returns the working directory if it is a folder that a user
// may be taken to have chosen: not the root of a file system, nor the home
// folder or one above it, nor a folder of the system.
func defaultAllowed(dir, home string) []string {
	clean := filepath.Clean(dir)
	if clean == "" || clean == "." || clean == filepath.VolumeName(clean)+string(filepath.Separator) {
		return nil
	}
	if home != "" {
		if rel, err := filepath.Rel(clean, home); err == nil && filepath.IsLocal(rel) {
			return nil // it is the home folder, or holds it
		}
	}
	inHome := false
	if home != "" {
		rel, err := filepath.Rel(home, clean)
		inHome = err == nil && filepath.IsLocal(rel)
	}
	for _, system := range systemFolders {
		if sameFolder(clean, system) || (!inHome && below(clean, system) && !mayHold(system)) {
			return nil
		}
	}
	return []string{clean}
}

// mayHold reports whether folders of users lie below a system folder.
func mayHold(system string) bool {
	return slices.Contains([]string{"/home", "/Users", "/Volumes", "/private", "/srv", "/opt", `C:\Users`, "/var", "/run"}, system)
}

func sameFolder(a, b string) bool {
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		return strings.EqualFold(a, b)
	}
	return a == b
}

func below(dir, system string) bool {
	return strings.HasPrefix(dir, system+string(filepath.Separator))
}

// workingDirectory is where the program was started, or "".
func workingDirectory() string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	return dir
}

// userHome is the user's home folder, or "".
func userHome() string {
	dir, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return dir
}
