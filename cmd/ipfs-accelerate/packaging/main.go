package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/spf13/cobra"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/cmd/command"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := root().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "packaging:", err)
		os.Exit(1)
	}
}

func root() *cobra.Command {
	m := &maker{root: ".", out: os.Stdout}
	cmd := &cobra.Command{Use: "packaging", Short: "Make what is released", SilenceErrors: true, SilenceUsage: true}
	cmd.PersistentFlags().StringVar(&m.version, "version", command.Version, "version that is released")
	var dir string
	var once bool
	bundle := &cobra.Command{Use: "mcpb", Short: "Make the MCP bundle of this platform", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		_, err := m.bundle(cmd.Context(), dir, once)
		return err
	}}
	bundle.Flags().StringVar(&dir, "dir", "bin", "where it is put")
	bundle.Flags().BoolVar(&once, "once", false, "do not make it a second time to see that it is the same")
	cmd.AddCommand(
		bundle,
		&cobra.Command{Use: "release", Short: "Make archives, checksums and lists of parts in bin/release", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			return m.release(cmd.Context(), "bin/release")
		}},
		&cobra.Command{Use: "stage DIR", Short: "Write what is in the bundle into a folder", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
			return m.stage(cmd.Context(), args[0])
		}},
	)
	return cmd
}
