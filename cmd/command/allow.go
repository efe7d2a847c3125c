package command

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// allowed says which files callers may name, and how more are allowed.
func allowed(folders []string, all bool) engine.Paths {
	p := engine.Paths{Allowed: folders, All: all, Hint: "start the server with --allow-path FOLDER, or add the folder to \"allow_paths\" in its config.json"}
	if len(folders) > 0 {
		p.Hint = "allowed is " + strings.Join(folders, ", ") + "; to allow more, " + p.Hint
	}
	return p
}

// allowedFolders reads the folders of --allow-path. A client that starts the
// server without a shell passes "~" as it is.
func allowedFolders(names []string) ([]string, error) {
	var out []string
	for _, name := range names {
		dir, err := filepath.Abs(tilde(name))
		if err != nil {
			return nil, err
		}
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return nil, fmt.Errorf("--allow-path %s is no folder", name)
		}
		out = append(out, dir)
	}
	return out, nil
}

// workingDirectory returns where the program was started, if a user may be
// taken to have chosen it. It is looked at as it was named and as it really
// is: a link to the home folder is the home folder.
func workingDirectory() []string {
	dir, err := os.Getwd()
	if err != nil {
		return nil
	}
	for _, home := range []string{userHome(), resolved(userHome())} {
		if !mayAllow(dir, home) || !mayAllow(resolved(dir), home) {
			return nil
		}
	}
	return []string{dir}
}

// systemFolders are never allowed by default, even if a client starts the
// server in one.
var systemFolders = []string{
	"/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/opt", "/proc", "/root", "/run", "/sbin", "/srv", "/sys", "/usr", "/var", "/home",
	"/Applications", "/Library", "/System", "/Users", "/Volumes", "/private",
	`C:\Windows`, `C:\Program Files`, `C:\Program Files (x86)`, `C:\ProgramData`, `C:\Users`,
}

// mayAllow reports whether dir is a folder that a user may be taken to have
// chosen: not the root of a file system, nor the home folder or one above it,
// nor a folder of the system.
func mayAllow(dir, home string) bool {
	clean := filepath.Clean(dir)
	if clean == "." || clean == filepath.VolumeName(clean)+string(filepath.Separator) || within(clean, home) {
		return false
	}
	for _, system := range systemFolders {
		if sameFolder(clean, system) || (below(clean, system) && !mayHold(system) && !within(home, clean)) {
			return false
		}
	}
	return true
}

// within reports whether path is dir or lies in it.
func within(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return dir != "" && path != "" && err == nil && filepath.IsLocal(rel)
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

// userHome is the user's home folder, or "".
func userHome() string {
	dir, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return dir
}

// resolved follows the links in a path, as far as that can be done.
func resolved(path string) string {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		return target
	}
	return path
}

// missing turns the failure to open what a person named into an error that
// says so in fewer words.
func missing(name string, err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return usageError{fmt.Errorf("there is no file or folder %s", name)}
	}
	return usageError{err}
}
