package config

import (
	"os"
	"path/filepath"

	"github.com/adrg/xdg"
)

// The environment variables that set no key.
const (
	EnvHome   = "IPFS_ACCELERATE_HOME"   // the data directory
	EnvConfig = "IPFS_ACCELERATE_CONFIG" // the user's file
)

// FileName is the user's file, in its usual folders.
const FileName = "config.json"

// Home returns the data directory: the environment's, else this program's
// folder among the system's usual ones.
func Home() string {
	if dir := os.Getenv(EnvHome); dir != "" {
		return dir
	}
	return filepath.Join(xdg.DataHome, "ipfs-accelerate")
}

// UserFiles are the places where the user's file may be, best first: a data
// directory that was named, the user's home, the system's usual place, the
// data directory by default.
func UserFiles(home string, named bool) []string {
	var out []string
	if named {
		out = append(out, filepath.Join(home, FileName), filepath.Join(home, "config.yaml"))
	}
	if user, err := os.UserHomeDir(); err == nil {
		out = append(out, filepath.Join(user, ".ipfs_accelerate", FileName))
	}
	out = append(out, filepath.Join(xdg.ConfigHome, "ipfs-accelerate", FileName), filepath.Join(xdg.ConfigHome, "ipfs-accelerate", "config.yaml"))
	if !named {
		out = append(out, filepath.Join(home, FileName))
	}
	return out
}
