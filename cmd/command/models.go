package command

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/cmd/internal/config"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

func (c *cli) models() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "models",
		Short: "Keep models by content: add, fetch, list, share, verify, make room",
		Long:  "Keep models by content. A model is known by its CID, which is the same on every\nmachine, and by names that are yours. add takes in what is on this machine, fetch\nwhat is elsewhere.",
	}
	cmd.AddCommand(
		c.modelsAdd(), c.modelsFetch(), c.modelsList(), c.modelsInfo(), c.modelsRemove(), c.modelsPin(true), c.modelsPin(false),
		c.modelsVerify(), c.modelsGC(), c.modelsUsage(), c.modelsImport(), c.modelsExport(), c.modelsShare(), c.modelsOutdated(),
	)
	return cmd
}

func (c *cli) modelsAdd() *cobra.Command {
	var o ipfsstore.AddOptions
	cmd := &cobra.Command{
		Use:   "add PATH",
		Short: "Add a model file or folder: its bytes stay where they are and get a CID",
		Long: "Add a model file or folder. On the same file system the bytes are not copied: the\nstore links them, and notices when they are edited.\n\n" +
			"A model in a Hugging Face cache (models--ORG--NAME) or in an Ollama store\n(manifests/…/NAME/TAG) is known by its name there; of a whole cache or store every\nmodel is added.",
		Example: "  ipfs-accelerate models add ./my-model --name mine\n  ipfs-accelerate models add ~/.cache/huggingface/hub/models--org--name\n  ipfs-accelerate models add ~/.ollama/models",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := notTogether(cmd, "copy", "reference"); err != nil {
				return err
			}
			if _, err := os.Stat(args[0]); err != nil {
				return missing(args[0], err)
			}
			return c.with(func(a *app) error { return c.add(cmd.Context(), a, args[0], o) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Name, "name", "", "name to keep it under, NAME or NAME:TAG")
	f.BoolVar(&o.Replace, "replace", false, "move the name if it is another model's")
	f.StringVar((*string)(&o.Profile), "profile", string(ipfsstore.ProfileV1), "how files become blocks, and so which CID it gets: unixfs-v1-2025 or unixfs-v0-2015")
	f.BoolVar(&o.Copy, "copy", false, "copy the bytes instead of linking them")
	f.BoolVar(&o.Reference, "reference", false, "leave files that can't be linked where they are, instead of copying them")
	f.StringSliceVar(&o.Include, "include", nil, "only these files of a folder; * ? and ** match")
	f.StringSliceVar(&o.Exclude, "exclude", nil, "not these files of a folder")
	f.BoolVar(&o.Hidden, "hidden", false, "take files whose names begin with a dot too")
	f.BoolVar(&o.Pin, "pin", true, "keep it when space is needed")
	return cmd
}

// notTogether refuses two flags that exclude each other.
func notTogether(cmd *cobra.Command, a, b string) error {
	if cmd.Flags().Changed(a) && cmd.Flags().Changed(b) {
		return usageError{fmt.Errorf("--%s and --%s can't be said together", a, b)}
	}
	return nil
}

// add adds what is at a path: one model, or all of another program's store.
func (c *cli) add(ctx context.Context, a *app, p string, o ipfsstore.AddOptions) error {
	if !slices.Contains(ipfsstore.Profiles(), o.Profile) {
		return usageError{fmt.Errorf("unknown profile %q; it is one of %q", o.Profile, ipfsstore.Profiles())}
	}
	several, err := ipfsstore.ForeignModels(p)
	if err != nil {
		return err
	}
	if len(several) == 0 {
		added, err := c.addOne(ctx, a, p, o)
		if err != nil {
			return err
		}
		return c.printModel(ctx, a, added)
	}
	if o.Name != "" {
		return usageError{fmt.Errorf("%s holds %d models, and --name is for one; name the path of one: %s", p, len(several), several[0])}
	}
	list := []modelInfo{}
	for _, p := range several {
		added, err := c.addOne(ctx, a, p, o)
		if err != nil {
			return err
		}
		list = append(list, infoOf(added))
	}
	return c.printModels(list)
}

func (c *cli) addOne(ctx context.Context, a *app, p string, o ipfsstore.AddOptions) (ipfsstore.Artifact, error) {
	report, done := c.storeProgress()
	o.Progress = report
	added, err := a.store.Add(ctx, p, o)
	done()
	return added, a.explain(ctx, p, err)
}

func (c *cli) modelsFetch() *cobra.Command {
	var r engine.FetchRequest
	var dry bool
	cmd := &cobra.Command{
		Use:     "fetch MODEL",
		Short:   "Fetch a model by CID, name, hf://ORG/NAME or path; every block is verified",
		Long:    "Fetch a model by CID, by a name in the catalogue, or by its name on a Hugging Face\nhub: hf://ORG/NAME[@REVISION]. What comes from a hub is checked by the hub's hashes,\ngets a CID, and is known as ORG/NAME from then on.",
		Example: "  ipfs-accelerate models fetch bafy… --name mine\n  ipfs-accelerate models fetch bafy… --dry-run\n  ipfs-accelerate models fetch hf://org/name --include '*.json' --include 'onnx/*'",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r.Model = args[0]
			return c.with(func(a *app) error {
				if dry {
					return c.planFetch(cmd.Context(), a, r)
				}
				report, done := c.progress()
				f, err := a.engine.Fetch(cmd.Context(), r, report)
				done()
				if err != nil {
					return err
				}
				if c.json {
					return c.printJSON(f)
				}
				return c.table(func(w io.Writer) { printFetching(w, f) })
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&r.Name, "name", "", "name to keep it under, NAME or NAME:TAG")
	f.BoolVar(&r.Replace, "replace", false, "move the name if it is another model's")
	f.StringSliceVar(&r.Files, "include", nil, "only these files; * ? and ** match")
	f.StringSliceVar(&r.Exclude, "exclude", nil, "not these files")
	f.StringSliceVar(&r.Files, "files", nil, "the same as --include")
	f.StringSliceVar(&r.Sources, "sources", nil, "names of the sources to use")
	f.Int64Var(&r.MaxBytes, "max-bytes", 0, "refuse a larger model (default 4 GiB)")
	f.BoolVar(&r.Pin, "pin", false, "keep it when space is needed")
	f.BoolVar(&dry, "dry-run", false, "only say what would come: files, bytes and the licence")
	c.keyFlags(f, false, func(name string, _ config.Key) bool { return name == "limit-rate" })
	return cmd
}

func printFetching(w io.Writer, f engine.Fetching) {
	row(w, "%s\t%s\t%s\t%s", f.CID, f.Name, humanBytes(f.Bytes), f.Level)
	for _, s := range f.Sources {
		row(w, "  from %s\t%d blocks\t%s\t%d errors", s.Name, s.Blocks, humanBytes(s.Bytes), s.Errors)
	}
	for _, warning := range f.Warnings {
		row(w, "warning: %s", warning)
	}
	row(w, "%s", f.Summary)
}

func (c *cli) modelsList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the models that are here",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.with(func(a *app) error {
				stored, err := a.store.List(cmd.Context())
				if err != nil {
					return err
				}
				list := make([]modelInfo, len(stored))
				for i, m := range stored {
					list[i] = infoOf(m)
				}
				return c.printModels(list)
			})
		},
	}
}

func (c *cli) modelsInfo() *cobra.Command {
	return &cobra.Command{
		Use:   "info MODEL",
		Short: "Say what a model is and check that its files are as they were added",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(func(a *app) error {
				m, err := a.store.Open(cmd.Context(), args[0])
				if err != nil {
					return a.explain(cmd.Context(), args[0], err)
				}
				return c.printModel(cmd.Context(), a, m)
			})
		},
	}
}

func (c *cli) modelsRemove() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "rm MODEL",
		Short: "Remove a model from the store; a linked original stays where it is",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(func(a *app) error {
				if err := a.store.Remove(cmd.Context(), args[0], force); err != nil {
					return a.explain(cmd.Context(), args[0], err)
				}
				if c.json {
					return c.printJSON(map[string]string{"removed": args[0]})
				}
				return c.table(func(w io.Writer) { row(w, "removed %s", args[0]) })
			})
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "remove it even if it is pinned or in use")
	return cmd
}
