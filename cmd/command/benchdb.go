package command

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/benchdb"
)

// benchdb keeps the database of measurements in order.
func (c *cli) benchdb() *cobra.Command {
	cmd := &cobra.Command{Use: "benchdb", Short: "Look after the database of measurements"}
	cmd.AddCommand(
		c.benchdbStats(), c.benchdbRepair(),
		c.benchdbDo("vacuum", "Write the database anew, without the room that deleted rows took", cobra.NoArgs,
			func(ctx context.Context, db *benchdb.DB, _ []string) (string, error) {
				return "vacuumed", db.Vacuum(ctx)
			}),
		c.benchdbDo("backup FILE", "Write the database, with all that was recorded, to a new file", cobra.ExactArgs(1),
			func(ctx context.Context, db *benchdb.DB, args []string) (string, error) {
				return "backed up", db.Backup(ctx, args[0])
			}),
		c.benchdbDo("migrate [SCHEMA]", "Bring the database to this program's schema, or down to an older one's", cobra.MaximumNArgs(1), migrate),
		c.benchdbExport(),
		c.benchdbDo("import FOLDER", "Read what export wrote, here or elsewhere; what is there already stays", cobra.ExactArgs(1),
			func(ctx context.Context, db *benchdb.DB, args []string) (string, error) {
				n, err := db.Import(ctx, args[0])
				return fmt.Sprintf("%d new rows", n), err
			}),
	)
	return cmd
}

// benchdbDo is a command that does one thing and says what was done.
func (c *cli) benchdbDo(use, short string, args cobra.PositionalArgs, do func(context.Context, *benchdb.DB, []string) (string, error)) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: args, RunE: func(cmd *cobra.Command, args []string) error {
		return c.with(func(a *app) error {
			done, err := do(cmd.Context(), a.db, args)
			if err != nil {
				return err
			}
			if c.json {
				return c.printJSON(map[string]string{"done": done})
			}
			_, err = fmt.Fprintln(c.out, done)
			return err
		})
	}}
}

func migrate(ctx context.Context, db *benchdb.DB, args []string) (string, error) {
	to := benchdb.SchemaVersion
	if len(args) == 1 {
		n, err := strconv.Atoi(args[0])
		if err != nil || n < 1 || n > benchdb.SchemaVersion {
			return "", usageError{fmt.Errorf("schema %q is none of 1 to %d", args[0], benchdb.SchemaVersion)}
		}
		to = n
	}
	return fmt.Sprintf("the schema is %d", to), db.Migrate(ctx, to)
}

func (c *cli) benchdbExport() *cobra.Command {
	var format string
	cmd := c.benchdbDo("export FOLDER", "Write a file per table to a folder", cobra.ExactArgs(1),
		func(ctx context.Context, db *benchdb.DB, args []string) (string, error) {
			if f := benchdb.Format(format); f != benchdb.Parquet && f != benchdb.NDJSON {
				return "", usageError{fmt.Errorf("format %q is neither parquet nor ndjson", format)}
			}
			return "exported", db.Export(ctx, args[0], benchdb.Format(format))
		})
	cmd.Flags().StringVar(&format, "format", string(benchdb.Parquet), "parquet or ndjson")
	return cmd
}

func (c *cli) benchdbRepair() *cobra.Command {
	return &cobra.Command{
		Use: "repair", Short: "Set aside what can't be read any more, and ingest anew what can", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.with(func(a *app) error {
				r, err := a.db.Repair(cmd.Context())
				if err != nil {
					return err
				}
				if c.json {
					return c.printJSON(r)
				}
				return c.table(func(w io.Writer) { printRepair(w, r) })
			})
		},
	}
}

func printRepair(w io.Writer, r benchdb.Repair) {
	if len(r.Moved) == 0 {
		row(w, "nothing to repair")
	}
	for _, name := range r.Moved {
		row(w, "set aside: %s", name)
	}
	if r.Restored != "" {
		row(w, "restored from: %s", r.Restored)
	}
}

func (c *cli) benchdbStats() *cobra.Command {
	return &cobra.Command{
		Use: "stats", Short: "Say what is kept, for how long, and how much room it takes", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.with(func(a *app) error {
				s, err := a.db.Stats(cmd.Context())
				if err != nil {
					return err
				}
				if c.json {
					return c.printJSON(s)
				}
				return c.table(func(w io.Writer) { printStats(w, s) })
			})
		},
	}
}

func printStats(w io.Writer, s benchdb.Stats) {
	row(w, "table\trows\toldest\tnewest")
	for _, t := range s.Tables {
		row(w, "%s\t%d\t%s\t%s", t.Name, t.Rows, orNever(t.Oldest), orNever(t.Newest))
	}
	row(w, "schema %d, database %s, spool %s, backups %s", s.Schema, humanBytes(s.DatabaseBytes), humanBytes(s.SpoolBytes), humanBytes(s.BackupBytes))
	row(w, "waiting %d rows, quarantined %d lines, only counted %d inferences", s.PendingRows, s.Quarantined, s.Dropped)
	row(w, "kept in full: inferences %s, samples %s", keptFor(s.Retention.Inferences), keptFor(s.Retention.Samples))
}

func orNever(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.Local().Format(time.DateTime)
}

func keptFor(d time.Duration) string {
	if d < 0 {
		return "for ever"
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}
