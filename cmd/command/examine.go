package command

import (
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/cmd/internal/config"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/packs"
)

// lowDisk is the free space in bytes below which a model hardly fits.
const lowDisk = 1 << 30

// examineVersions says what this program is, for a person who is asked.
func examineVersions() finding {
	return finding{Name: "version", OK: true, Detail: fmt.Sprintf("ipfs-accelerate %s, %s, %s/%s", Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)}
}

// examineRuntime finds ONNX Runtime, and says which it is by its content.
func examineRuntime(a *app) finding {
	library, err := a.library()
	if err != nil {
		return result("runtime", "", err)
	}
	origin := "installed, version " + packs.CoreVersion()
	if a.settings().ORTLib != "" {
		origin = "named by " + a.settings().Origin("ort_lib").Said()
	}
	sum, err := fileSum(library)
	return result("runtime", fmt.Sprintf("%s, %s, SHA-256 %.16s…", filepath.Base(library), origin, sum), err)
}

func fileSum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// builtFrom says which source a binary was built from, "" if it does not say.
func builtFrom(path string) string {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return fmt.Sprintf(", revision %.12s", s.Value)
		}
	}
	return ", " + info.Main.Version
}

// examineConfig says which files were read, what is set, and what was left out.
func examineConfig(a *app) []finding {
	l := a.settings()
	var set []string
	for _, s := range l.Public() {
		if s.Origin.Level != config.Default {
			set = append(set, fmt.Sprintf("%s from %s", s.Key, s.Origin))
		}
	}
	if set == nil {
		set = []string{"all by default"}
	}
	out := []finding{{Name: "config", OK: true, Detail: strings.Join(set, "; ")}}
	for _, w := range l.Warnings {
		out = append(out, finding{Name: "config", Detail: "left out: " + w.String(), Fix: "correct it; config validate checks it"})
	}
	return out
}

// examineDisk says how much more fits.
func examineDisk(a *app) finding {
	free, err := freeDisk(a.home)
	f := result("disk", humanBytes(free)+" free", err)
	if err == nil && free < lowDisk {
		f.OK, f.Fix = false, "make room, or move the data directory with --home"
	}
	return f
}

// examineToken wants a token that only its owner can read.
func examineToken(a *app) finding {
	info, err := os.Stat(filepath.Join(a.home, tokenName))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return finding{Name: "token", OK: true, Detail: "none yet; it is made when http is served first"}
	case err != nil:
		return result("token", "", err)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		return finding{Name: "token", Detail: fmt.Sprintf("others can read it (%s)", info.Mode().Perm()), Fix: "chmod 600 the file " + tokenName + " in the data directory, and restart the server"}
	}
	return finding{Name: "token", OK: true, Detail: "only its owner can read it"}
}

// examinePort tries the address of http.
func examinePort(ctx context.Context, a *app) finding {
	server := a.settings().Server
	if !slices.Contains(server.Transport, "http") || strings.HasPrefix(server.Listen, "unix:") {
		return finding{Name: "port", OK: true, Detail: "none is needed: transport " + strings.Join(server.Transport, ",")}
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", server.Listen)
	if err == nil {
		return result("port", server.Listen+" is free", l.Close())
	}
	var dialer net.Dialer
	if conn, dialErr := dialer.DialContext(ctx, "tcp", server.Listen); dialErr == nil {
		conn.Close()
		return finding{Name: "port", OK: true, Detail: server.Listen + " is in use: by this server, or another program"}
	}
	f := result("port", "", err)
	f.Fix = "name another address with --listen"
	return f
}

// examineSources names where models come from. They are not asked: that is
// left to a fetch.
func examineSources(a *app) finding {
	names := a.store.SourceNames()
	if len(names) == 0 {
		return finding{Name: "sources", OK: true, Detail: "none: models come from this machine only"}
	}
	return finding{Name: "sources", OK: true, Detail: strings.Join(names, ", ")}
}

// examineDatabase asks the worker how its database is.
func examineDatabase(ctx context.Context, a *app) finding {
	stats, err := a.db.Stats(ctx)
	f := result("benchdb", fmt.Sprintf("schema %d, %s, %d rows pending, %d lines in quarantine, %d dropped",
		stats.Schema, humanBytes(stats.DatabaseBytes), stats.PendingRows, stats.Quarantined, stats.Dropped), err)
	if err != nil && f.Fix == "" {
		f.Fix = "benchdb repair"
	}
	return f
}

// pasteable leaves out of a report whose machine it is.
func pasteable(found []finding) []finding {
	home := userHome()
	if len(home) < 2 {
		return found
	}
	for i, f := range found {
		found[i].Detail, found[i].Fix = strings.ReplaceAll(f.Detail, home, "~"), strings.ReplaceAll(f.Fix, home, "~")
	}
	return found
}
