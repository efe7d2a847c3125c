package command

import (
	"context"
	"fmt"
	"io"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

// A fetchPlan is what a fetch would bring, as it is printed.
type fetchPlan struct {
	CID     string        `json:"cid,omitempty"`
	Name    string        `json:"name,omitempty"`
	Origin  string        `json:"origin,omitempty"`
	License string        `json:"license,omitempty"`
	Bytes   int64         `json:"bytes"`
	ToFetch int64         `json:"to_fetch"`
	Free    *int64        `json:"free,omitempty"`
	Files   []plannedFile `json:"files"`
}

type plannedFile struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
	Here  bool   `json:"here"`
}

// planFetch prints what a fetch would bring.
func (c *cli) planFetch(ctx context.Context, a *app, r engine.FetchRequest) error {
	p, err := a.store.Plan(ctx, r.Model, ipfsstore.FetchOptions{
		Name: r.Name, Replace: r.Replace, Files: r.Files, Exclude: r.Exclude, Sources: r.Sources, MaxBytes: r.MaxBytes,
	})
	if err != nil {
		return a.explain(ctx, r.Model, err)
	}
	plan := fetchPlan{CID: p.Root, Name: p.Name, Origin: p.Origin, License: p.License, Bytes: p.Bytes, ToFetch: p.ToFetch, Files: []plannedFile{}}
	if p.Free >= 0 {
		plan.Free = &p.Free
	}
	for _, f := range p.Files {
		plan.Files = append(plan.Files, plannedFile(f))
	}
	if c.json {
		return c.printJSON(plan)
	}
	return c.table(func(w io.Writer) { printPlan(w, plan) })
}

func printPlan(w io.Writer, p fetchPlan) {
	for _, f := range p.Files {
		where := "to fetch"
		if f.Here {
			where = "here"
		}
		row(w, "%s\t%s\t%s", f.Name, humanBytes(f.Bytes), where)
	}
	license, room := p.License, ""
	if license == "" {
		license = "none is named"
	}
	if p.Free != nil {
		room = fmt.Sprintf("; the disk has room for %s", humanBytes(*p.Free))
	}
	row(w, "%d files, %s, of which %s to fetch%s", len(p.Files), humanBytes(p.Bytes), humanBytes(p.ToFetch), room)
	row(w, "licence: %s", license)
}
