package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"github.com/spf13/cobra"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/cmd/internal/config"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/hardware"
)

// A finding is what doctor saw of one part.
type finding struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
	Fix    string `json:"fix,omitempty"`
}

func (c *cli) doctor() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Check every part of the installation, and say how to mend what is missing: a report that is safe to paste",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.with(func(a *app) error {
				found := c.examine(cmd.Context(), a)
				if err := c.printFindings(found); err != nil {
					return err
				}
				for _, f := range found {
					if !f.OK {
						return shownError{ExitUnavailable}
					}
				}
				return nil
			})
		},
	}
}

// examine tries each part for real.
func (c *cli) examine(ctx context.Context, a *app) []finding {
	found := []finding{c.examineHome(a), examineNative(a)}
	found = append(found, examineRuntime(a))
	d, err := a.engine.Detect(ctx, engine.DetectRequest{Platforms: []hardware.Kind{hardware.CPU}, Refresh: true}, nil)
	switch {
	case err != nil:
		found = append(found, result("canary", "", err))
	case d.Best == "":
		cpu := d.Platforms[len(d.Platforms)-1]
		found = append(found, finding{Name: "canary", Detail: cpu.Reason, Fix: cpu.Fix})
	default:
		found = append(found, finding{Name: "canary", OK: true, Detail: "ran right on " + d.Best}, sandboxFinding(d.Host.Sandbox))
	}
	rows, err := a.engine.Results(ctx, engine.ResultsRequest{SQL: "select count(*) as n from inferences"}, nil)
	found = append(found, result("database", fmt.Sprintf("answered in sandbox %s", rows.Sandbox), err))
	stored, err := a.store.List(ctx)
	found = append(found, result("store", fmt.Sprintf("%d models", len(stored)), err), examineDatabase(ctx, a), examineVersions())
	found = append(found, examineDisk(a), examineToken(a), examinePort(ctx, a), examineSources(a), examinePeers(ctx, a))
	return pasteable(append(found, examineConfig(a)...))
}

func (c *cli) examineHome(a *app) finding {
	probe, err := os.CreateTemp(a.home, ".doctor-*")
	if err == nil {
		err = errors.Join(probe.Close(), os.Remove(probe.Name()))
	}
	f := result("home", a.home, err)
	if err != nil {
		f.Fix = "make it writable, or name another with --home or " + config.EnvHome
	}
	return f
}

func examineNative(a *app) finding {
	path, err := exec.LookPath(a.native)
	f := result("native", path+builtFrom(path), err)
	if err != nil {
		f.Fix = "put " + nativeName + " beside ipfs-accelerate or on PATH, or name it in IPFS_ACCELERATE_NATIVE"
	}
	return f
}

// sandboxFinding is no failure where the system has no sandbox: nothing can be
// mended.
func sandboxFinding(level string) finding {
	if level == "none" {
		return finding{Name: "sandbox", OK: true, Detail: "none on this system; run only models that you trust"}
	}
	return finding{Name: "sandbox", OK: true, Detail: level}
}

// result is the finding of a check that works or fails.
func result(name, detail string, err error) finding {
	if err == nil {
		return finding{Name: name, OK: true, Detail: detail}
	}
	if e, ok := errors.AsType[*engine.Error](err); ok {
		return finding{Name: name, Detail: e.Message, Fix: e.Hint}
	}
	return finding{Name: name, Detail: err.Error()}
}

func (c *cli) printFindings(found []finding) error {
	if c.json {
		return c.printJSON(map[string][]finding{"checks": found})
	}
	return c.table(func(w io.Writer) {
		for _, f := range found {
			mark := "ok"
			if !f.OK {
				mark = "MISSING"
			}
			row(w, "%s\t%s\t%s", f.Name, mark, f.Detail)
			if f.Fix != "" {
				row(w, "\t\tfix: %s", f.Fix)
			}
		}
	})
}
