package command

import (
	"context"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

// modelInfo is a model as --json prints it.
type modelInfo struct {
	Name     string     `json:"name"`
	Names    []string   `json:"names,omitempty"`
	CID      string     `json:"cid"`
	Bytes    int64      `json:"bytes"`
	Files    []fileInfo `json:"files"`
	Path     string     `json:"path"`
	Complete bool       `json:"complete"`
	Lost     []string   `json:"lost,omitempty"` // of which the imported CAR lacked blocks
	Pinned   bool       `json:"pinned"`
	Origin   string     `json:"origin,omitempty"`
	License  string     `json:"license,omitempty"`
	Task     string     `json:"task,omitempty"`
	Try      string     `json:"try,omitempty"`     // a command that runs it
	Storage  string     `json:"storage,omitempty"` // of all files, or "mixed"
	AddedAt  time.Time  `json:"added_at"`
	AddedBy  string     `json:"added_by,omitempty"`
	UsedAt   time.Time  `json:"used_at"`
	Warnings []string   `json:"warnings,omitempty"`
}

type fileInfo struct {
	Name    string `json:"name"`
	Bytes   int64  `json:"bytes"`
	CID     string `json:"cid"`
	Storage string `json:"storage"`
	Path    string `json:"path,omitempty"` // of a reference
}

func infoOf(m ipfsstore.Artifact) modelInfo {
	info := modelInfo{
		Name: m.Name, Names: m.Names, CID: m.Root, Bytes: m.Bytes, Path: m.Dir, Complete: m.Complete, Lost: m.Lost, Pinned: m.Pinned,
		Origin: m.Origin, License: m.License, Task: m.Task, AddedAt: m.AddedAt, AddedBy: m.AddedBy, UsedAt: m.UsedAt, Files: []fileInfo{},
	}
	for _, f := range m.Files {
		file := fileInfo{Name: f.Name, Bytes: f.Bytes, CID: f.CID, Storage: string(f.Storage)}
		if f.Storage == ipfsstore.Reference {
			file.Path = f.Path
		}
		info.Files = append(info.Files, file)
		if info.Storage == "" {
			info.Storage = file.Storage
		}
		if info.Storage != file.Storage {
			info.Storage = "mixed"
		}
	}
	return info
}

// printModel prints a model, with a warning if it can't be run.
func (c *cli) printModel(ctx context.Context, a *app, m ipfsstore.Artifact) error {
	info := infoOf(m)
	info.Warnings = a.engine.Inspect(m)
	if err := m.Lacks(); err != nil {
		info.Warnings = append([]string{err.Error() + "; models fetch " + m.Root + " brings them"}, info.Warnings...)
	}
	a.recognize(ctx, m, &info)
	if c.json {
		return c.printJSON(info)
	}
	return c.table(func(w io.Writer) {
		row(w, "%s\t%s\t%s", info.CID, info.Name, humanBytes(info.Bytes))
		for _, said := range [][2]string{{"from", info.Origin}, {"licence", info.License}, {"task", info.Task}} {
			if said[1] != "" {
				row(w, "  %s\t%s", said[0], said[1])
			}
		}
		for _, f := range info.Files {
			row(w, "  %s\t%s\t%s\t%s", f.Name, humanBytes(f.Bytes), f.Storage, f.CID)
		}
		for _, warning := range info.Warnings {
			row(w, "warning: %s", warning)
		}
		if info.Try != "" {
			row(w, "try: %s", info.Try)
		}
	})
}

// printModels prints a line for each model.
func (c *cli) printModels(list []modelInfo) error {
	if c.json {
		return c.printJSON(map[string][]modelInfo{"models": list})
	}
	return c.table(func(w io.Writer) {
		if len(list) == 0 {
			row(w, "no models yet; models add PATH takes one in")
			return
		}
		row(w, "NAME\tSIZE\tFILES\tSTORED\tPINNED\tCID")
		for _, m := range list {
			pinned := ""
			if m.Pinned {
				pinned = "yes"
			}
			files := strconv.Itoa(len(m.Files))
			if !m.Complete {
				files += ", incomplete"
			}
			row(w, "%s\t%s\t%s\t%s\t%s\t%s", strings.Join(m.Names, ","), humanBytes(m.Bytes), files, m.Storage, pinned, m.CID)
		}
	})
}

// storeProgress is progress for work of the store itself.
func (c *cli) storeProgress() (func(ipfsstore.Progress), func()) {
	report, done := c.progress()
	return func(p ipfsstore.Progress) {
		report(engine.Progress{Done: p.Done, Total: p.Total, Unit: "bytes", Message: p.Phase})
	}, done
}

// explain says what a failure of the store means.
func (a *app) explain(ctx context.Context, ref string, err error) error {
	return a.engine.StoreError(ctx, ref, err)
}
