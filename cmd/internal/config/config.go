package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/adrg/xdg"
)

// The environment variables that the program reads.
const (
	EnvHome   = "IPFS_ACCELERATE_HOME"   // the data directory
	EnvNative = "IPFS_ACCELERATE_NATIVE" // the path of ipfs-accelerate-native
	EnvORT    = "ORT_LIB"                // an ONNX Runtime library to use instead of the installed one
)

// FileName is the user's file, in the data directory.
const FileName = "config.json"

// A Config is what the program was told. Its JSON is the user's file.
type Config struct {
	// Sources are where models may be fetched from, in order. There are none
	// by default.
	Sources []Source `json:"sources"`

	// AllowPaths are folders whose files callers may name, as absolute paths.
	AllowPaths []string `json:"allow_paths"`
}

// A Source is a trustless HTTP gateway.
type Source struct {
	Name string `json:"name"` // as callers and errors name it
	URL  string `json:"url"`
}

// Home returns the data directory: the environment's, else this program's
// folder among the system's usual ones.
func Home() string {
	if dir := os.Getenv(EnvHome); dir != "" {
		return dir
	}
	return filepath.Join(xdg.DataHome, "ipfs-accelerate")
}

// Load reads the user's file in home. A missing file is an empty Config; an
// unknown key is an error, for it is most likely a slip.
func Load(home string) (Config, error) {
	var c Config
	data, err := os.ReadFile(filepath.Join(home, FileName))
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("read the configuration: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return c, fmt.Errorf("read %s: %w", FileName, err)
	}
	for i, s := range c.Sources {
		if _, err := ParseSource(s.Name + "=" + s.URL); err != nil {
			return c, fmt.Errorf("%s: source %d: %w", FileName, i+1, err)
		}
	}
	for _, path := range c.AllowPaths {
		if !filepath.IsAbs(path) {
			return c, fmt.Errorf("%s: allow_paths: %q is no absolute path", FileName, path)
		}
	}
	return c, nil
}

// ParseSource reads a source of the command line: URL or NAME=URL. Without a
// name it is called by its host.
func ParseSource(s string) (Source, error) {
	name, address, named := strings.Cut(s, "=")
	if !named || strings.Contains(name, ":") {
		name, address = "", s
	}
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return Source{}, fmt.Errorf("%q is not the URL of a gateway; write http://HOST[:PORT] or NAME=URL", s)
	}
	if u.User != nil {
		return Source{}, errors.New("the URL of a gateway must not hold a password")
	}
	if name == "" {
		name = u.Host
	}
	return Source{Name: name, URL: address}, nil
}
