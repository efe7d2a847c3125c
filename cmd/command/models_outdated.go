package command

import (
	"context"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

// An outdatedModel is a model from a hub and what is there now.
type outdatedModel struct {
	Name     string `json:"name"`
	CID      string `json:"cid"`
	Origin   string `json:"origin"`
	Current  string `json:"current,omitempty"` // the origin of what main is now
	Outdated bool   `json:"outdated"`
	Error    string `json:"error,omitempty"`
}

func (c *cli) modelsOutdated() *cobra.Command {
	return &cobra.Command{
		Use:   "outdated [MODEL...]",
		Short: "Ask the hub which models have changed there since they were fetched",
		Long:  "Ask the hub for the commit that the main branch of each model is at that came from\nhf://ORG/NAME, and say where it is another than the one that is here.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(func(a *app) error {
				list, err := a.outdated(cmd.Context(), args)
				if err != nil {
					return err
				}
				if c.json {
					return c.printJSON(map[string][]outdatedModel{"models": list})
				}
				return c.table(func(w io.Writer) { printOutdated(w, list) })
			})
		},
	}
}

// outdated compares the models that came from a hub, or those of them that are
// named. One that can't be asked about says why.
func (a *app) outdated(ctx context.Context, refs []string) ([]outdatedModel, error) {
	models, err := a.chosen(ctx, refs)
	if err != nil {
		return nil, err
	}
	list := []outdatedModel{}
	asked := make(map[string]outdatedModel)
	for _, m := range models {
		repo, _, ok := strings.Cut(m.Origin, "@")
		if !ok || !strings.HasPrefix(repo, "hf://") {
			continue
		}
		now, done := asked[repo]
		if !done {
			if now.Current, err = a.store.Resolve(ctx, repo); err != nil {
				now.Error = a.explain(ctx, repo, err).Error()
			}
			asked[repo] = now
		}
		now.Name, now.CID, now.Origin = m.Name, m.Root, m.Origin
		now.Outdated = now.Current != "" && now.Current != m.Origin
		list = append(list, now)
	}
	return list, ctx.Err()
}

// chosen returns the models that are named, or all.
func (a *app) chosen(ctx context.Context, refs []string) ([]ipfsstore.Artifact, error) {
	if len(refs) == 0 {
		return a.store.List(ctx)
	}
	var out []ipfsstore.Artifact
	for _, ref := range refs {
		m, err := a.store.Info(ctx, ref)
		if err != nil {
			return nil, a.explain(ctx, ref, err)
		}
		out = append(out, m)
	}
	return out, nil
}

func printOutdated(w io.Writer, list []outdatedModel) {
	if len(list) == 0 {
		row(w, "no model came from a hub")
		return
	}
	row(w, "NAME\tSTATE\tHERE\tTHERE")
	for _, m := range list {
		state := "current"
		if m.Outdated {
			state = "outdated"
		}
		if m.Error != "" {
			state = "unknown: " + m.Error
		}
		_, here, _ := strings.Cut(m.Origin, "@")
		_, there, _ := strings.Cut(m.Current, "@")
		row(w, "%s\t%s\t%.12s\t%.12s", m.Name, state, here, there)
	}
}
