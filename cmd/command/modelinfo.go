package command

import (
	"context"
	"io"
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
	Pinned   bool       `json:"pinned"`
	AddedAt  time.Time  `json:"added_at"`
	Warnings []string   `json:"warnings,omitempty"`
}

type fileInfo struct {
	Name    string `json:"name"`
	Bytes   int64  `json:"bytes"`
	CID     string `json:"cid"`
	Storage string `json:"storage"`
}

func infoOf(m ipfsstore.Artifact) modelInfo {
	info := modelInfo{
		Name: m.Name, Names: m.Names, CID: m.Root, Bytes: m.Bytes, Path: m.Dir, Complete: m.Complete, Pinned: m.Pinned,
		AddedAt: m.AddedAt, Files: []fileInfo{},
	}
	for _, f := range m.Files {
		info.Files = append(info.Files, fileInfo{f.Name, f.Bytes, f.CID, string(f.Storage)})
	}
	return info
}

// printModel prints a model, with a warning if it can't be run.
func (c *cli) printModel(a *app, m ipfsstore.Artifact) error {
	info := infoOf(m)
	info.Warnings = a.engine.Inspect(m)
	if c.json {
		return c.printJSON(info)
	}
	return c.table(func(w io.Writer) {
		row(w, "%s\t%s\t%s", info.CID, info.Name, humanBytes(info.Bytes))
		for _, f := range info.Files {
			row(w, "  %s\t%s\t%s\t%s", f.Name, humanBytes(f.Bytes), f.Storage, f.CID)
		}
		for _, warning := range info.Warnings {
			row(w, "warning: %s", warning)
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
