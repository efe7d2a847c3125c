package command

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/cmd/internal/config"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

func (c *cli) modelsPin(pin bool) *cobra.Command {
	use, short := "pin MODEL", "Keep a model when space is needed"
	if !pin {
		use, short = "unpin MODEL", "Let a model go when space is needed"
	}
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(func(a *app) error {
				m, err := a.store.Pin(cmd.Context(), args[0], pin)
				if err != nil {
					return a.explain(cmd.Context(), args[0], err)
				}
				if c.json {
					return c.printJSON(infoOf(m))
				}
				return c.printModels([]modelInfo{infoOf(m)})
			})
		},
	}
}

// verified is what was found of a model, as --json prints it.
type verified struct {
	Name     string            `json:"name"`
	CID      string            `json:"cid"`
	OK       bool              `json:"ok"`
	Repaired bool              `json:"repaired"`
	Complete bool              `json:"complete"` // false: files of it are not here, and nothing is said of them
	Error    *engine.ErrorInfo `json:"error,omitempty"`
}

func (c *cli) modelsVerify() *cobra.Command {
	var o ipfsstore.VerifyOptions
	cmd := &cobra.Command{
		Use:   "verify [MODEL...]",
		Short: "Hash models again, all of them unless some are named",
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.Sample < 0 || o.Sample > 100 {
				return usageError{fmt.Errorf("--sample %v is not within 0 and 100", o.Sample)}
			}
			return c.with(func(a *app) error {
				report, done := c.storeProgress()
				o.Refs, o.Progress = args, report
				found, err := a.store.VerifyAll(cmd.Context(), o)
				done()
				if err != nil {
					return a.explain(cmd.Context(), firstOf(args), err)
				}
				list := make([]verified, len(found))
				for i, v := range found {
					list[i] = verified{Name: v.Name, CID: v.Root, OK: v.Err == nil, Repaired: v.Repaired, Complete: v.Complete}
					if v.Err != nil {
						list[i].Error = engine.Explain(a.explain(cmd.Context(), v.Name, v.Err))
					}
				}
				return c.printVerified(list)
			})
		},
	}
	cmd.Args = cobra.ArbitraryArgs
	f := cmd.Flags()
	f.Float64Var(&o.Sample, "sample", 0, "hash only this percentage of each file, chosen at random (default all)")
	f.BoolVar(&o.Repair, "repair", false, "fetch files with wrong bytes again")
	return cmd
}

func firstOf(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

// printVerified prints what was found, and fails if that is not all well.
func (c *cli) printVerified(list []verified) error {
	var err error
	if c.json {
		err = c.printJSON(map[string][]verified{"models": list})
	} else {
		err = c.table(func(w io.Writer) {
			for _, v := range list {
				switch {
				case v.Error != nil:
					row(w, "%s\t%s\t%s", v.Name, v.Error.Code, v.Error.Message)
				case v.Repaired:
					row(w, "%s\trepaired\t%s", v.Name, v.CID)
				case !v.Complete:
					row(w, "%s\tok, incomplete\t%s", v.Name, v.CID)
				default:
					row(w, "%s\tok\t%s", v.Name, v.CID)
				}
			}
		})
	}
	for _, v := range list {
		if v.Error != nil {
			return errors.Join(err, shownError{ExitError})
		}
	}
	return err
}

// removed is a model that made room, as --json prints it.
type removed struct {
	Name  string `json:"name"`
	CID   string `json:"cid"`
	Bytes int64  `json:"bytes"`
}

func (c *cli) modelsGC() *cobra.Command {
	var limit string
	var o ipfsstore.GCOptions
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Make room: remove the longest unused models that are not pinned or in use",
		Long:  "Make room: remove copies of models that load quicker, then models, the longest unused\nfirst, until the store is within --max\n(or the setting ipfs.store_max: above 90 % of it, down to 75 %). What is pinned, open or\nbeing fetched stays, and so does what would free nothing.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.with(func(a *app) error {
				marks, err := a.marks(limit)
				if err != nil {
					return err
				}
				marks.DryRun = o.DryRun
				got, err := a.store.GC(cmd.Context(), marks)
				if err != nil {
					return a.explain(cmd.Context(), "", err)
				}
				return c.printCollected(got, o.DryRun)
			})
		},
	}
	cmd.Flags().StringVar(&limit, "max", "", "what the models may take on disk, such as 50GB")
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "say what would be removed, and remove nothing")
	return cmd
}

// marks are the limits that were named, or else configured.
func (a *app) marks(limit string) (ipfsstore.GCOptions, error) {
	if limit != "" {
		size, err := config.ParseSize(limit)
		if err != nil {
			return ipfsstore.GCOptions{}, usageError{fmt.Errorf("--max %q %w", limit, err)}
		}
		return ipfsstore.GCOptions{MaxBytes: int64(size)}, nil
	}
	if size := a.settings().IPFS.StoreMax; size > 0 {
		return ipfsstore.Marks(int64(size)), nil
	}
	return ipfsstore.GCOptions{}, usageError{errors.New("there is no limit: name --max SIZE, such as 50GB, or set ipfs.store_max")}
}

func (c *cli) printCollected(got ipfsstore.Collected, dry bool) error {
	list := []removed{}
	for _, r := range got.Removed {
		list = append(list, removed{r.Name, r.Root, r.Bytes})
	}
	if c.json {
		return c.printJSON(map[string]any{
			"before_bytes": got.Before, "after_bytes": got.After, "freed_bytes": got.Before - got.After, "derived_bytes": got.Derived, "removed": list, "busy": got.Busy, "dry_run": dry,
		})
	}
	return c.table(func(w io.Writer) {
		if got.Derived > 0 {
			row(w, "(copies that load quicker)\t%s\t", humanBytes(got.Derived))
		}
		for _, r := range list {
			name := r.Name
			if name == "" {
				name = "(unfinished fetch)"
			}
			row(w, "%s\t%s\t%s", name, humanBytes(r.Bytes), r.CID)
		}
		verb := "freed"
		if dry {
			verb = "would free"
		}
		row(w, "%s %s: %s before, %s after", verb, humanBytes(got.Before-got.After), humanBytes(got.Before), humanBytes(got.After))
	})
}

// usageInfo is what a store takes, as --json prints it.
type usageInfo struct {
	Owned   int64        `json:"owned_bytes"`
	Shared  int64        `json:"shared_bytes"`
	Parts   int64        `json:"unfinished_bytes"`
	Derived int64        `json:"derived_bytes"`
	Models  []modelUsage `json:"models"`
}

type modelUsage struct {
	Name   string `json:"name"`
	CID    string `json:"cid"`
	Bytes  int64  `json:"bytes"`
	Owned  int64  `json:"owned_bytes"`
	Shared int64  `json:"shared_bytes"`
	Pinned bool   `json:"pinned"`
}

func (c *cli) modelsUsage() *cobra.Command {
	return &cobra.Command{
		Use:   "du",
		Short: "Say what models take on disk",
		Long:  "Say what models take on disk: owned is what removing the model would free, with the copies\nof it that load quicker (performance.layout_size), shared what is also your own file, or\nanother model's.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.with(func(a *app) error {
				u, err := a.store.Usage(cmd.Context())
				if err != nil {
					return err
				}
				info := usageInfo{u.Owned, u.Shared, u.Parts, u.Derived, []modelUsage{}}
				for _, m := range u.Models {
					info.Models = append(info.Models, modelUsage{m.Name, m.Root, m.Bytes, m.Owned, m.Shared, m.Pinned})
				}
				if c.json {
					return c.printJSON(info)
				}
				return c.table(func(w io.Writer) { printUsage(w, info) })
			})
		},
	}
}

func printUsage(w io.Writer, u usageInfo) {
	row(w, "NAME\tSIZE\tOWNED\tSHARED\tCID")
	for _, m := range u.Models {
		row(w, "%s\t%s\t%s\t%s\t%s", m.Name, humanBytes(m.Bytes), humanBytes(m.Owned), humanBytes(m.Shared), m.CID)
	}
	if u.Parts > 0 {
		row(w, "(unfinished fetches)\t%s\t%s\t\t", humanBytes(u.Parts), humanBytes(u.Parts))
	}
	if u.Derived > 0 {
		row(w, "(copies that load quicker, in the above)\t%s\t\t\t", humanBytes(u.Derived))
	}
	row(w, "total\t\t%s\t%s\t", humanBytes(u.Owned), humanBytes(u.Shared))
}
