package main

import (
	"bytes"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/cmd/command"
)

// manual is a man page for each command.
func (m *maker) manual() ([]entry, error) {
	var out []entry
	for _, cmd := range commands(command.Root()) {
		name := strings.ReplaceAll(cmd.CommandPath(), " ", "-")
		var b bytes.Buffer
		date := made
		header := &doc.GenManHeader{Title: strings.ToUpper(name), Section: "1", Source: "ipfs-accelerate " + m.version, Manual: "ipfs-accelerate", Date: &date}
		cmd.DisableAutoGenTag = true
		if err := doc.GenMan(cmd, header, &b); err != nil {
			return nil, err
		}
		out = append(out, text("man/man1/"+name+".1", b.Bytes()))
	}
	return out, nil
}

// commands are a command and all below it that people use.
func commands(cmd *cobra.Command) []*cobra.Command {
	out := []*cobra.Command{cmd}
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			out = append(out, commands(sub)...)
		}
	}
	return out
}

// completions are a script for each shell, which completes what is typed.
func completions() ([]entry, error) {
	var bash, zsh, fish, power bytes.Buffer
	root := command.Root()
	for _, err := range []error{
		root.GenBashCompletionV2(&bash, true), root.GenZshCompletion(&zsh), root.GenFishCompletion(&fish, true), root.GenPowerShellCompletionWithDesc(&power),
	} {
		if err != nil {
			return nil, err
		}
	}
	return below("completions", []entry{
		text("ipfs-accelerate.bash", bash.Bytes()), text("_ipfs-accelerate", zsh.Bytes()),
		text("ipfs-accelerate.fish", fish.Bytes()), text("ipfs-accelerate.ps1", power.Bytes()),
	}), nil
}
