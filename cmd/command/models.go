package command

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

func (c *cli) models() *cobra.Command {
	cmd := &cobra.Command{Use: "models", Short: "Keep models by content: add, fetch, list, info, rm, import, export"}
	cmd.AddCommand(c.modelsAdd(), c.modelsFetch(), c.modelsList(), c.modelsInfo(), c.modelsRemove(), c.modelsImport(), c.modelsExport(), c.modelsShare())
	return cmd
}

func (c *cli) modelsAdd() *cobra.Command {
	var o ipfsstore.AddOptions
	cmd := &cobra.Command{
		Use:   "add PATH",
		Short: "Add a model file or folder: its bytes stay where they are and get a CID",
		Long:  "Add a model file or folder. On the same file system the bytes are not copied: the\nstore links them, and notices when they are edited.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := os.Stat(args[0]); err != nil {
				return missing(args[0], err)
			}
			return c.with(func(a *app) error {
				report, done := c.storeProgress()
				o.Progress = report
				added, err := a.store.Add(cmd.Context(), args[0], o)
				done()
				if err != nil {
					return a.explain(cmd.Context(), args[0], err)
				}
				return c.printModel(a, added)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Name, "name", "", "name to keep it under")
	f.BoolVar(&o.Copy, "copy", false, "copy the bytes instead of linking them")
	f.BoolVar(&o.Hidden, "hidden", false, "take files whose names begin with a dot too")
	f.BoolVar(&o.Pin, "pin", false, "keep it when space is needed")
	return cmd
}

func (c *cli) modelsFetch() *cobra.Command {
	var r engine.FetchRequest
	cmd := &cobra.Command{
		Use:   "fetch MODEL",
		Short: "Fetch a model by CID, name or path; every block is verified",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r.Model = args[0]
			return c.with(func(a *app) error {
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
	f.StringVar(&r.Name, "name", "", "name to keep it under")
	f.StringSliceVar(&r.Files, "files", nil, "only these files; * ? and ** match")
	f.StringSliceVar(&r.Sources, "sources", nil, "names of the sources to use")
	f.Int64Var(&r.MaxBytes, "max-bytes", 0, "refuse a larger model (default 4 GiB)")
	f.BoolVar(&r.Pin, "pin", false, "keep it when space is needed")
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
				if c.json {
					list := make([]modelInfo, len(stored))
					for i, m := range stored {
						list[i] = infoOf(m)
					}
					return c.printJSON(map[string][]modelInfo{"models": list})
				}
				if len(stored) == 0 {
					return c.table(func(w io.Writer) { row(w, "no models yet; models add PATH takes one in") })
				}
				return c.table(func(w io.Writer) {
					row(w, "NAME\tSIZE\tFILES\tCID")
					for _, m := range stored {
						row(w, "%s\t%s\t%d\t%s", strings.Join(m.Names, ","), humanBytes(m.Bytes), len(m.Files), m.Root)
					}
				})
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
				return c.printModel(a, m)
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
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "remove it even if it is pinned")
	return cmd
}

func (c *cli) modelsImport() *cobra.Command {
	var o ipfsstore.AddOptions
	cmd := &cobra.Command{
		Use:   "import FILE.car|-",
		Short: "Import a model from a CAR file; every block is verified",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in := c.in
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return missing(args[0], err)
				}
				defer f.Close()
				in = f
			}
			return c.with(func(a *app) error {
				report, done := c.storeProgress()
				o.Progress = report
				m, err := a.store.Import(cmd.Context(), in, o)
				done()
				if err != nil {
					return a.explain(cmd.Context(), args[0], err)
				}
				return c.printModel(a, m)
			})
		},
	}
	cmd.Flags().StringVar(&o.Name, "name", "", "name to keep it under")
	return cmd
}

func (c *cli) modelsExport() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "export MODEL",
		Short: "Export a model as a CAR file, to stdout unless --output names one",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if output == "" && (c.json || isTerminal(c.out)) {
				return usageError{errors.New("stdout is not for a CAR file here; name --output FILE.car")}
			}
			return c.with(func(a *app) error {
				if output == "" {
					return a.explain(cmd.Context(), args[0], a.store.Export(cmd.Context(), args[0], c.out))
				}
				if err := exportFile(cmd.Context(), a, args[0], output); err != nil || !c.json {
					return err
				}
				return c.printJSON(map[string]string{"exported": args[0], "file": output})
			})
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "file to write")
	return cmd
}

// exportFile writes a CAR file under its name only when it is whole.
func exportFile(ctx context.Context, a *app, ref, output string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(output), ".export-*")
	if err != nil {
		return usageError{err}
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if err := a.explain(ctx, ref, a.store.Export(ctx, ref, f)); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), output)
}
